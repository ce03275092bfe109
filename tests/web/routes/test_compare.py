"""Two moments of a host, and of all that a query finds."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support import samples
from tests.web.site import Site

pytestmark = pytest.mark.engine

T0 = samples.T0


@pytest.fixture(scope="module")
def changing(site: Site) -> str:
    """A host that ran nginx on one port at T0, and Apache a day later, then on two."""
    ip = samples.address()
    site.node.submitted(samples.scan_of(ip, 80, at=T0))
    site.node.submitted(samples.scan_of(ip, 80, 81, at=T0 + timedelta(days=1), product="Apache httpd"))
    return ip


def test_two_moments_side_by_side(site: Site, changing: str) -> None:
    """What is new and what is something else, with both values; in whatever order the moments are given."""
    early, late = "2026-03-01T13:00", "2026-03-03"
    page = site.page(f"/hosts/{changing}/compare", "admin", **{"from": early, "to": late})
    rows = [" ".join(row.text_content().split()) for row in page.find("//section//tbody/tr")]
    assert rows[0].startswith("80/tcp changed product nginx → Apache httpd")
    assert rows[1].startswith("81/tcp new")
    again = site.page(f"/hosts/{changing}/compare", "admin", **{"from": late, "to": early})
    assert "81/tcp new" in again.words()


def test_a_moment_before_it_was_seen(site: Site, changing: str) -> None:
    """All is new then; two such moments, and what is no time, are told as mistakes; spans count back from now."""
    page = site.page(f"/hosts/{changing}/compare", "admin", **{"from": "2001-01-01", "to": "2026-03-01T13:00"})
    assert "not seen by then" in page.words()
    assert "80/tcp new" in page.words()
    both = site.page(f"/hosts/{changing}/compare", "admin", **{"from": "2001-01-01", "to": "2002-01-01"})
    assert (both.status, "had not been seen" in both.words()) == (400, True)
    assert site.page(f"/hosts/{changing}/compare", "admin", **{"from": "soon"}).status == 400
    assert site.page(f"/hosts/{changing}/compare").status == 200
    assert site.page("/hosts/203.0.113.250/compare").status == 404


def test_changes_of_a_query(site: Site, changing: str) -> None:
    """Counted by kind with links, listed with a link to each host; a mistake is told beside the form."""
    asked = {"from": "2026-03-01T13:00", "to": "2026-03-03", "q": f"ip:{changing}"}
    page = site.page("/diff", "admin", **asked)
    assert [tile.text_content().strip() for tile in page.find("//ul[@class='tiles']//strong")][:3] == ["1", "0", "1"]
    assert {link.text for link in page.find("//tbody//th/a")} == {changing}
    only = site.page("/diff", "admin", **asked, kind="new")
    assert len(only.find("//tbody/tr")) == 1
    wrong = site.page("/diff", "admin", **{"from": "soon", "q": "port:22"})
    assert (wrong.status, wrong.find("//input[@id='f-q']")[0].get("value")) == (400, "port:22")
    assert "is not a time" in wrong.words("//p[@role='alert']") or "scan" in wrong.words("//p[@role='alert']")
