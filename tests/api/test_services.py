"""What the routes work with."""

from __future__ import annotations

import dataclasses

import pytest

from tests.api.node import Node

pytestmark = pytest.mark.engine


def test_services_do_not_change_while_they_serve(node: Node) -> None:
    """One set per app, frozen: a request cannot exchange the database under another."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        node.services.key_grace_s = 1  # type: ignore[misc]


def test_a_second_app_has_metrics_of_its_own(node: Node) -> None:
    """The same engines, counted apart."""
    with node.variant() as other:
        assert other.services.metrics is not node.services.metrics
        assert other.services.database is node.services.database
        other.get("/nowhere")
        assert other.metric('spectra_http_requests_total{method="GET",route="unmatched",status="404"}') <= 1
