"""Contributions on a page."""

from __future__ import annotations

import pytest

from tests.support import samples
from tests.web.site import Site

pytestmark = pytest.mark.engine


def test_who_contributed_and_who_wants_to_be_named(site: Site) -> None:
    """One's own standing, the list of all, and leaving one's name out of it."""
    site.node.submitted(samples.scan_of(samples.address(), 80, at=site.node.services.clock()), "contributor")
    name = site.node.of("contributor").name
    page = site.page("/leaderboard", "contributor", span="all")
    assert page.words(f"//tr[th='{name}']")
    assert "Pro is earned by 1 000 endpoints" in page.words()
    hidden = site.after("/leaderboard", "/leaderboard", "contributor")
    assert "Your name is left out." in hidden.words()
    assert hidden.find(f"//tr[th='{name}']") == []
    assert "Your name is on it." in site.after("/leaderboard", "/leaderboard", "contributor").words()
    assert site.page("/leaderboard", cursor="rubbish").status == 400
