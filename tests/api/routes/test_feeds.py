"""Feeds over HTTP: taken as a file or from a URL, bounded, refused with a reason, and each change on record."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from spectra.flow.download import Bounds
from tests.api.node import Node, is_problem
from tests.flow.feedfiles import cities, places, routes
from tests.flow.test_download import LOOPBACK, say, site
from tests.support import samples
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine


@pytest.fixture(autouse=True)
def tidy(node: Node) -> Iterator[None]:
    """Feeds are the whole node's: none is left for other tests."""
    yield
    for feed in node.services.feeds.status().feeds:
        node.services.feeds.remove(feed.name, by="test")


def put(node: Node, name: str, file: Path, role: str = "admin", **params: str) -> httpx.Response:
    """Send a file."""
    headers = {"content-type": "application/octet-stream"}
    return node.ask("PUT", f"/v0/feeds/{name}", role, content=file.read_bytes(), params=params, headers=headers)


def test_a_file_becomes_a_feed(node: Node, tmp_path: Path) -> None:
    """It is described alone and in the list, and hosts that come in then have places."""
    changed = put(node, "cities", cities(tmp_path)).json()
    assert (changed["outcome"], changed["feed"]["kind"], changed["feed"]["networks"]) == ("added", "geo", 10)
    assert changed["feed"]["taken_by"].startswith("admin-")
    page = node.get("/v0/feeds").json()
    assert page["feed_set"] == changed["feed_set"]
    assert [feed["name"] for feed in page["feeds"]] == ["cities"]
    assert node.get("/v0/feeds/cities").json()["sha256"] == changed["feed"]["sha256"]
    stored = node.get(f"/v0/feed-sets/{changed['feed_set']}").json()
    assert stored["feeds"]["cities"]["sha256"] == changed["feed"]["sha256"]
    node.submitted(samples.scan_of("192.0.2.1", 22))
    (facts,) = node.services.feeds.facts(["192.0.2.1"])
    assert facts.place.city == "Paris"


def test_the_life_of_a_feed(node: Node, tmp_path: Path) -> None:
    """Replaced, rolled back, removed; each change is an entry of the chain."""
    entries = node.entries()
    put(node, "cities", cities(tmp_path))
    assert put(node, "cities", cities(tmp_path, "Lyon")).json()["outcome"] == "updated"
    rolled = node.ask("POST", "/v0/feeds/cities/rollback").json()
    assert (rolled["outcome"], rolled["networks_before"]) == ("rolled_back", 10)
    assert node.ask("DELETE", "/v0/feeds/cities").json()["outcome"] == "removed"
    assert len(node.recorded(entries)) == 4
    for path in ("/v0/feeds/cities", "/v0/feed-sets/2000000000"):
        is_problem(node.get(path), 404, "not_found")
    is_problem(node.ask("POST", "/v0/feeds/cities/rollback"), 404, "not_found")
    is_problem(node.ask("POST", "/v0/feeds/cities/update"), 404, "not_found")
    is_problem(node.ask("DELETE", "/v0/feeds/cities"), 404, "not_found")


def test_what_is_refused_says_why(node: Node, tmp_path: Path) -> None:
    """With line and field where there are any; the last good one stays."""
    put(node, "cities", cities(tmp_path))
    bad = places(tmp_path, "192.0.2.0/27,FR,FR-IDF,Lyon,", "192.0.2.0/99,FR,,,")
    assert is_problem(put(node, "cities", bad), 422, "feed_corrupt")["line"] == 2
    one = places(tmp_path, "192.0.2.0/27,FR,FR-IDF,Lyon,", name="one.csv")
    is_problem(put(node, "cities", one), 409, "feed_shrunk")
    is_problem(put(node, "cities", routes(tmp_path, ("192.0.2.0/24", 64496))), 409, "feed_other_kind")
    is_problem(put(node, "new", places(tmp_path, "hello")), 422, "feed_unknown")
    is_problem(put(node, "cities", places(tmp_path, "192.0.2.0/27"), provider="No Such"), 422, "feed_provider")
    is_problem(node.ask("POST", "/v0/feeds/cities/update"), 409, "feed_no_source")
    is_problem(node.ask("POST", "/v0/feeds/cities/rollback"), 409, "feed_no_previous")
    assert node.get("/v0/feeds/cities").json()["error"]
    assert put(node, "cities", one, force="true").json()["outcome"] == "updated"


@pytest.mark.parametrize("name", ["Cities", "a" * 65, "-x", "a%2Fb", "a b"])
def test_names_are_plain_words(node: Node, tmp_path: Path, name: str) -> None:
    """They are file names and arguments elsewhere."""
    assert put(node, name, cities(tmp_path)).status_code in (400, 404)


