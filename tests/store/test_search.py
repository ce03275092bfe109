"""Pages of matches: what a match tells, the order, and cursors that stay right while data changes."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Iterator
from datetime import datetime, timedelta

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spectra.errors import BadRequest
from spectra.model.facts import HostFacts, Place
from spectra.model.observation import Certificate, EndpointSeen, HostSeen, Service
from spectra.model.query import Query, parse
from spectra.model.records import Match, SearchPage
from spectra.store import lookups, search
from spectra.store.conditions import Condition, Filter
from spectra.store.database import Database, one
from tests.store.scribe import T0, Scribe, host, seen

HOUR = timedelta(hours=1)
ALL = Query()


def pages(database: Database, query: Query = ALL, *, sort: str = "last_seen", limit: int = 7) -> Iterator[SearchPage]:
    """Every page, asked for one after the other."""
    cursor = ""
    while True:
        page = search.search(database, query, sort=sort, cursor=cursor, limit=limit)
        yield page
        cursor = page.next_cursor
        if not cursor:
            return


def keys(matches: tuple[Match, ...] | list[Match]) -> list[tuple[str, int]]:
    """(ip, port) of matches, in order."""
    return [(m.ip, m.port) for m in matches]


@pytest.fixture(params=["walked", "sorted"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to a page, which a small store would not take by itself: a walk of a few endpoints, and sorting."""
    if request.param == "walked":
        monkeypatch.setattr(search, "FEW_MATCHES", 0)
        monkeypatch.setattr(search, "MIN_REACH", 20)
        monkeypatch.setattr(search, "MAX_REACH", 40)
    return request.param


# One match -----------------------------------------------------------------------------------------------------------


def test_a_match_tells_where_it_is_and_whose_word_it_is(database: Database, write: Scribe) -> None:
    """Place, system, device, CPE names, and the one untrusted contributor who claims it."""
    place = Place(64496, "Example Net", "FR", "France", city="Paris", latitude=48.86, longitude=2.35)
    service = Service(name="ssh", product="OpenSSH", os="Linux", device="router", cpe=("cpe:/a:openbsd:openssh",))
    endpoint = msgspec.structs.replace(seen(22), service=service)
    write([HostFacts("10.0.0.1", 1, place), host("10.0.0.1", T0, endpoint)], contributor="mallory", trust=0.1)
    write([host("10.0.0.2", T0, seen(22))])
    first, second = search.search(database, ALL, sort="ip").matches
    assert (first.place, first.os, first.device, first.cpe) == (place, "Linux", "router", service.cpe)
    assert (first.sole, second.sole, second.place) == ("mallory", "", None)


def test_a_match_tells_what_is_known(database: Database, write: Scribe) -> None:
    """Service, first 200 characters of the banner, title, certificate's name and the host's names come along."""
    certificate = Certificate("ab" * 32, subject_cn="example.org")
    service = Service(name="http", product="nginx", version="1.25", extra="Ubuntu", tunnel="tls")
    endpoint = seen(443, banner="x" * 300, title="Log in", certificate=certificate)
    endpoint = msgspec.structs.replace(endpoint, service=service)
    write([host("10.0.0.1", T0, endpoint, names=["b.example.org", "a.example.org"])])
    write([host("10.0.0.1", T0 + HOUR, seen(443))])
    (match,) = search.search(database, ALL).matches
    assert match == Match(
        ip="10.0.0.1",
        port=443,
        protocol="tcp",
        state="open",
        first_seen=T0,
        last_seen=T0 + HOUR,
        service="http",
        product="nginx",
        version="1.25",
        extra="Ubuntu",
        tunnel="tls",
        title="Log in",
        banner="x" * 200,
        certificate_cn="example.org",
        hostnames=("a.example.org", "b.example.org"),
    )


def test_a_match_of_which_nothing_is_known(database: Database, write: Scribe) -> None:
    """A bare open port has empty fields, not missing ones; a closed one keeps when it was last open."""
    write([host("2001:db8::1", T0, seen(53, protocol="udp"))])
    write([host("2001:db8::1", T0 + HOUR, seen(53, protocol="udp", state="closed"))])
    assert search.search(database, ALL) == SearchPage(())
    page = search.search(database, parse("state:closed", T0))
    assert page == SearchPage((Match("2001:db8::1", 53, "udp", "closed", T0, T0),))


def test_the_names_of_one_match_are_bounded(database: Database, write: Scribe) -> None:
    """A host behind a thousand sites does not make a match of a thousand names; one of two kinds is told once."""
    names = [f"site{number:04}.example.org" for number in range(search.MAX_NAMES + 9)]
    write([host("10.0.0.1", T0, seen(80), names=names)])
    with database.connection() as connection:
        connection.execute("INSERT INTO hostname SELECT ip, name, 'ptr', first_seen, last_seen FROM hostname")
    (match,) = search.search(database, ALL).matches
    assert match.hostnames == tuple(names[: search.MAX_NAMES])


# Order and pages -----------------------------------------------------------------------------------------------------


