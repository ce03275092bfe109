"""The provenance chain on pages."""

from __future__ import annotations

import hashlib

import pytest

from tests.support import samples
from tests.support.waiting import eventually
from tests.web.site import Page, Site

pytestmark = pytest.mark.engine


def walked(site: Site) -> Page:
    """The page once no walk is under way."""
    eventually(lambda: bool(site.page("/provenance").find("//form[@action='/provenance/verify']")))
    return site.page("/provenance")


def test_the_chain_is_looked_through(site: Site) -> None:
    """The newest first, by kind, by what it is about, by number, and page by page."""
    receipt = site.node.submitted(samples.scan_of(samples.address(), 80))
    number = receipt["observation_id"]
    page = site.page("/provenance", "user", subject=number)
    assert page.find(f"//td/a[@href='/observations/{number}']")
    assert [row.text_content() for row in page.find("//tbody/tr/td[3]")][-1] == "observation.accepted"
    seq = int(page.find("//tbody/tr[last()]/td[1]/a/@href")[0].rpartition("/")[2])
    assert site.page(f"/provenance?at={seq}").response.headers["location"] == f"/provenance/{seq}"
    older = site.page("/provenance", cursor=str(seq))
    assert older.find("//tbody/tr[1]/td[1]/a/@href") == [f"/provenance/{seq - 1}"]
    assert "No such entry." in site.page("/provenance", kind="nothing").words()
    assert site.page("/provenance", cursor="x").status == 400


def test_an_entry_is_proved(site: Site) -> None:
    """All that is hashed stands on its page; what those with privileges did is withheld from others."""
    site.node.of("user")
    newest = site.node.get("/v0/provenance/entries", kind="key", limit=1).json()["entries"][0]
    path = f"/provenance/{newest['seq']}"
    page = site.page(path)

    def told(name: str) -> str:
        return page.find(f"//code[@id='entry-{name}']")[0].text_content()

    text = bytes.fromhex(told("previous")) + told("text").encode() + told("at").encode()
    assert hashlib.sha256(text).hexdigest() == told("hash")
    assert len(page.find("//li/span[contains(@class, 'st-good')]")) >= 2
    hidden = site.page(path, "user")
    assert "audit:read" in hidden.words()
    assert hidden.find("//pre") == []
    assert site.page("/provenance/999999999").status == 404


def test_the_chain_is_walked(site: Site) -> None:
    """In the background: the page tells how it went, and names what is broken."""
    site.node.submitted(samples.scan_of(samples.address(), 80))
    assert "is being walked" in site.after("/provenance", "/provenance/verify", depth="deep").words()
    page = walked(site)
    assert "The chain holds" in page.words("//section[@id='walk']")
    assert "every row of the graph" in page.words("//section[@id='walk']")
    database = site.node.services.database
    try:
        with database.connection() as connection:
            connection.execute("UPDATE provenance SET at = at || ' ' WHERE seq = 2")
        site.after("/provenance", "/provenance/verify", depth="quick")
        page = walked(site)
        assert page.find("//section[@id='walk']//a/@href") == ["/provenance/2"]
    finally:
        with database.connection() as connection:
            connection.execute("UPDATE provenance SET at = rtrim(at) WHERE seq = 2")
