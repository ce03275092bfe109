"""A real home network, scanned every 15 minutes for a week: its story does not depend on the order of arrival, and
what diff and history tell of it is what a reader of the bare XML finds.
"""

from __future__ import annotations

import io
import itertools
import random
import tarfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
import zstandard
from lxml import etree

from spectra.errors import NotFound
from spectra.flow import audit
from spectra.model.diffs import DiffEntry
from spectra.model.query import Query
from spectra.model.records import HostRecord
from spectra.store import host as hosts
from spectra.store.blobs import BlobStore
from spectra.store.database import Database
from spectra.store.diff import Window, diff
from tests.flow.conftest import store_server
from tests.flow.desk import Clock, Contributor, graph, make_ingest
from tests.store.conftest import database, migrated_template
from tests.store.test_diff import naive
from tests.support.databases import another_database
from tests.support.postgres import embedded

__all__ = ["database", "embedded", "migrated_template", "store_server"]

pytestmark = [pytest.mark.slow, pytest.mark.engine]

EVERY = 3  # of the 427 scans: enough of a week (61 of its 62 devices), in a third of the time
TABLES = (
    "observation, provenance, service, banner, certificate, host, hostname, name, sighting, silence, endpoint,"
    " endpoint_version, remark, evidence, name_sighting"
)
TIVO = "10.0.1.103"
SECOND = timedelta(seconds=1)
Port = tuple[str, int]


@pytest.fixture(scope="module")
def week(shared_data: Path) -> list[bytes]:
    """Every third scan, in order of time."""
    packed = (shared_data / "scans/nmap_timeseries/phage_2016-04.tar.zst").read_bytes()
    plain = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(packed)).read()
    return list(_members(plain))[::EVERY]


