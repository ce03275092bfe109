"""Saved searches on pages."""

from __future__ import annotations

import pytest

from tests.web.site import Site

pytestmark = pytest.mark.engine


def test_a_search_is_kept_found_and_forgotten(site: Site) -> None:
    """From the page that it was made on; everyone sees their own."""
    done = site.after("/search?q=port:22&sort=ip", "/search/saved", "user", name="my ssh")
    assert "Saved as my ssh." in done.words()
    assert done.find("//a[.='my ssh']/@href") == ["/search?q=port%3A22&sort=ip"]
    assert "port:22" in site.page("/search/saved", "user").words("//table")
    assert "You keep no search yet." in site.page("/search/saved", "read-only").words()
    gone = site.after("/search/saved", "/search/saved/remove", "user")
    assert "my ssh is forgotten." in gone.words()
    assert gone.find("//table") == []


def test_what_is_no_name_is_said(site: Site) -> None:
    """On the page of the search, which is as it was."""
    done = site.after("/search?q=port:22", "/search/saved", "user", name="../x")
    assert "That is no name for a search." in done.words("//p[@role='status']")
    assert done.find("//input[@id='q']/@value") == ["port:22"]
