"""Durable workflows on pages."""

from __future__ import annotations

import pytest

from tests.support import samples
from tests.support.waiting import eventually
from tests.web.site import Site

pytestmark = pytest.mark.engine


def test_a_workflow_and_its_steps(site: Site) -> None:
    """It is in the list of its state, and its page has the steps and the submission."""
    sealed = site.node.of("contributor").seal(samples.scan_of(samples.address(), 80))
    receipt = site.node.submit(sealed, "/v0/ingest").json()
    path = f"/workflows/{receipt['workflow_id']}"
    eventually(lambda: bool(site.page(path, "user").find("//ol/li")))
    page = site.page(path, "user")
    assert page.find(f"//a[@href='/observations/{receipt['observation_id']}']")
    assert path in site.page("/workflows").find("//th/a/@href")
    assert site.page("/workflows", status="rubbish").status == 200
    assert site.page("/workflows/nothing").status == 404
