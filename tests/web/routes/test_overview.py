"""The first page and what happened, as a browser without scripts sees them."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.support import samples
from tests.web.site import Site


def test_what_is_new_is_shown_until_it_was_seen(site: Site) -> None:
    """A host that came in, with a link; then nothing is new any more."""
    ip = samples.address()
    site.node.submitted(samples.scan_of(ip, 8080, at=datetime.now(UTC)))
    page = site.page("/", "user")
    assert page.status == 200
    assert page.find(f'//a[@href="/hosts/{ip}"]')
    assert len(page.response.content) < 150_000
    after = site.after("/", "/overview/seen", "user")
    assert "What comes from now on is new" in after.words()
    assert not after.find(f'//section[@id="news"]//a[@href="/hosts/{ip}"]')
    again = site.page("/", "user", since="1h")
    assert again.find(f'//section[@id="news"]//a[@href="/hosts/{ip}"]')
    assert again.find('//nav[@aria-label="Since"]//a[@aria-current="page"]')


def test_a_reader_sees_no_machines(site: Site) -> None:
    """Parts that the scopes do not allow are not there; nor is what was done with privileges."""
    page = site.page("/", "read-only")
    assert page.status == 200
    assert "Turned away" not in page.words()
    assert "Turned away" in site.page("/").words()
    assert "security events" in site.page("/activity", "read-only").text
    about = {cell.text for cell in site.page("/activity", "read-only").find("//tbody/tr/td[2]")}
    assert about
    assert "account" not in about


def test_activity_is_searched_and_paged(site: Site) -> None:
    """By text, topic and time; markup in an entry is text."""
    hostile = "<script>alert(1)</script>"
    body = {"network": "198.51.100.77/32", "reason": hostile}
    assert site.node.ask("POST", "/v0/blocks", json=body).status_code < 300
    found = site.page("/activity", q="198.51.100.77", topic="security", since="1h")
    assert "may not use the API" in found.words("//section[@id='entries']")
    assert hostile not in found.text
    assert "Nothing happened that fits" in site.page("/activity", q="no such thing at all").words()
    older = site.page("/activity", "admin", before=3)
    assert older.find('//nav[@class="pager"]//a')
