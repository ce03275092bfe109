"""What changed between two moments."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spectra.errors import BadRequest, NotFound
from spectra.model.diffs import DiffEntry, DiffPage
from spectra.model.fields import FIELDS
from spectra.model.observation import Certificate, HostSeen, Silent, Swept
from spectra.model.query import parse
from spectra.model.records import EndpointRecord, HostRecord
from spectra.store import diff as module
from spectra.store import host as hosts
from spectra.store.database import Database
from spectra.store.diff import Window, diff
from tests.store.scribe import T0, Scribe, host, seen

A, B, C = "192.0.2.1", "192.0.2.2", "2001:db8::1"
HOUR = timedelta(hours=1)
ALL = Swept("tcp", ((1, 65535),))
BEFORE, AFTER = T0 + HOUR / 2, T0 + 10 * HOUR
NOW = T0 + 100 * HOUR


def ask(
    database: Database, q: str = "", *, start: datetime = BEFORE, end: datetime = AFTER, **options: Any
) -> DiffPage:
    """The first page."""
    return diff(database, Window(start, end), parse(q, NOW), **options)


def told(page: DiffPage) -> list[tuple[str, str, int]]:
    """Kind, address and port of each entry."""
    return [(e.kind, e.ip, e.port) for e in page.entries]


def walk(database: Database, q: str = "", *, limit: int = 3, **options: Any) -> list[DiffEntry]:
    """The entries of all pages."""
    page = ask(database, q, limit=limit, **options)
    entries = list(page.entries)
    while page.next_cursor:
        assert len(page.entries) <= limit
        page = ask(database, q, limit=limit, cursor=page.next_cursor, **options)
        entries += page.entries
    return entries


@pytest.fixture
def story(write: Scribe) -> None:
    """Two looks at two hosts, an hour and more apart."""
    write([ALL, host(A, T0, seen(22, "ssh", "OpenSSH", "8.4"), seen(80, "http", title="Old"), seen(25), rest="closed")])
    write([host(B, T0, seen(443, "https", certificate=Certificate("a" * 64, subject_cn="b.example")))])
    write(
        [
            ALL,
            host(
                A,
                T0 + HOUR,
                seen(22, "ssh", "OpenSSH", "9.6"),
                seen(80, "http", title="New"),
                seen(8080, "http"),
                rest="closed",
            ),
        ]
    )


@pytest.mark.usefixtures("story")
def test_new_gone_and_changed(database: Database) -> None:
    """A port that opened, one that was swept away, one with another version; what nobody looked at again stays."""
    page = ask(database)
    assert sorted(told(page)) == [("changed", A, 22), ("gone", A, 25), ("new", A, 8080)]
    by_port = {e.port: e for e in page.entries}
    assert [(c.field, c.before, c.after) for c in by_port[22].changes] == [("version", "8.4", "9.6")]
    gone, new = by_port[25], by_port[8080]
    assert gone.after is not None
    assert (gone.after.state, gone.at) == ("closed", T0 + HOUR)
    assert gone.before is not None
    assert gone.before.state == "open"
    assert (new.before, new.at) == (None, T0 + HOUR)
    assert (page.summary.new, page.summary.gone, page.summary.changed, page.summary.exact) == (1, 1, 1, True)
    assert (page.from_, page.to, page.by) == ("2026-01-01T00:30:00Z", "2026-01-01T10:00:00Z", "time")
    assert page.next_cursor == ""


def test_a_title_counts_when_the_version_ended(database: Database, write: Scribe) -> None:
    """Closed and open again in between: what is compared is the two ends, titles included and banners not."""
    write([ALL, host(A, T0, seen(80, "http", title="Old", banner="x"), seen(81, "http", banner="1"), rest="closed")])
    write([ALL, host(A, T0 + HOUR, rest="closed")])
    write([host(A, T0 + 2 * HOUR, seen(80, "http", title="New", banner="x"), seen(81, "http", banner="2"))])
    page = ask(database)
    assert told(page) == [("changed", A, 80)]
    assert [(c.field, c.before, c.after) for c in page.entries[0].changes] == [("title", "Old", "New")]
    assert told(ask(database, end=T0 + 1.5 * HOUR)) == [("gone", A, 80), ("gone", A, 81)]
    assert told(ask(database, start=T0 + 1.5 * HOUR)) == [("new", A, 80), ("new", A, 81)]


def test_another_certificate(database: Database, write: Scribe) -> None:
    """A certificate that was exchanged is told with what differs about it."""
    for at, name in ((T0, "a"), (T0 + HOUR, "b")):
        write([host(A, at, seen(443, "https", certificate=Certificate(name * 64, subject_cn=f"{name}.example")))])
    fields = {c.field: c.after for c in ask(database).entries[0].changes}
    assert fields == {"certificate": "b" * 64, "certificate.subject": "b.example"}


def test_whose_word_it_is(database: Database, write: Scribe) -> None:
    """A change that one untrusted contributor claims alone is marked so."""
    write([host(A, T0, seen(22))])
    write([host(B, T0 + HOUR, seen(23))], contributor="mallory", trust=0.1)
    (entry,) = ask(database).entries
    assert entry.after is not None
    assert (entry.ip, entry.after.sole, round(entry.after.trust, 2)) == (B, "mallory", 0.1)


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        (f"ip:{A} port:22", [("changed", A, 22)]),
        ("version:8.4", [("changed", A, 22)]),
        ("version:9.6", [("changed", A, 22)]),
        ("state:closed", [("gone", A, 25)]),
        ("port:25", [("gone", A, 25)]),
        ("service:http", [("new", A, 8080)]),
        ("product:nginx", []),
        ("net:198.51.100.0/24", []),
        ("-port:22,25", [("new", A, 8080)]),
        ("service:ssh version:9.6 port:22", [("changed", A, 22)]),
    ],
)
@pytest.mark.usefixtures("story")
def test_a_query_holds_before_or_after(database: Database, q: str, expected: list[tuple[str, str, int]]) -> None:
    """Either side may satisfy the query; the summary counts the same."""
    page = ask(database, q)
    assert told(page) == expected
    assert page.summary.new + page.summary.gone + page.summary.changed == len(expected)


@pytest.mark.parametrize("field", list(FIELDS.values()), ids=lambda field: field.name)
@pytest.mark.usefixtures("story")
def test_every_field_can_be_asked(database: Database, field: Any) -> None:
    """The language of a diff is that of search, whole, also where nothing is named by address or port."""
    ask(database, field.example)
    ask(database, f"-{field.example}")


@pytest.mark.usefixtures("story")
def test_one_kind(database: Database) -> None:
    """`kind` leaves the others out of the page, not out of the summary."""
    page = ask(database, kind="gone")
    assert told(page) == [("gone", A, 25)]
    assert page.summary.new == 1


def test_hosts_that_came_and_went(database: Database, write: Scribe) -> None:
    """New, silent, and back: by the status that their pages tell."""
    write([host(A, T0, seen(22)), host(B, T0, seen(22)), Silent(C, T0)])
    write([host(A, T0 - HOUR, seen(22)), host(C, T0 - HOUR, seen(22))], scan_id="earlier")
    write([Silent(B, T0 + HOUR), host(C, T0 + 2 * HOUR, seen(22)), host("192.0.2.9", T0 + 3 * HOUR, seen(22))])
    page = ask(database)
    assert [(c.kind, c.ip, c.at) for c in page.hosts] == [
        ("host_new", "192.0.2.9", T0 + 3 * HOUR),
        ("host_back", C, T0 + 2 * HOUR),
        ("host_gone", B, T0 + HOUR),
    ]
    summary = page.summary
    assert (summary.hosts_new, summary.hosts_gone, summary.hosts_back, summary.exact) == (1, 1, 1, True)
    assert hosts.host(database, B, at=AFTER).status == "down"
    assert told(page) == [("new", "192.0.2.9", 22)]  # silence closes no port
    assert [c.ip for c in ask(database, f"ip:{B}").hosts] == [B]
    assert ask(database, "port:9").hosts == ()


def test_pages_are_the_whole_once(database: Database, write: Scribe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every difference is on one page, newest first, also where thousands of hosts share a time and walks end early."""
    write([ALL, *(host(f"192.0.2.{n}", T0, seen(22, "ssh"), rest="closed") for n in range(1, 60))])
    for hour in (1, 2, 3):
        seens = [seen(80 + hour, "http"), seen(22, "ssh", "OpenSSH", str(hour))]
        write([ALL, *(host(f"192.0.2.{n}", T0 + hour * HOUR, *seens, rest="closed") for n in range(1, 60))])
    whole = ask(database, limit=1000)
    assert whole.summary.exact
    assert len(whole.entries) == whole.summary.new + whole.summary.changed == 2 * 59
    expected = sorted(whole.entries, key=lambda e: (-e.at.timestamp(), [int(p) for p in e.ip.split(".")], e.port))
    assert list(whole.entries) == expected
    for reach in (5, 17, 1000):
        monkeypatch.setattr(module, "FIRST_REACH", 1)
        monkeypatch.setattr(module, "MAX_REACH", reach)
        for q in ("", "service:http", "net:192.0.2.0/28"):
            wanted = [e for e in whole.entries if q != "service:http" or e.port != 22]
            wanted = [e for e in wanted if not q.startswith("net") or int(e.ip.split(".")[-1]) < 16]
            assert walk(database, q, limit=4) == wanted, (reach, q)
    monkeypatch.setattr(module, "MAX_REACH", 50)
    assert not ask(database).summary.exact


