"""The routes of the first start and of devices. `tests/api/test_setup.py` has what the link does."""

from __future__ import annotations

import pytest

from tests.api.node import Node, is_problem
from tests.api.people import PASSWORD, bearing, make, signed_in

pytestmark = pytest.mark.engine


def test_once_somebody_has_a_password_it_is_over(node: Node) -> None:
    """Anybody may ask whether it is; no link is made, and none holds."""
    make(node)
    assert node.ask("GET", "/v0/setup", "").json() == {"open": False}
    is_problem(node.ask("POST", "/v0/auth/setup-link"), 409, "setup_over")
    body = {"token": "x" * 43, "name": "first", "password": PASSWORD}
    is_problem(node.ask("POST", "/v0/setup", "", json=body), 409, "setup_over")
    is_problem(node.ask("POST", "/v0/setup", "", json=body | {"name": "no name!"}), 400, "bad_request")


def test_a_link_is_for_admins_to_make(node: Node) -> None:
    """Whoever holds it makes an admin."""
    token = signed_in(node, make(node))["access_token"]
    is_problem(bearing(node, token, "/v0/auth/setup-link", "POST"), 403, "forbidden")


def test_devices_are_for_who_is_signed_in(node: Node) -> None:
    """And every code that nobody shows looks the same."""
    is_problem(node.ask("GET", "/v0/auth/devices/BBBB-BBBB", ""), 401, "unauthenticated")
    token = signed_in(node, make(node))["access_token"]
    is_problem(bearing(node, token, "/v0/auth/devices/BBBB-BBBB"), 404, "unknown_device")
    is_problem(bearing(node, token, "/v0/auth/devices/%00"), 400, "bad_request")
    decided = bearing(node, token, "/v0/auth/devices/BBBB-BBBB", "POST", json={"allow": True})
    is_problem(decided, 404, "unknown_device")