def crowd(write: Scribe) -> list[Match]:
    """Sixty open endpoints, many with the same times, on addresses whose text sorts differently than they do."""
    addresses = ["9.0.0.1", "10.0.0.2", "10.0.0.10", "10.0.0.9", "100.0.0.1", "2001:db8::2", "2001:db8::10", "::1"]
    made: list[Match] = []
    for number, ip in enumerate(addresses):
        first, last = T0 + (number % 3) * HOUR, T0 + (4 + number % 2) * HOUR
        endpoints = [seen(port, "http", "nginx") for port in (22, 80, 443, 8080, 100 + number, 7)]
        endpoints.append(seen(53, "dns", protocol="udp"))
        endpoints.append(seen(53, "dns"))
        write([host(ip, first, *endpoints)])
        write([host(ip, last, *endpoints[1:])])
        for index, e in enumerate(endpoints):
            name, product = ("dns", "") if e.port == 53 else ("http", "nginx")
            last_seen = last if index else first
            made.append(Match(ip, e.port, e.protocol, "open", first, last_seen, service=name, product=product))
    return made


def in_order(matches: list[Match], sort: str) -> list[Match]:
    """`matches` by the definition of the sort."""

    def key(m: Match) -> tuple[object, ...]:
        address = ipaddress.ip_address(m.ip)
        ip, number = (address.version, int(address)), {"tcp": 6, "udp": 17}[m.protocol]
        rest = (m.port, ip, number) if sort.endswith("port") else (ip, m.port, number)
        time = {"last_seen": m.last_seen, "first_seen": m.first_seen}.get(sort.removeprefix("-"))
        return (-time.timestamp(), *rest) if time else rest

    return sorted(matches, key=key, reverse=sort.startswith("-"))


SORTS = [sign + sort for sort in search.SORTS for sign in ("", "-")]


@pytest.mark.parametrize("sort", SORTS)
def test_pages_are_the_matches_in_order(database: Database, write: Scribe, way: str, sort: str) -> None:
    """Each sort, both ways round, in pages of every size: together they are all matches in the defined order."""
    wanted = in_order(crowd(write), sort)
    with database.connection() as connection:
        connection.execute("ANALYZE endpoint")
    for limit in (1, 7, 63, 64, 65):
        parts = list(pages(database, sort=sort, limit=limit))
        assert [m for page in parts for m in page.matches] == wanted
        assert all(len(page.matches) == limit for page in parts[:-1])
        assert parts[-1].matches


def test_a_query_narrows_every_page(database: Database, write: Scribe, way: str) -> None:
    """Filters, also those that bound the sort's own column, hold on each page and in each order."""
    made = crowd(write)
    asked = {
        "port:53": [m for m in made if m.port == 53],
        "net:10.0.0.0/8": [m for m in made if m.ip.startswith("10.")],
        f"since:{(T0 + 4 * HOUR).isoformat()}": [m for m in made if m.last_seen >= T0 + 4 * HOUR],
        f"before:{(T0 + 5 * HOUR).isoformat()} -service:dns": [
            m for m in made if m.last_seen < T0 + 5 * HOUR and m.service == "http"
        ],
        "port:1024-65535 product:nginx": [m for m in made if m.port == 8080],
        "port:22 service:dns": [],
    }
    for text, wanted in asked.items():
        for sort in SORTS:
            query = parse(text, T0)
            got = [m for page in pages(database, query, sort=sort, limit=3) for m in page.matches]
            assert got == in_order(wanted, sort), (text, sort)


# Data that changes ---------------------------------------------------------------------------------------------------


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.data(),
    sort=st.sampled_from(SORTS),
    limit=st.integers(1, 9),
)
def test_cursors_stay_right_while_data_changes(
    database: Database, write: Scribe, data: st.DataObject, sort: str, limit: int
) -> None:
    """Between pages hosts come, are seen again and lose ports: what did not change is told once, nothing twice."""
    with database.connection() as connection:
        connection.execute("TRUNCATE host, endpoint, endpoint_version, sighting, hostname")
    calm = [host(f"10.0.{n}.1", T0 + (n % 4) * HOUR, seen(80), seen(22)) for n in range(12)]
    busy = [host(f"10.0.{n}.2", T0 + (n % 4) * HOUR, seen(80), seen(22)) for n in range(12)]
    write([*calm, *busy])
    told: list[tuple[str, int]] = []
    for number, page in enumerate(pages(database, sort=sort, limit=limit)):
        told += keys(page.matches)
        write(data.draw(st.lists(_changes(number), max_size=2)))
    unchanged = {(h.ip, e.port) for h in calm for e in h.endpoints}
    assert {key for key in told if key in unchanged} == unchanged
    assert len([key for key in told if key in unchanged]) == len(unchanged)