def test_a_cursor_pins_what_is_compared(database: Database, write: Scribe) -> None:
    """Pages go on between the moments of the first one, whatever is asked or written meanwhile."""
    write([host(f"192.0.2.{n}", T0 + n * HOUR / 10, seen(22)) for n in range(1, 21)])
    first = ask(database, start=T0, end=T0 + 2 * HOUR, limit=5)
    write([host("198.51.100.1", T0 + 1.65 * HOUR, seen(22)), host("198.51.100.2", T0 + 0.05 * HOUR, seen(22))])
    rest: list[DiffEntry] = []
    page = first
    while page.next_cursor:
        page = ask(database, start=T0 + HOUR, end=NOW, limit=5, cursor=page.next_cursor)
        assert (page.from_, page.to) == (first.from_, first.to)
        assert page.summary == first.summary
        rest += page.entries
    assert [e.ip for e in (*first.entries, *rest)] == [*(f"192.0.2.{n}" for n in range(20, 0, -1)), "198.51.100.2"]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"cursor": "x"}, "cursor"),
        ({"cursor": "é"}, "cursor"),
        ({"start": AFTER, "end": BEFORE}, "to"),
    ],
)
def test_bad_questions_name_their_field(database: Database, options: dict[str, Any], field: str) -> None:
    """What cannot be answered is refused with the parameter's name."""
    with pytest.raises(BadRequest) as refused:
        ask(database, **options)
    assert refused.value.field == field


