"""Feeds on a page."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.flow.feedfiles import cities
from tests.web.site import Site

pytestmark = pytest.mark.engine


def test_a_feed_of_places_is_steered(site: Site, tmp_path: Path) -> None:
    """Its age and networks; one that came as a file is not fetched again; it can be done without."""
    services = site.node.services
    services.feeds.upload("cities", cities(tmp_path), by="test")
    page = site.page("/feeds", "user")
    assert "geo" in page.words("//section[@id='places']//tr[th='cities']")
    assert page.find("//main//form") == []
    assert site.page("/feeds").find("//button[@aria-label='Fetch cities again']/@disabled")
    refused = site.after("/feeds", "/feeds/places/cities/update")
    assert refused.find("//p[@role='status'][contains(@class, 'bad')]")
    gone = site.after("/feeds", "/feeds/places/cities/remove")
    assert "cities is removed." in gone.words()
    assert "No feed says where hosts are." in gone.words()


def test_a_feed_from_a_url_that_is_refused(site: Site) -> None:
    """Plain http is fetched from nowhere that is not allowed; the page says so."""
    page = site.after("/feeds", "/feeds/places", name="geo", url="http://127.0.0.1:9/geo.csv")
    assert "plain http" in page.words("//p[@role='status']")
    page = site.after("/feeds", "/feeds/weaknesses", name="../x", url="https://192.0.2.1/kev.json")
    assert page.find("//p[@role='status'][contains(@class, 'bad')]")


def test_a_feed_of_weaknesses_is_taken_in_by_a_workflow(site: Site) -> None:
    """The page says that it has begun, and then what came of it; it can be done without."""
    begun = site.after("/feeds", "/feeds/weaknesses", name="kev-x", url="http://127.0.0.1:9/kev.json")
    assert "kev-x is being taken in" in begun.words()
    assert "kev-x" in begun.words("//section[@id='weaknesses']")
    gone = site.after("/feeds", "/feeds/weaknesses/kev-x/remove")
    assert gone.words("//p[@role='status']")


def test_hosts_are_looked_up_again(site: Site) -> None:
    """By those who may, as a workflow whose page it leads to."""
    with site.visit("admin", follow_redirects=True) as client:
        answer = client.post("/feeds/enrich", data=site.page("/feeds").form("/feeds/places"))
    assert answer.url.path.startswith("/workflows/")
    assert site.page("/feeds", "module").status == 403
