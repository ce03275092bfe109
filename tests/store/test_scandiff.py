"""What one scan saw against what another saw."""

from __future__ import annotations

from typing import Any

import pytest

from spectra.errors import BadRequest, NotFound
from spectra.model.diffs import DiffEntry, DiffPage
from spectra.model.fields import FIELDS
from spectra.model.observation import Silent, Swept
from spectra.model.query import parse
from spectra.store import scandiff as module
from spectra.store.database import Database
from spectra.store.scandiff import scandiff
from tests.store.scribe import T0, Scribe, host, seen
from tests.store.test_diff import HOUR, NOW, told

A, B, C = "192.0.2.1", "192.0.2.2", "2001:db8::1"
LOW = Swept("tcp", ((1, 1024),))


def ask(database: Database, q: str = "", *, scans: tuple[str, str] = ("one", "two"), **options: Any) -> DiffPage:
    """The first page of two scans."""
    return scandiff(database, scans, parse(q, NOW), **options)


def walk(database: Database, q: str = "", **options: Any) -> list[DiffEntry]:
    """The entries of all pages, of which there are not many."""
    page = ask(database, q, **options)
    entries = list(page.entries)
    for _ in range(200):
        if not page.next_cursor:
            break
        page = ask(database, q, **dict(options, cursor=page.next_cursor))
        entries += page.entries
    assert not page.next_cursor
    return entries


@pytest.fixture
def scans(write: Scribe) -> None:
    """Two scans of low ports; between them a third one that nobody asks for."""
    write(
        [LOW, host(A, T0, seen(22, "ssh", version="8"), seen(25), seen(8080), rest="closed"), Silent(B, T0)],
        scan_id="one",
    )
    write([host(A, T0 + HOUR, seen(9999, "http"))], scan_id="between")
    write(
        [
            LOW,
            host(A, T0 + 2 * HOUR, seen(22, "ssh", version="9"), seen(80, "http"), rest="filtered"),
            host(B, T0 + 2 * HOUR, seen(53, protocol="udp")),
            host(C, T0 + 2 * HOUR, seen(443)),
        ],
        scan_id="two",
    )


@pytest.mark.usefixtures("scans")
def test_only_what_both_looked_at_is_compared(database: Database) -> None:
    """New, gone and changed among swept or listed ports; a port outside the sweep and a host told once are counted."""
    page = ask(database)
    assert told(page) == [("changed", A, 22), ("gone", A, 25), ("new", A, 80), ("new", B, 53)]
    gone = page.entries[1]
    assert gone.after is not None
    assert (gone.after.state, gone.at) == ("filtered", T0 + 2 * HOUR)
    assert page.entries[3].before is not None
    assert page.entries[3].before.state == "silent"
    assert page.summary.one_sided == 2  # 8080 of A, and all of C
    assert (page.summary.new, page.summary.gone, page.summary.changed, page.summary.exact) == (2, 1, 1, True)
    assert [(c.kind, c.ip) for c in page.hosts] == [("host_new", B)]
    assert (page.from_, page.to, page.by, page.next_cursor) == ("one", "two", "scan", "")


@pytest.mark.usefixtures("scans")
def test_the_other_way_round(database: Database) -> None:
    """What was new is gone: a host that answers no more is silent on every port."""
    page = ask(database, scans=("two", "one"))
    assert told(page) == [("changed", A, 22), ("new", A, 25), ("gone", A, 80), ("gone", B, 53)]
    assert [(c.kind, c.ip, c.at) for c in page.hosts] == [("host_gone", B, T0)]
    assert told(ask(database, scans=("one", "one"))) == []


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("service:ssh", [("changed", A, 22)]),
        ("version:8", [("changed", A, 22)]),
        ("port:25", [("gone", A, 25)]),
        (f"ip:{B}", [("new", B, 53)]),
        ("product:nginx", []),
    ],
)
@pytest.mark.usefixtures("scans")
def test_a_query_holds_on_either_side(database: Database, q: str, expected: list[tuple[str, str, int]]) -> None:
    """As between moments; numbers and hosts go with it."""
    page = ask(database, q)
    assert told(page) == expected
    assert page.summary.new + page.summary.gone + page.summary.changed == len(expected)
    assert {c.ip for c in page.hosts} <= {e.ip for e in page.entries}


@pytest.mark.parametrize("field", list(FIELDS.values()), ids=lambda field: field.name)
@pytest.mark.usefixtures("scans")
def test_every_field_can_be_asked(database: Database, field: Any) -> None:
    """The whole language, also for ports the graph knows nothing of."""
    ask(database, field.example)
    ask(database, f"-{field.example}")


def test_a_scan_of_many_submissions(database: Database, write: Scribe) -> None:
    """A scan is all of its observations: the newest look at a port counts, and what it left unsaid stays known."""
    write([host(A, T0, seen(22, "ssh", version="8"), seen(80, "http"))], scan_id="one")
    write([LOW, host(A, T0 + HOUR, seen(22), rest="closed")], scan_id="one")
    write([LOW, host(A, T0 + 2 * HOUR, seen(22, "ssh", version="8"), seen(81), rest="closed")], scan_id="two")
    assert told(ask(database)) == [("new", A, 81)]


def test_pages_are_the_whole_once(database: Database, write: Scribe, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order of address and port, over bounds of hosts and in the middle of one."""
    ips = [f"192.0.2.{n}" for n in range(1, 30)]
    write([LOW, *(host(ip, T0, seen(22), seen(23), rest="closed") for ip in ips)], scan_id="one")
    write([LOW, *(host(ip, T0 + HOUR, seen(22, "ssh"), seen(24), rest="closed") for ip in ips)], scan_id="two")
    expected = [(kind, ip, port) for ip in ips for kind, port in (("changed", 22), ("gone", 23), ("new", 24))]
    assert told(ask(database, limit=1000)) == expected
    for hosts, chunk, limit in ((1000, 500, 4), (3, 2, 4), (1, 1, 2), (5, 500, 1000)):
        monkeypatch.setattr(module, "MAX_HOSTS", hosts)
        monkeypatch.setattr(module, "CHUNK_HOSTS", chunk)
        entries = walk(database, limit=limit)
        assert [(e.kind, e.ip, e.port) for e in entries] == expected
        gone = walk(database, limit=limit, kind="gone")
        assert [e.port for e in gone] == [23] * len(ips)
    assert not ask(database, limit=5).summary.exact
    monkeypatch.setattr(module, "CHUNK_PORTS", 3)
    assert [(e.kind, e.ip, e.port) for e in walk(database, limit=10)] == expected


def test_an_unknown_scan_is_named(database: Database) -> None:
    """Neither scan may be unknown."""
    with pytest.raises(NotFound, match="'one'"):
        ask(database)


@pytest.mark.parametrize(("options", "field"), [({"limit": 0}, "limit"), ({"cursor": "x"}, "cursor")])
def test_bad_questions_name_their_field(database: Database, options: dict[str, Any], field: str) -> None:
    """What cannot be answered is refused with the parameter's name."""
    with pytest.raises(BadRequest) as refused:
        ask(database, **options)
    assert refused.value.field == field