# The property: a diff is the difference of two snapshots of every host -----------------------------------------------

IPS = (A, B)
PORTS = (22, 80)


@st.composite
def observations(draw: st.DrawFn) -> Sequence[tuple[HostSeen, bool]]:
    """Looks at two hosts in any order of time: ports open with some service, closed, or swept away."""
    looks: list[tuple[HostSeen, bool]] = []
    for _ in range(draw(st.integers(2, 7))):
        at = T0 + draw(st.integers(0, 9)) * HOUR
        endpoints = [
            seen(
                port,
                draw(st.sampled_from(("", "http", "ssh"))),
                title=draw(st.sampled_from(("", "One", "Two"))),
                state=draw(st.sampled_from(("open", "open", "closed"))),
            )
            for port in PORTS
            if draw(st.booleans())
        ]
        swept = draw(st.booleans())
        looks.append((host(draw(st.sampled_from(IPS)), at, *endpoints, rest="closed" if swept else None), swept))
    return looks


def naive(before: HostRecord | None, after: HostRecord | None) -> set[tuple[Any, ...]]:
    """The difference of two snapshots, by nobody's code but this."""
    then = {(e.port, e.protocol): e for e in before.endpoints} if before else {}
    now = {(e.port, e.protocol): e for e in after.endpoints} if after else {}
    found: set[tuple[Any, ...]] = set()
    for key in then.keys() | now.keys():
        was, is_ = then.get(key), now.get(key)
        was_open, is_open = bool(was and was.state == "open"), bool(is_ and is_.state == "open")
        if was_open and is_open and _content(was) != _content(is_):
            found.add(("changed", *key))
        elif was_open != is_open:
            found.add(("new" if is_open else "gone", *key))
    return found


def _content(endpoint: EndpointRecord | None) -> tuple[Any, ...]:
    assert endpoint is not None
    return endpoint.service, endpoint.certificate, endpoint.title


def snapshot(database: Database, ip: str, at: datetime) -> HostRecord | None:
    """The host as it was, or None where it had not been seen."""
    try:
        return hosts.host(database, ip, at=at)
    except NotFound:
        return None


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(looks=observations())
def test_a_diff_is_the_difference_of_two_snapshots(database: Database, looks: Sequence[tuple[HostSeen, bool]]) -> None:
    """For every pair of moments and whatever order things came in, diff says what two host pages say."""
    with database.connection() as connection:
        connection.execute("TRUNCATE host, endpoint, endpoint_version, sighting, observation, evidence CASCADE")
    write = Scribe(database)
    for look, swept in looks:
        write([ALL, look] if swept else [look])
    moments = [T0 + n * HOUR for n in (-1, 2, 5, 9)]
    for start in moments:
        for end in moments:
            if start > end:
                continue
            expected = {
                (kind, ip, *key)
                for ip in IPS
                for kind, *key in naive(snapshot(database, ip, start), snapshot(database, ip, end))
            }
            entries = walk(database, start=start, end=end, limit=2)
            found = [(e.kind, e.ip, e.port, e.protocol) for e in entries]
            assert len(found) == len(set(found))
            assert set(found) == expected
            for entry in entries:
                assert entry.at <= end
                assert entry.at > start


def test_now_is_a_moment(database: Database, write: Scribe) -> None:
    """Until the present: nothing is left out at the edge, and equal moments differ in nothing."""
    write([host(A, T0, seen(22))])
    assert told(ask(database, start=T0 - HOUR, end=T0)) == [("new", A, 22)]
    assert told(ask(database, start=T0, end=datetime.now(UTC))) == []
    assert told(ask(database, start=T0, end=T0)) == []
