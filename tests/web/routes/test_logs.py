"""The log as a page, for admins."""

from __future__ import annotations

from tests.web.site import Site


def test_the_log_is_a_page_for_admins(site: Site) -> None:
    """With search, and words where nothing fits."""
    assert "No record fits" in site.page("/logs", q="no such words in any record").words()
    assert site.page("/logs", level="error", since="1h").status == 200
    assert site.page("/logs", "user").status == 403
