"""The settings in force, as the API tells them."""

from __future__ import annotations

import pytest

from tests.api.node import Node, is_problem

pytestmark = pytest.mark.engine


def test_settings_are_told_with_their_origin_and_without_secrets(node: Node) -> None:
    """The node of these tests was given some by its maker; the database's URL has a password in it or not: masked."""
    found = node.get("/v0/settings").json()
    settings = {one["key"]: one for one in found["settings"]}
    assert settings["api.body_timeout_s"]["value"] == 20.0
    assert settings["api.body_timeout_s"]["default"] == 120.0
    assert settings["database.url"]["secret"]
    assert not settings["database.url"]["value"].strip("*")
    assert settings["gate.max_age_s"]["origin"] == "default"
    machine = found["machine"]
    assert machine["database_bytes"] > 0
    assert 0 < machine["disk"]["free"] <= machine["disk"]["total"]


@pytest.mark.parametrize("role", ["user", "read-only", "automation"])
def test_settings_are_the_admins(node: Node, role: str) -> None:
    """They tell of the machine and of who is trusted."""
    is_problem(node.get("/v0/settings", role), 403, "forbidden")
