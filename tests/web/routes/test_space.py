"""Maps of what matches."""

from __future__ import annotations

import pytest

from tests.support import samples
from tests.web.site import Site

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def scanned(site: Site) -> None:
    """Two hosts of one network."""
    site.node.submitted(samples.nmap(samples.nmap_host("100.90.5.1", 80), samples.nmap_host("100.90.5.2", 80)))


@pytest.mark.usefixtures("scanned")
@pytest.mark.parametrize("kind", ["hilbert", "heat"])
def test_networks_are_walked_into(site: Site, kind: str) -> None:
    """By the links of the map, the same as in its table; the last step leads to the hosts, the path back up."""
    path = f"/space?kind={kind}&q=ip:100.90.5.1,100.90.5.2"
    if kind == "heat":
        path += "&within=100.0.0.0/8"
    steps: list[str] = []
    page = site.page(path, "read-only")
    while path.startswith("/space"):
        page = site.page(path, "read-only")
        assert page.status == 200
        assert page.find("//*[@role='img']/title")[0].text.startswith("Hosts in")
        steps.append(page.find("//figure//table//a")[0].text)
        path = page.find("//figure//table//a/@href")[0]
        assert path in page.find("//*[local-name()='svg']//a/@href")
    assert steps[-3:] == ["100.90.0.0/16", "100.90.5.0/24", "100.90.5.1/32"]
    assert site.page(path).words("//section[@id='results']").startswith("1 open endpoint")
    assert page.find("//nav[@class='crumbs']//a")[0].text == "All of IPv4"


@pytest.mark.usefixtures("scanned")
def test_time_is_walked_into(site: Site) -> None:
    """A bar leads to what was last seen then."""
    page = site.page("/space", kind="time", q="net:100.90.5.0/24", unit="hour")
    (path,) = page.find("//figure//table//a/@href")
    assert site.page(path).words("//section[@id='results']").startswith("2 open endpoints")
    assert [one.text for one in page.find("//main//*[@aria-current='page']")] == ["Timeline", "by hour"]


@pytest.mark.usefixtures("scanned")
def test_where_nothing_is_known_that_is_said(site: Site) -> None:
    """No feed says in which country these are; no host matches."""
    assert "Nothing to draw." in site.page("/space", kind="world", q="net:100.90.5.0/24").words()
    assert "Nothing to draw." in site.page("/space", q="product:nonesuch").words()


@pytest.mark.parametrize(
    "params", [{"within": "10.0.0.0/30"}, {"within": "2001:db8::/32"}, {"q": "nofield:1"}, {"within": "x"}]
)
def test_what_cannot_be_drawn_is_said(site: Site, params: dict[str, str]) -> None:
    """Above the form, which keeps what was typed."""
    page = site.page("/space", **params)
    assert page.status == 400
    assert page.find("//*[@role='alert']")


def test_the_older_path_leads_here(site: Site) -> None:
    """With what was asked."""
    page = site.page("/search/map", kind="heat", q="port:80")
    assert (page.status, page.response.headers["location"]) == (303, "/space?kind=heat&q=port%3A80")
