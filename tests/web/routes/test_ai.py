"""Language models on a page."""

from __future__ import annotations

import pytest

from tests.web.site import Site

pytestmark = pytest.mark.engine


def test_how_it_stands_with_models(site: Site) -> None:
    """Providers with their state, agents, and an empty week that says so; one's own unless one may see all."""
    page = site.page("/ai", "user")
    assert page.find("//section[1]//tbody/tr/th")
    assert "No model was asked anything." in page.words()
    assert "Nothing of yours." in page.words("//section[@id='left']")
    assert page.find("//input[@name='all']") == []
    assert site.page("/ai", "user", all="true", by="rubbish").status == 200
    assert site.page("/ai", all="true").find("//input[@name='all']/@checked")
    assert site.page("/ai", cursor="x").status == 400