def _members(archive: bytes) -> Iterator[bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in sorted(tar.getmembers(), key=lambda m: m.name):
            if (file := tar.extractfile(member)) is not None:
                yield file.read()


def import_all(database: Database, folder: Path, scans: Sequence[bytes]) -> BlobStore:
    """Submit `scans` one after the other into an empty database."""
    with database.transaction() as connection:
        connection.execute(f"TRUNCATE {TABLES} CASCADE".encode())
        connection.execute("TRUNCATE contributor CASCADE")
    clock = Clock()
    blobs = BlobStore.local(folder)
    ingest = make_ingest(database, blobs, clock)
    alice = Contributor("alice", clock).register(database)
    for scan in scans:
        assert ingest.submit(alice.envelope(scan)).status == "merged"
    ingest.close()
    return blobs


def test_a_week_tells_the_same_story_in_any_order(database: Database, tmp_path: Path, week: list[bytes]) -> None:
    """Imported in order and shuffled, every row of the graph is the same, and the deep audit holds both times."""
    blobs = import_all(database, tmp_path / "ordered", week)
    assert audit.verify(database, blobs, deep=True).ok
    ordered = graph(database)
    shuffled = random.Random(7).sample(week, len(week))
    blobs = import_all(database, tmp_path / "shuffled", shuffled)
    assert audit.verify(database, blobs, deep=True).ok
    again = graph(database)
    for table in ("host", "hostname", "endpoint", "endpoint_version", "evidence", "sighting", "silence"):
        assert ordered[table] == again[table], table

    # The story of one device: it came on the second day, stayed, and its pages changed on the way.
    tivo = hosts.host(database, TIVO, history=True)
    assert tivo.first_seen > datetime(2016, 3, 29, 12, tzinfo=UTC)
    web = next(e for e in tivo.endpoints if e.port == 80)
    assert web.history is not None
    assert [v.since for v in web.history] == sorted(v.since for v in web.history)
    before = hosts.host(database, TIVO, at=tivo.first_seen + timedelta(seconds=1))
    assert {e.port for e in before.endpoints} <= {e.port for e in tivo.endpoints}


# The week, as a reader of the bare XML tells it ----------------------------------------------------------------


class Look(NamedTuple):
    """What one scan said of one host that was up; `rest` is the state of the swept ports that are not listed."""

    at: datetime
    ports: dict[int, tuple[str, tuple[str, str] | None]]
    rest: str
    swept: frozenset[int]


class Story:
    """The scans read with nothing of ours: who was seen when with which ports, and who was silent."""

    def __init__(self, scans: Sequence[bytes]) -> None:
        self.looks: dict[str, list[Look]] = defaultdict(list)
        self.silent: dict[str, list[datetime]] = defaultdict(list)
        for scan in scans:
            self._read(etree.fromstring(scan))
        for looks in self.looks.values():
            looks.sort(key=lambda look: look.at)

    def _read(self, run: etree._Element) -> None:
        swept = frozenset(port for info in run.findall("scaninfo") for port in _numbers(info.get("services", "")))
        for element in run.findall("host"):
            ip = next(a.get("addr", "") for a in element.findall("address") if a.get("addrtype") == "ipv4")
            time = element.get("endtime") or run.get("start") or "0"
            at = datetime.fromtimestamp(int(time), UTC)
            status = element.find("status")
            if status is not None and status.get("state") == "up":
                self.looks[ip].append(Look(at, _listed(element), _rest(element), swept))
            else:
                self.silent[ip].append(at)

    def open_at(self, moment: datetime) -> dict[Port, tuple[str, str]]:
        """Every port that the last look at it found open, with product and version of who was last asked."""
        found: dict[Port, tuple[str, str]] = {}
        for ip, looks in self.looks.items():
            for look in itertools.takewhile(lambda look: look.at <= moment, looks):
                for port in [p for i, p in found if i == ip and look.rest and p in look.swept and p not in look.ports]:
                    del found[ip, port]
                for port, (state, said) in look.ports.items():
                    if state == "open":
                        found[ip, port] = said if said is not None else found.get((ip, port), ("", ""))
                    else:
                        found.pop((ip, port), None)
        return found

    def first_seen(self) -> dict[str, datetime]:
        """When each device came."""
        return {ip: looks[0].at for ip, looks in self.looks.items()}


def _numbers(services: str) -> Iterator[int]:
    for part in services.split(","):
        low, _, high = part.partition("-")
        yield from range(int(low), int(high or low) + 1)


def _listed(element: etree._Element) -> dict[int, tuple[str, tuple[str, str] | None]]:
    found: dict[int, tuple[str, tuple[str, str] | None]] = {}
    for port in element.findall("ports/port"):
        state, service = port.find("state"), port.find("service")
        assert state is not None
        said = None
        if service is not None and service.get("method") == "probed":
            said = (service.get("product", ""), service.get("version", ""))
        found[int(port.get("portid", "0"))] = (state.get("state", ""), said)
    return found


def _rest(element: etree._Element) -> str:
    states = {extra.get("state", "") for extra in element.findall("ports/extraports")}
    return "closed" if states and states <= {"closed", "filtered"} else ""


@pytest.fixture(scope="module")
def story(week: list[bytes]) -> Story:
    """The week by the bare XML."""
    return Story(week)


@pytest.fixture(scope="module")
def lan(
    store_server: str, migrated_template: str, tmp_path_factory: pytest.TempPathFactory, week: list[bytes]
) -> Iterator[Database]:
    """The scans, imported out of order."""
    with another_database(store_server, migrated_template) as lan:
        import_all(lan, tmp_path_factory.mktemp("lan"), random.Random(427).sample(week, len(week)))
        yield lan


def entries(lan: Database, since: datetime, until: datetime) -> list[DiffEntry]:
    """Every difference between two moments, over pages."""
    page = diff(lan, Window(since, until), Query(), limit=7)
    found = list(page.entries)
    while page.next_cursor:
        page = diff(lan, Window(since, until), Query(), limit=7, cursor=page.next_cursor)
        found += page.entries
    return found


def moments(story: Story, count: int) -> list[datetime]:
    """Some moments over the week, the ends of it among them."""
    times = sorted({look.at for looks in story.looks.values() for look in looks})
    drawn = random.Random(15).sample(times, count - 2)
    return sorted([times[0] - SECOND, *drawn, times[-1]])


def test_diff_tells_what_the_scans_say(lan: Database, story: Story) -> None:
    """Between many pairs of moments: exactly the ports that opened and went, and exactly the versions that changed."""
    seen: dict[str, int] = defaultdict(int)
    for since, until in itertools.combinations(moments(story, 9), 2):
        then, now = story.open_at(since), story.open_at(until)
        found = entries(lan, since, until)
        told = {kind: {(e.ip, e.port) for e in found if e.kind == kind} for kind in ("new", "gone", "changed")}
        assert told["new"] == now.keys() - then.keys()
        assert told["gone"] == then.keys() - now.keys()
        versions = {(e.ip, e.port) for e in found if {"product", "version"} & {c.field for c in e.changes}}
        assert versions == {port for port in then.keys() & now.keys() if then[port] != now[port]}
        for kind, ports in (*told.items(), ("versions", versions)):
            seen[kind] += len(ports)
    assert all(seen[kind] > 0 for kind in ("new", "gone", "changed", "versions")), seen


def test_a_device_that_came(lan: Database, story: Story) -> None:
    """The last one to come is new in that second with all its ports, and nobody else is."""
    first = story.first_seen()
    ip, at = max(first.items(), key=lambda item: item[1])
    page = diff(lan, Window(at - SECOND, at), Query())
    assert [(c.kind, c.ip, c.at) for c in page.hosts if c.kind == "host_new"] == [("host_new", ip, at)]
    assert page.summary.hosts_new == 1
    opened = {port for port, (state, _) in story.looks[ip][0].ports.items() if state == "open"}
    assert {e.port for e in page.entries if e.ip == ip and e.kind == "new"} == opened
    whole = diff(lan, Window(min(first.values()) - SECOND, max(first.values())), Query(), limit=1)
    assert {c.ip for c in whole.hosts if c.kind == "host_new"} == set(first)
    assert hosts.host(lan, ip).first_seen == at


def test_devices_that_went_and_came_back(lan: Database, story: Story) -> None:
    """Who was up and answers no more, and who was silent and is up again, by the last probe before each moment."""

    def silent(moment: datetime) -> set[str]:
        return {
            ip
            for ip, looks in story.looks.items()
            if (seen := [look.at for look in looks if look.at <= moment])
            and any(max(seen) < at <= moment for at in story.silent[ip])
        }

    seen: dict[str, int] = defaultdict(int)
    for since, until in itertools.pairwise(moments(story, 12)):
        page = diff(lan, Window(since, until), Query(), limit=1)
        known = {ip for ip, at in story.first_seen().items() if at <= since}
        told = {kind: {c.ip for c in page.hosts if c.kind == kind} for kind in ("host_gone", "host_back")}
        assert told["host_gone"] == (silent(until) - silent(since)) & known
        assert told["host_back"] == (silent(since) - silent(until)) & known
        for kind, ips in told.items():
            seen[kind] += len(ips)
    assert all(seen[kind] > 0 for kind in ("host_gone", "host_back")), seen


def test_a_port_that_went(lan: Database, story: Story) -> None:
    """A port that a scan listed as no longer open is gone in that second, with what it was and what it is."""
    ip, port, at, state = next(
        (ip, port, look.at, state)
        for ip, looks in sorted(story.looks.items())
        for before, look in itertools.pairwise(looks)
        for port, (state, _) in look.ports.items()
        if state in ("closed", "filtered") and before.ports.get(port, ("",))[0] == "open"
    )
    (entry,) = [e for e in entries(lan, at - SECOND, at) if (e.ip, e.port) == (ip, port)]
    assert entry.kind == "gone"
    assert entry.at == at
    assert entry.before is not None
    assert entry.before.state == "open"
    assert entry.after is not None
    assert entry.after.state == state


def test_a_version_that_changed(lan: Database, story: Story) -> None:
    """What a port ran before and after, word for word; history has both."""
    ip, port, at, was, is_ = next(
        (ip, port, look.at, before.ports[port][1], said)
        for ip, looks in sorted(story.looks.items())
        for before, look in itertools.pairwise(looks)
        for port, (_, said) in look.ports.items()
        if said and before.ports.get(port, ("", None))[1] not in (None, said)
    )
    (entry,) = [e for e in entries(lan, at - SECOND, at) if (e.ip, e.port) == (ip, port)]
    assert entry.kind == "changed"
    told = {change.field: (change.before, change.after) for change in entry.changes}
    assert was is not None
    for field, before, after in (("product", was[0], is_[0]), ("version", was[1], is_[1])):
        assert told.get(field, ("", "")) == ((before, after) if before != after else ("", ""))
    endpoint = next(e for e in hosts.host(lan, ip, history=True).endpoints if e.port == port)
    lives = [*(endpoint.history or ()), endpoint]
    assert at in {version.since for version in lives}


def test_diff_is_the_difference_of_two_snapshots(lan: Database, story: Story) -> None:
    """For all hosts, between any two of some moments: what `diff` says is what two host pages say."""
    times = moments(story, 6)
    pages = {(ip, at): _page(lan, ip, at) for ip in story.looks for at in times}
    for since, until in itertools.combinations(times, 2):
        expected = {(kind, ip, *key) for ip in story.looks for kind, *key in naive(pages[ip, since], pages[ip, until])}
        assert {(e.kind, e.ip, e.port, e.protocol) for e in entries(lan, since, until)} == expected


def _page(lan: Database, ip: str, at: datetime) -> HostRecord | None:
    try:
        return hosts.host(lan, ip, at=at)
    except NotFound:
        return None
