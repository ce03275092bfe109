"""What a search found as a file."""

from __future__ import annotations

import pytest

from tests.support import samples
from tests.web.site import Site

pytestmark = pytest.mark.engine


def test_what_was_found_is_saved(site: Site) -> None:
    """By the links of its page, each to a whole file, for a browser to save and not to show."""
    site.node.submitted(samples.nmap(samples.nmap_host("100.90.2.77", 80, 81)))
    links = site.page("/search", "read-only", q="ip:100.90.2.77").find("//a[@download]/@href")
    assert len(links) == 4
    with site.visit("read-only") as client:
        for link in links:
            answer = client.get(link)
            assert answer.status_code == 200
            assert "100.90.2.77" in answer.text
            assert answer.headers["content-disposition"].startswith("attachment; ")
            assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("params", [{"q": "nofield:1"}, {"format": "yaml"}])
def test_what_cannot_be_exported_is_a_page(site: Site, params: dict[str, str]) -> None:
    """That says why."""
    page = site.page("/search/export", **params)
    assert page.status == 400
    assert "There is no" in page.words() or "there is no" in page.words()
