"""Hosts by network: exact where few match, estimated from a sample where many do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from spectra.model import space as words
from spectra.model.query import parse
from spectra.model.space import Block, Space
from spectra.store import populations, space
from spectra.store.database import Database
from tests.store import crowd as crowd_of
from tests.store.scribe import T0, Scribe, host, seen
from tests.support.databases import another_database

pytestmark = pytest.mark.engine

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def crowd(store_server: str, migrated_template: str) -> Iterator[Database]:
    """10,000 hosts in 10.0.0.0/18."""
    with another_database(store_server, migrated_template) as database:
        crowd_of.fill(database)
        yield database


def asked(database: Database, q: str, within: str, prefix: int | None = None, *, exact: bool = False) -> Space:
    """What is answered to a question in words."""
    inside = words.read_within(within)
    return space.space(database, parse(q, NOW), inside, words.checked_prefix(inside, prefix), exact=exact)


def test_hosts_are_counted_once_in_their_network(database: Database, write: Scribe) -> None:
    """However many of their ports are open; in order of address; of what matches, and of one family."""
    write([host("9.1.0.1", T0, seen(80, "http"), seen(443, "http")), host("9.1.0.2", T0, seen(22, "ssh"))])
    write([host("100.1.0.1", T0, seen(80, "http")), host("2001:db8:1::1", T0, seen(80, "http"))])
    whole = asked(database, "", "")
    assert whole.blocks == (Block("9.0.0.0/8", 2), Block("100.0.0.0/8", 1))
    assert (whole.hosts, whole.left_out, whole.exact, whole.prefix) == (3, 0, True, 8)
    assert asked(database, "port:22", "9.0.0.0/8").blocks == (Block("9.1.0.0/16", 1),)
    assert asked(database, "", "9.1.0.0/24", 32).blocks == (Block("9.1.0.1/32", 1), Block("9.1.0.2/32", 1))
    assert asked(database, "", "2001:db8::/32", 48).blocks == (Block("2001:db8:1::/48", 1),)
    assert asked(database, "product:none", "") == Space("0.0.0.0/0", 8, (), 0, 0, exact=True)
    assert asked(database, "-net:0.0.0.0/0", "").hosts == 0


def test_the_fullest_networks_are_listed(database: Database, write: Scribe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are more than an answer holds; how many are not is said."""
    monkeypatch.setattr(space, "MAX_BLOCKS", 2)
    write([host(ip, T0, seen(80)) for ip in ("9.1.0.1", "10.1.0.1", "10.1.0.2", "11.1.0.1", "11.1.0.2")])
    found = asked(database, "", "")
    assert found.blocks == (Block("10.0.0.0/8", 2), Block("11.0.0.0/8", 2))
    assert (found.hosts, found.left_out) == (5, 1)


def test_of_many_a_sample_is_counted(crowd: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is near, and says that it is none; who wants to knows exactly."""
    monkeypatch.setattr(populations, "READABLE", 100)
    monkeypatch.setattr(populations, "SAMPLE", 5000)
    near = asked(crowd, "", "10.0.0.0/16", 20)
    assert not near.exact
    assert abs(near.hosts - 10_000) < 2000
    exact = asked(crowd, "", "10.0.0.0/16", 20, exact=True)
    assert exact.exact
    assert [block.hosts for block in exact.blocks] == [4096, 4096, 1808]
