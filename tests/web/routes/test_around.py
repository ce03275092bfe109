"""The graph around a host."""

from __future__ import annotations

import pytest

from tests.support import samples
from tests.web.site import Site

pytestmark = pytest.mark.engine


def test_the_graph_can_be_walked(site: Site) -> None:
    """From a host to one that shares a network with it, and back; drawn, and as a table; by one kind of tie."""
    ip, other = "10.212.77.4", "10.212.77.9"  # a network of their own: of a fuller one, the first hosts are drawn
    for one in (ip, other):
        site.node.submitted(samples.scan_of(one, 80))
    page = site.page(f"/hosts/{ip}/around", "admin", relation="network")
    assert page.find("//*[local-name()='svg']//*[@role='img']")
    (link,) = {link.get("href") for link in page.find("//figure//table//a") if link.text == other}
    back = site.page(link)
    assert back.status == 200
    assert f"/hosts/{ip}/around" in {link.get("href") for link in back.find("//figure//a")}
    everything = site.page(f"/hosts/{ip}/around")
    assert "network" in everything.words("//section[last()]//table")


def test_alone_or_unknown(site: Site) -> None:
    """Who shares nothing of a kind is told so with what to do; a host never seen is no page."""
    ip = samples.address()
    site.node.submitted(samples.scan_of(ip, 80))
    assert "shares no certificate" in site.page(f"/hosts/{ip}/around", "admin", relation="certificate").words()
    assert site.page("/hosts/203.0.113.250/around").status == 404
    assert site.page(f"/hosts/{ip}/around", "admin", relation="fate").status == 400
