"""The steps of a sync: each may run twice, and what is damaged costs nothing of what is held."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spectra.errors import BadRequest, NotFound
from spectra.flow.jobs import stopping
from spectra.flow.nvdapi import Window
from spectra.flow.vulnstage import Staged
from spectra.flow.vulnsync import Step, VulnSync, together, unread
from spectra.model.envelope import Problem
from spectra.model.vulnfeeds import MAX_EXAMPLES, Unread
from spectra.store import vulnsources
from spectra.store.blobs import BlobStore
from spectra.store.database import Database
from tests.flow.desk import NOON, Clock, rows
from tests.flow.test_download import say, site
from tests.flow.vulndesk import BATCH, Nvd, cut, cve, epss, kev, lines, make_stage, make_sync, nvd, packed, real

Put = Callable[[Path], Staged]


@pytest.fixture
def sync(database: Database, blobs: BlobStore, tmp_path: Path, clock: Clock) -> Iterator[VulnSync]:
    """The steps of one coordinator."""
    stopping.clear()  # an engine that ended in this process left it set
    made = make_sync(database, blobs, tmp_path, clock)
    yield made
    made.stop()


@pytest.fixture
def put(blobs: BlobStore, tmp_path: Path) -> Put:
    """Stages a file."""
    return make_stage(blobs, tmp_path).keep


def expect(database: Database, name: str, kind: str = "", source: str = "upload") -> str:
    """There is a feed of this name."""
    with database.transaction() as connection:
        vulnsources.expect(connection, name, kind, source, NOON)
    return name


def every_step(sync: VulnSync, staged: Staged, flow: str = "w") -> list[Step]:
    """All batches of a file."""
    steps = [sync.records(flow, staged, 0)]
    while not steps[-1].end:
        steps.append(sync.records(flow, staged, sum(step.done for step in steps)))
    return steps


def cves(database: Database) -> list[int]:
    """The numbers of the CVEs that are stored."""
    return [int(name.rpartition("-")[2]) for (name,) in rows(database, "SELECT cve FROM vuln ORDER BY sort")]


def test_batch_by_batch(sync: VulnSync, put: Put, database: Database, tmp_path: Path) -> None:
    """In order, with an estimate of how many there are; each batch twice is the same once."""
    staged = put(nvd(tmp_path / "feed", *range(1, 11)))
    first = sync.records("w", staged, 0)
    assert (first.done, first.added, first.end) == (BATCH, BATCH, False)
    assert first.total >= BATCH
    assert cves(database) == [1, 2, 3, 4]
    again = sync.records("w", staged, 0)
    assert (again.done, again.added, again.changed) == (BATCH, 0, 0)
    assert sync.records("w", staged, 4).added == BATCH
    last = sync.records("w", staged, 8)
    assert (last.done, last.end, last.head.kind) == (2, True, "nvd")
    assert cves(database) == list(range(1, 11))


def test_another_coordinator_goes_on(
    sync: VulnSync, put: Put, database: Database, blobs: BlobStore, tmp_path: Path, clock: Clock
) -> None:
    """Where the last batch that is on record ended, from the pieces in the blob store."""
    staged = put(nvd(tmp_path / "feed", *range(1, 11)))
    sync.records("w", staged, 0)
    other = make_sync(database, blobs, tmp_path / "other", clock)
    assert other.records("w", staged, 4).added == BATCH
    assert sync.records("w", staged, 4).added == 0, "the one that was believed to be lost was not"
    assert sync.records("w", staged, 8).end
    other.stop()


def test_what_cannot_be_read_is_listed(sync: VulnSync, put: Put, database: Database, tmp_path: Path) -> None:
    """With its line; the others are kept, and places are counted with it so that nothing is passed over."""
    odd: list[object] = [cve(n) for n in range(1, 9)]
    odd[2:2] = ["{broken", {"id": "no id"}]
    steps = every_step(sync, put(lines(tmp_path / "feed", odd)))
    assert cves(database) == list(range(1, 9))
    assert sum(step.done for step in steps) == 10
    told = together(steps[0].unread, steps[1].unread)
    assert told.count == 2
    assert [problem.line for problem in told.examples] == [3, 4]


def test_only_the_first_problems_are_told() -> None:
    """All are counted."""
    many = unread([Problem("wrong", n) for n in range(1, 100)])
    assert (many.count, len(many.examples)) == (99, MAX_EXAMPLES)
    assert together(many, Unread(1, (Problem("last"),))) == Unread(100, many.examples)


def test_a_file_that_is_cut_short(sync: VulnSync, put: Put, database: Database, tmp_path: Path) -> None:
    """What was read of it stays, for each record stands for itself; and it is an error."""
    whole = packed(lines(tmp_path / "feed", [cve(n) | {"filler": f"{n**99 % 10**90}" * 40} for n in range(1, 101)]))
    steps = every_step(sync, put(cut(whole, tmp_path / "cut.gz", 0.7)))
    assert steps[-1].error
    assert 0 < len(cves(database)) < 100
    assert cves(database) == list(range(1, len(cves(database)) + 1))


@pytest.mark.parametrize("kind", ["kev", "epss"])
def test_scores_are_taken_whole_or_not(sync: VulnSync, put: Put, database: Database, tmp_path: Path, kind: str) -> None:
    """Not when the file is cut short, empty, much smaller than before or older; `force` takes the last two."""
    make = kev if kind == "kev" else epss
    name = expect(database, kind)
    query = f"SELECT cve FROM {kind}"
    assert sync.scores(name, put(make(tmp_path / "a", *range(1, 101), day=9)), kind, force=False).done == 100
    held = rows(database, query)

    def refused(path: Path, why: str) -> None:
        step = sync.scores(name, put(path), kind, force=False)
        assert why in step.error
        assert rows(database, query) == held

    whole = packed(make(tmp_path / "b", *range(200, 400), day=10))
    refused(cut(whole, tmp_path / "cut.gz", 0.8), "")
    refused(make(tmp_path / "c", 1, 2, day=10), "less than half")
    refused(make(tmp_path / "d", *range(1, 101), day=8), "of 2026-05-0")
    refused(make(tmp_path / "e", day=10), "no entry")
    assert not sync.scores(name, put(make(tmp_path / "c", 1, 2, day=8)), kind, force=True).error
    assert len(rows(database, query)) == 2


def test_scores_reach_the_cves(sync: VulnSync, put: Put, database: Database, tmp_path: Path) -> None:
    """In steps; a CVE of the catalogue weighs more."""
    every_step(sync, put(nvd(tmp_path / "feed", 1, 2, 3)))
    sync.scores(expect(database, "kev"), put(kev(tmp_path / "kev", 2)), "kev", force=False)
    step = sync.rescore(0)
    assert (step.done, step.changed, step.end) == (3, 1, True)
    assert rows(database, "SELECT cve FROM vuln ORDER BY risk DESC LIMIT 1") == [("CVE-2026-0002",)]


def test_what_is_no_feed(sync: VulnSync, put: Put, database: Database, shared_data: Path) -> None:
    """A web page that a mirror saved under a feed's name is not one; nor is a feed of another kind this one."""
    name = expect(database, "nvd", "nvd")
    page = shared_data / "nvd/quirks/html_error_page_named_nvdcve-1.1-modified.json.gz"
    assert "web page" in sync.head(name, put(page), force=False).error
    other = put(shared_data / "kev/known_exploited_vulnerabilities.json.gz")
    assert "kind kev; nvd is of kind nvd" in sync.head(name, other, force=False).error
    head = sync.head(name, other, force=True)
    assert (head.kind, head.version, head.error) == ("kev", "2025.08.25", "")
    with pytest.raises(BadRequest):
        VulnSync.check_kind(vulnsources.every(database)[0], "kev", force=False)


