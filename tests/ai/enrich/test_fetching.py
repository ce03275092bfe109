"""The bounded fetch, against a real server: what it takes, and all that it does not."""

from __future__ import annotations

import hashlib
from ipaddress import IPv6Address, ip_address
from pathlib import Path

import pytest

from spectra.ai.enrich import fetching
from spectra.ai.enrich.fetching import FetchRefused, unmapped
from spectra.errors import Unavailable
from tests.ai.enrich.conftest import Left, Making
from tests.support import tls
from tests.support.webs import Site, Web


def reason(making: Making, url: str, **changes: object) -> str:
    """Why a URL is not fetched."""
    with pytest.raises(FetchRefused) as refused:
        making(**changes).get(url, "alice")
    return refused.value.reason


def test_a_page_and_what_is_on_record_of_it(making: Making, web: Web, left: Left) -> None:
    """Its bytes, their hash, and an entry made before anything left. Nothing of ours goes along."""
    web.sites["/api?cve=CVE-2024-6387"] = Site(b'{"a": 1}')
    page = making().get(web.url("/api?cve=CVE-2024-6387#part"), "alice")
    assert (page.body, page.media_type) == (b'{"a": 1}', "application/json")
    assert page.sha256 == hashlib.sha256(b'{"a": 1}').hexdigest()
    assert page.source.url == web.url("/api?cve=CVE-2024-6387")
    assert page.record == f"page:{page.sha256}"
    assert left == [("alice", "localhost", b"GET /api?cve=CVE-2024-6387")]
    assert set(web.headers[0]) == {"host", "accept", "accept-encoding", "connection", "user-agent"}


@pytest.mark.parametrize(
    "url",
    [
        "http://{host}/",
        "https://other.example/",
        "https://{host}.evil.example/",
        "https://evil.example#{host}",
        "https://{host}@evil.example/",
        "https://user:password@{host}/",
        "https://localhost/",  # the host, at a port that is not listed
        "https://127.0.0.1:{port}/",  # its address, which is not listed
        "https://[::1]:{port}/",
        "https://2130706433:{port}/",
        "file:///etc/passwd",
        "https://{host}/" + "x" * 1000,
        "https://{host}/\nx",
        "https://{host}/é",
        "https:///",
        "",
    ],
)
def test_urls_that_are_not_fetched(making: Making, web: Web, left: Left, url: str) -> None:
    """Not https, not a listed host and port, or not written as URLs are: nothing leaves."""
    url = url.format(host=web.host, port=web.host.partition(":")[2])
    assert reason(making, url) == "fetch_refused"
    assert not making().allows(url)
    assert (web.asked, left) == ([], [])


def test_nothing_is_fetched_where_that_is_off(making: Making, web: Web) -> None:
    """As it is unless the settings say otherwise."""
    assert reason(making, web.url(), on=False) == "fetch_off"
    assert not web.asked


def test_a_listed_name_at_an_own_address_is_not_fetched(making: Making, web: Web) -> None:
    """A name may be made to mean this machine, or one behind it: its address has to be public, or allowed."""
    web.sites["/"] = Site(b"{}")
    assert reason(making, web.url(), allow=()) == "fetch_failed"
    assert not web.asked


@pytest.mark.parametrize(
    "text",
    [
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "127.0.0.1",
        "::1",
        "fe80::1",
        "10.0.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "ff0e::1",
        "64:ff9b::a00:1",
        "192.0.2.1",
        "fc00::1",
    ],
)
def test_addresses_that_are_not_public(making: Making, text: str) -> None:
    """However they are written, also within IPv6, and those of groups."""
    assert not making(allow=())._may(ip_address(text))


def test_public_addresses_are() -> None:
    """NAT64 of a public address is that address."""
    assert unmapped(IPv6Address("64:ff9b::808:808")) == ip_address("8.8.8.8")


def test_redirects_are_held_to_the_same(making: Making, web: Web, left: Left) -> None:
    """To a listed host one is followed, a few times, each on record; to others it is not."""
    web.sites["/a"] = Site(status=302, headers=(("location", "/b"),))
    web.sites["/b"] = Site(b"[]")
    assert making().get(web.url("/a"), "alice").url == web.url("/b")
    assert [sent for _, _, sent in left] == [b"GET /a", b"GET /b"]
    for there in ("https://evil.example/", "http://" + web.host, "//127.0.0.1/", "https://x@" + web.host):
        web.sites["/c"] = Site(status=301, headers=(("location", there),))
        assert reason(making, web.url("/c")) == "fetch_refused"
    web.sites["/loop"] = Site(status=307, headers=(("location", "/loop"),))
    assert reason(making, web.url("/loop")) == "fetch_failed"


@pytest.mark.parametrize(
    ("site", "why"),
    [
        (Site(b"{}", status=404), "fetch_failed"),
        (Site(b"x", "application/zip"), "fetch_type"),
        (Site(b"x", ""), "fetch_type"),
        (Site(b"x", headers=(("content-encoding", "gzip"),)), "fetch_type"),
        (Site(b"", claims=10**12, stalls=True), "fetch_too_large"),
        (Site(b"x" * 3000), "fetch_too_large"),
        (Site(b"xx", claims=1000), "fetch_failed"),  # cut off
    ],
)
def test_answers_that_are_not_taken(
    making: Making, web: Web, site: Site, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of another type, packed, too large by their claim or in fact, broken off."""
    monkeypatch.setattr(fetching, "MAX_BYTES", 2000)
    web.sites["/"] = site
    assert reason(making, web.url("/")) == why


@pytest.mark.parametrize("site", [Site(b"{", claims=100, stalls=True), Site(trickles=True)], ids=["body", "headers"])
def test_a_server_that_does_not_end(making: Making, web: Web, site: Site) -> None:
    """Is given up, also where it says a little now and then."""
    web.sites["/"] = site
    assert reason(making, web.url("/"), within_s=0.3) == "fetch_too_slow"


def test_another_ca_is_not_trusted(making: Making, web: Web, tmp_path: Path) -> None:
    """The certificate has to be of a CA that is trusted here."""
    other = tls.client_context(tls.authority(tmp_path / "other"))
    assert reason(making, web.url("/"), verify=other) == "fetch_failed"
    assert reason(making, web.url("/"), verify=None) == "fetch_failed"
    assert not web.asked


def test_nothing_leaves_that_is_not_on_record(making: Making, web: Web) -> None:
    """Where the entry cannot be made, nothing is sent."""

    def away(account: str, host: str, sent: bytes) -> None:
        raise Unavailable("the database is away")

    with pytest.raises(Unavailable):
        making(leaving=away).get(web.url("/"), "alice")
    assert not web.asked