def test_plain_lists_need_a_provider(node: Node, tmp_path: Path) -> None:
    """Said, or told by the name of the file or of the feed."""
    plain = places(tmp_path, *(f"198.51.100.{n}/32" for n in range(4)))
    assert put(node, "lists", plain, provider="acme").json()["feed"]["provider"] == "acme"
    assert put(node, "more", plain, filename="../cloudflare-v4.txt").json()["feed"]["provider"] == "cloudflare"
    assert put(node, "fastly", plain).json()["feed"]["provider"] == "fastly"
    is_problem(put(node, "unknown", plain), 422, "feed_provider")


def test_a_feed_from_a_url(node: Node, tmp_path: Path) -> None:
    """Fetched by the server, from where it is allowed to; updated from there."""
    with site(lambda handler: say(handler, 200, cities(tmp_path).read_bytes())) as url:
        asked = {"url": f"{url}/places.csv?key=secret"}
        is_problem(node.ask("PUT", "/v0/feeds/cities", json=asked), 403, "feed_url_refused")
        feeds = node.services.feeds
        bounds, feeds._bounds = feeds._bounds, Bounds(feeds.max_bytes, 20.0, LOOPBACK)
        try:
            added = node.ask("PUT", "/v0/feeds/cities", json=asked).json()
            assert added["feed"]["source"] == f"{url}/places.csv?key=..."
            assert node.ask("POST", "/v0/feeds/cities/update").json()["outcome"] == "unchanged"
        finally:
            feeds._bounds = bounds
    is_problem(node.ask("PUT", "/v0/feeds/cities", json={"url": "x"}), 400, "bad_request")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"url": 7}', b'{"url": "https://x", "more": 1}'])
def test_json_says_where_to_fetch_from(node: Node, body: bytes) -> None:
    """Anything else that claims to be JSON is told how to send a file that is JSON itself."""
    headers = {"content-type": "application/json; charset=utf-8"}
    response = node.ask("PUT", "/v0/feeds/cities", content=body, headers=headers)
    assert "octet-stream" in is_problem(response, 400, "bad_request")["hint"]


def test_bodies_are_bounded(node: Node) -> None:
    """By the setting, whether the client says how much it sends or not; nothing is left on disk."""
    feeds = node.services.feeds
    bounds, feeds._bounds = feeds._bounds, Bounds(5000, 20.0)
    try:
        is_problem(node.ask("PUT", "/v0/feeds/cities", content=b"x" * 5001), 413, "too_large")
        chunked = (b"x" * 1000 for _ in range(6))
        is_problem(node.ask("PUT", "/v0/feeds/cities", content=chunked), 413, "too_large")
    finally:
        feeds._bounds = bounds
    assert not list(feeds._tables._folder.glob("incoming-*"))


READERS = ["read-only", "user", "contributor", "automation", "admin"]
WRITES = [("PUT", ""), ("DELETE", ""), ("POST", "/update"), ("POST", "/rollback")]


def test_who_may_do_what(node: Node, tmp_path: Path) -> None:
    """Readers look; admins and automation change."""
    put(node, "cities", cities(tmp_path))
    for role in READERS:
        assert node.get("/v0/feeds", role).status_code == 200
        assert node.get("/v0/feeds/cities", role).status_code == 200
    assert put(node, "cities", cities(tmp_path, "Lyon"), "automation").status_code == 200
    for role in ("read-only", "user", "contributor", "module"):
        for method, verb in WRITES:
            is_problem(node.ask(method, f"/v0/feeds/cities{verb}", role), 403, "forbidden")
        is_problem(node.ask("POST", "/v0/enrich", role), 403, "forbidden")
    is_problem(node.ask("PUT", "/v0/feeds/cities", ""), 401, "unauthenticated")


def test_all_hosts_follow(node: Node, tmp_path: Path) -> None:
    """A workflow that tells how far it is, and what rests on older feeds is none then."""
    ip = samples.address()
    node.submitted(samples.scan_of(ip, 22))
    put(node, "cities", places(tmp_path, f"{ip}/32,FR,FR-IDF,Paris,"))
    page = node.get("/v0/feeds").json()
    assert page["hosts_behind"] == page["hosts"] > 0
    begun = node.ask("POST", "/v0/enrich")
    assert begun.status_code == 202
    path = f"/v0/workflows/{begun.json()['workflow_id']}"
    eventually(lambda: node.get(path).json()["status"] == "done")
    record = node.get(path).json()
    assert record["name"] == "wf.relocate"
    assert record["done"] == record["total"] == page["hosts"]
    assert node.get("/v0/feeds").json()["hosts_behind"] == 0