def test_fetching(sync: VulnSync, database: Database, tmp_path: Path, blobs: BlobStore) -> None:
    """A file is staged with what the server said of it; a server that is away or says 304 leaves nothing behind."""
    body = nvd(tmp_path / "feed", 1).read_bytes()
    with site(lambda h: say(h, 304) if h.headers.get("if-none-match") else say(h, 200, body, ETag='"1"')) as url:
        name = expect(database, "nvd", source=f"{url}/feed.json")
        fetched = sync.fetch(name, force=False)
        assert fetched["validators"] == ['"1"', ""]
        assert fetched["staged"]["size"] == len(body)
        with database.connection() as connection:
            connection.execute("UPDATE vuln_source SET etag = %s", ['"1"'])
        assert sync.fetch(name, force=False) == {"unchanged": True}
        assert "staged" in sync.fetch(name, force=True)
        with database.connection() as connection:
            digest = fetched["staged"]["sha256"]
            connection.execute("UPDATE vuln_source SET etag = '', sha256 = decode(%s, 'hex')", [digest])
        assert sync.fetch(name, force=False) == {"unchanged": True}, "the same bytes without a validator"
    assert "cannot be reached" in sync.fetch(name, force=False)["error"]
    with pytest.raises(NotFound):
        sync.fetch("nothing", force=False)


