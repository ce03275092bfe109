"""Real scans of real tools, placed by real feeds: what facets and tallies say is what counting finds."""

from __future__ import annotations

import io
import random
import tarfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, LiteralString

import pytest
import zstandard

from spectra.errors import SpectraError
from spectra.ingest.parsers import Context, parse
from spectra.intel.enrich.locator import Locator
from spectra.intel.feeds.read import read
from spectra.model.envelope import Privacy, Problem
from spectra.model.facets import read_facets
from spectra.model.facts import HostFacts
from spectra.model.observation import HostSeen
from spectra.model.query import parse as parse_query
from spectra.store.database import Database
from spectra.store.facets import answer
from spectra.store.places import Key, area, areas
from spectra.store.tallies import fold
from tests.flow.conftest import store_server
from tests.store.conftest import database, migrated_template
from tests.store.scribe import Scribe
from tests.store.test_tallies import hold
from tests.support.postgres import embedded

__all__ = ["database", "embedded", "migrated_template", "store_server"]

NOW = datetime(2026, 6, 1, tzinfo=UTC)
EVERY = 12  # of the 427 scans of the home network


def scans(shared: Path) -> Iterator[tuple[str, bytes]]:
    """Scans of many networks by several tools, and a week of one network, out of order."""
    for tool in ("nmap", "masscan", "httpx", "naabu"):
        for path in sorted((shared / "scans" / tool).glob("*")):
            yield f"{tool}/{path.name}", path.read_bytes()
    packed = (shared / "scans/nmap_timeseries/phage_2016-04.tar.zst").read_bytes()
    plain = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(packed)).read()
    with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
        members = sorted(tar.getmembers(), key=lambda m: m.name)[::EVERY]
        for member in random.Random(7).sample(members, len(members)):
            if (file := tar.extractfile(member)) is not None:
                yield member.name, file.read()


def placed(records: Sequence[Any], locator: Locator) -> Iterator[Any]:
    """The records, and before each host its facts."""
    ips = [record.ip for record in records if isinstance(record, HostSeen)]
    places = iter(locator.locate(ips))
    for record in records:
        if isinstance(record, HostSeen):
            yield HostFacts(record.ip, 1, next(places))
        yield record


@pytest.fixture
def world(database: Database, shared_data: Path) -> Database:
    """All of them in one graph, folded now and then."""
    feeds = (shared_data / "asn").glob("*.gz")
    countries = shared_data / "asn" / "ipverse_country_cidrs.csv.zst"
    locator = Locator([read(path) for path in (*sorted(feeds), countries)])
    write = Scribe(database)
    taken = 0
    for number, (name, raw) in enumerate(scans(shared_data)):
        try:
            _, found = parse(io.BytesIO(raw), Context(default_time=NOW, privacy=Privacy.FULL))
            records = [record for record in found if not isinstance(record, Problem)]
        except SpectraError:  # some are cut off or empty, as in the tools' own tests
            continue
        write(list(placed(records, locator)), at=NOW, scan_id=name)
        taken += 1
        if number % 7 == 0:
            fold(database, pieces=3)
    assert taken > 60
    return database


VALUES: dict[str, LiteralString] = {
    "country": "p.country",
    "asn": "nullif(p.asn, 0)::text",
    "org": "p.org",
    "port": "e.port::text",
    "service": "s.name",
    "product": "s.product",
    "version": "s.version",
    "os": "s.os",
    "title": "b.title",
    "last_seen": "to_char(e.last_seen, 'YYYY-MM-DD\"T00:00:00Z\"')",
}
QUESTIONS: dict[str, LiteralString] = {
    "": "true",
    "service:http": "s.name = 'http'",
    "-service:http port:1-1024": "s.name IS DISTINCT FROM 'http' AND e.port <= 1024",
    "country:US": "p.country = 'US'",
    "-country:US service:ssh": "p.country IS DISTINCT FROM 'US' AND s.name = 'ssh'",
    "net:10.0.0.0/8": "e.ip << '10.0.0.0/8'",
}


def naive(database: Database, held: LiteralString, value: LiteralString) -> dict[str, int]:
    """Every value and how many open endpoints have it."""
    statement: LiteralString = f"""
        SELECT coalesce({value}, ''), count(*) FROM endpoint e LEFT JOIN place p ON p.id = e.place
          LEFT JOIN service s ON s.id = e.service LEFT JOIN banner b ON b.id = e.banner
        WHERE e.state = 'o' AND ({held}) GROUP BY 1"""
    with database.connection() as connection:
        return dict(connection.execute(statement).fetchall())


@pytest.mark.slow
@pytest.mark.engine
def test_real_scans_are_counted_right(world: Database) -> None:
    """Facets, totals and areas, with half of it in the log and with all of it folded."""
    for _ in range(2):
        hold(world)
        for q, held in QUESTIONS.items():
            asked = ",".join(name if name == "last_seen" else f"{name}:1000" for name in VALUES)
            found = answer(world, parse_query(q, NOW), read_facets(asked))
            assert found.total.exact
            for name, value in VALUES.items():
                expected = naive(world, held, value)
                facet = found.facets[name]
                assert sum(expected.values()) == found.total.count, q
                assert facet.missing == expected.pop("", 0), (q, name)
                assert {str(v.value): v.count for v in facet.values} == expected, (q, name)
        listed = areas(world, "country", limit=1000).areas
        assert len(listed) > 1
        for one in listed:
            page = area(world, Key("country", "", one.name))
            assert (page.area, page.total.count) == (one, one.endpoints)
        while fold(world):
            pass
