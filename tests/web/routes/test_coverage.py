"""Coverage on a page."""

from __future__ import annotations

import secrets

import pytest

from tests.support import samples
from tests.web.site import Site

pytestmark = pytest.mark.engine


def test_how_fresh_a_selection_is(site: Site) -> None:
    """Numbers, both charts with their tables, and where nothing was ever seen, which leads to a job."""
    octets = secrets.token_bytes(2)
    where = f"203.{octets[0] % 50 + 201}.{octets[1]}.7"  # no other test of these pages scans there
    network = f"{where.rpartition('.')[0]}.0/23"
    site.node.submitted(samples.scan_of(where, 22))
    page = site.page("/coverage", "admin", q=f"ip:{where}")
    assert "1 open endpoints" in page.words()
    assert len(page.find("//figure//table")) == 2
    assert site.page("/coverage", "admin", q=f"net:{network}").find("//a[starts-with(@href, '/jobs/new?targets=')]")


def test_nothing_is_known(site: Site) -> None:
    """The page says what to do; a question that cannot be read is answered with why."""
    assert "No open endpoint of that is known." in site.page("/coverage", "user", q="ip:192.0.2.200").words()
    page = site.page("/coverage", "user", q="nonsense:1")
    assert page.status == 400
    assert "nonsense" in page.words("//p[@role='alert']")
    assert page.find("//input[@id='f-q']/@value") == ["nonsense:1"]