def test_pages_of_the_api(sync: VulnSync, database: Database, shared_data: Path) -> None:
    """Real CVEs, a page a step; the same page twice is the same once; one that fails says whether it passes."""
    objects = real(shared_data, 12)
    with Nvd(objects).serving() as server:
        name = expect(database, "nvd", "nvd-api", server.url)
        steps = [sync.page(name, Window(), first) for first in (0, 0, 5, 10)]
        assert [(s.done, s.added, s.total, s.end) for s in steps] == [
            (5, 5, 12, False),
            (5, 0, 12, False),
            (5, 5, 12, False),
            (2, 2, 12, True),
        ]
        server.failing = [403, 404]
        assert sync.page(name, Window(), 0).passing
        assert not sync.page(name, Window(), 0).passing
        server.cves = []
        assert sync.page(name, Window(), 0) == Step(end=True)
    assert {f"{c}" for (c,) in rows(database, "SELECT cve FROM vuln")} == {o["id"] for o in objects}


def test_real_days(sync: VulnSync, put: Put, database: Database, shared_data: Path, tmp_path: Path) -> None:
    """CVEs that changed within three days, by the NVD's own files: only those are written, and none back in time."""
    days: list[dict[str, dict[str, object]]] = []
    for file in ("nvdcve-2.0-modified.json.gz", "nvdcve-2.0-modified_2026-03-15.json.gz"):
        told = json.loads(gzip.decompress((shared_data / "nvd/raw_feeds" / file).read_bytes()))
        days.append({v["cve"]["id"]: v["cve"] for v in told["vulnerabilities"]})
    both = sorted(days[0].keys() & days[1].keys())[:40]
    changed = sum(days[0][c] != days[1][c] for c in both)
    first, second = ([{"cve": day[c]} for c in both] for day in days)
    every_step(sync, put(lines(tmp_path / "first", first)), "a")
    steps = every_step(sync, put(lines(tmp_path / "second", second)), "b")
    assert sum(step.changed for step in steps) <= changed
    assert sum(step.added for step in steps) == 0
    before = rows(database, "SELECT cve, modified FROM vuln ORDER BY cve")
    back = every_step(sync, put(lines(tmp_path / "first", first)), "c")
    assert sum(step.changed for step in back) == 0
    assert rows(database, "SELECT cve, modified FROM vuln ORDER BY cve") == before


def test_taking_back(sync: VulnSync, put: Put, database: Database, tmp_path: Path) -> None:
    """In batches, or at once for scores."""
    every_step(sync, put(nvd(tmp_path / "feed", *range(1, 7))))
    sync.scores(expect(database, "kev"), put(kev(tmp_path / "kev", 2)), "kev", force=False)
    step = sync.forget("nvd-api", 0)
    assert (step.done, step.end) == (BATCH, False)
    assert sync.forget("nvd", step.after).done == 2
    assert sync.forget("nvd", 0).end
    assert cves(database) == []
    assert sync.forget("kev", 0).end
    assert rows(database, "SELECT count(*) FROM kev") == [(0,)]