def _changes(number: int) -> st.SearchStrategy[HostSeen]:
    """A new host, or a look at a busy one that finds it as it was, with other ports, or closed."""
    ports = st.sampled_from([(seen(80), seen(22)), (seen(80, state="closed"),), (seen(81), seen(22, "ssh"))])
    hours = st.integers(0, 9).map(lambda hour: T0 + hour * HOUR)

    def look(ip: str, at: datetime, endpoints: tuple[EndpointSeen, ...]) -> HostSeen:
        return host(ip, at, *endpoints)

    known = st.integers(0, 11).map(lambda n: f"10.0.{n}.2")
    new = st.integers(0, 99).map(lambda n: f"10.0.{n}.{3 + number}")
    return st.builds(look, known | new, hours, ports)


def test_a_walk_that_falls_short_is_finished_by_sorting(
    database: Database, write: Scribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Matches that all lie behind more endpoints than a walk may take are found all the same."""
    monkeypatch.setattr(search, "FEW_MATCHES", 0)
    monkeypatch.setattr(search, "MIN_REACH", 5)
    monkeypatch.setattr(search, "MAX_REACH", 5)
    write([host(f"10.0.0.{n}", T0 + HOUR, seen(80, "http")) for n in range(1, 100)])
    write([host(f"10.0.1.{n}", T0, seen(23, "telnet")) for n in range(1, 4)])
    matches = [m for page in pages(database, parse("service:telnet", T0), limit=2) for m in page.matches]
    assert keys(matches) == [(f"10.0.1.{n}", 23) for n in range(1, 4)]


# What is refused -----------------------------------------------------------------------------------------------------


def test_a_cursor_of_another_sort_is_refused(database: Database, write: Scribe) -> None:
    """A cursor only continues the list it came from."""
    crowd(write)
    cursor = search.search(database, ALL, sort="ip", limit=1).next_cursor
    assert search.search(database, ALL, sort="ip", cursor=cursor, limit=1).matches
    for sort in ("-ip", "port", "last_seen"):
        with pytest.raises(BadRequest, match="sorted by") as caught:
            search.search(database, ALL, sort=sort, cursor=cursor)
        assert caught.value.field == "cursor"


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_cursor_is_refused(database: Database, write: Scribe, data: st.DataObject) -> None:
    """Any other text than the one given out, near it or far from it, is a clear error and never a wrong page."""
    with database.connection() as connection:
        known = one(connection.execute("SELECT count(*) FROM endpoint"))[0]
    if not known:
        crowd(write)
    cursor = search.search(database, ALL, limit=3).next_cursor
    at = data.draw(st.integers(0, len(cursor) - 1))
    changed = cursor[:at] + data.draw(st.characters()) + cursor[at + 1 :]
    text = data.draw(st.sampled_from([changed, cursor[:at], cursor + cursor[at:], cursor + "="]) | st.text(min_size=1))
    if text and text != cursor:
        with pytest.raises(BadRequest, match="damaged") as caught:
            search.search(database, ALL, cursor=text)
        assert caught.value.field == "cursor"


@pytest.mark.parametrize(
    "body", [b"[]", b"{}", b'["last_seen","10.0.0.1; --",1,6,null]', b'["ip","x",1,6,null]', b"\xff"]
)
def test_a_forged_cursor_is_refused(database: Database, body: bytes) -> None:
    """A cursor that somebody made with the right checksum but without a key in it is refused as well."""
    import hashlib

    check = hashlib.sha256(b"search cursor" + body).digest()[:6]
    text = base64.urlsafe_b64encode(check + body).rstrip(b"=").decode()
    for sort in ("ip", "last_seen"):
        with pytest.raises(BadRequest) as caught:
            search.search(database, ALL, sort=sort, cursor=text)
        assert caught.value.field == "cursor"


@pytest.mark.parametrize(
    ("sort", "says"),
    [("lastseen", 'Did you mean "last_seen"?'), ("", "Sorts are"), ("--ip", "Did you mean"), ("ip; DROP", "no sort")],
)
def test_an_unknown_sort_is_refused(database: Database, sort: str, says: str) -> None:
    """The sort is one of the known names and never text of the statement."""
    with pytest.raises(BadRequest) as caught:
        search.search(database, ALL, sort=sort)
    assert caught.value.field == "sort"
    assert says in str(caught.value)


@pytest.mark.parametrize("limit", [0, -1, 5001])
def test_a_limit_out_of_bounds_is_refused(database: Database, limit: int) -> None:
    """1 to 5000 matches a page."""
    with pytest.raises(BadRequest) as caught:
        search.search(database, ALL, limit=limit)
    assert caught.value.field == "limit"


def test_a_regex_of_many_matches_is_cut_off_too(
    database: Database, write: Scribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a regular expression is left in the statement of the page, that has no more time than looking it up."""
    write([host("10.0.0.1", T0, seen(80, "http", "nginx"))])
    query = parse("product:/n/", T0)
    monkeypatch.setattr(lookups, "MANY", 0)
    assert len(search.search(database, query).matches) == 1
    slow = Condition("(SELECT true FROM pg_sleep(60))", costly=True)

    def resolved(*_: object) -> Filter:
        return Filter((slow,))

    monkeypatch.setattr(search, "resolve", resolved)
    monkeypatch.setattr(lookups, "PATIENCE_S", 0.05)
    with pytest.raises(BadRequest, match="Add a term"):
        search.search(database, query)
