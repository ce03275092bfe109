"""Feeds of weaknesses for tests: small files of them, real ones, the syncs of one coordinator, and a server that speaks
as the NVD's API does.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import itertools
import json
from collections.abc import Generator, Iterable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import zstandard

from spectra.flow.download import Bounds
from spectra.flow.nvdapi import Api
from spectra.flow.vulnfeeds import VulnFeeds
from spectra.flow.vulnstage import Stage
from spectra.flow.vulnsync import VulnSync, knowledge
from spectra.intel.vulns import open_feed
from spectra.store.blobs import BlobStore
from spectra.store.database import Database
from tests.flow.desk import Clock
from tests.flow.test_download import LOOPBACK, say, site

WHEN = datetime(2026, 5, 1, tzinfo=UTC)
BOUNDS = Bounds(8 << 20, 20.0, LOOPBACK)
BATCH = 4
CORE = "nvd/nvd_netproducts_core.jsonl.zst"


def cve(number: int, product: str = "httpd", day: int = 1) -> dict[str, Any]:
    """An object as the NVD's files have it."""
    at = (WHEN + timedelta(days=day)).isoformat(timespec="milliseconds").removesuffix("+00:00")
    match = {"vulnerable": True, "criteria": f"cpe:2.3:a:acme:{product}:*:*:*:*:*:*:*:*", "versionEndExcluding": "2.0"}
    return {
        "id": f"CVE-2026-{number:04}",
        "published": at,
        "lastModified": at,
        "vulnStatus": "Analyzed",
        "descriptions": [{"lang": "en", "value": f"Weakness {number} of {product} on day {day}."}],
        "configurations": [{"nodes": [{"operator": "OR", "negate": False, "cpeMatch": [match]}]}],
    }


def lines(path: Path, objects: Iterable[Any]) -> Path:
    """A file with one JSON object a line; what is text stands there as it is."""
    path.write_text("".join(f"{o if isinstance(o, str) else json.dumps(o)}\n" for o in objects), "utf-8")
    return path


def nvd(path: Path, *numbers: int, day: int = 1, product: str = "httpd") -> Path:
    """A feed of these CVEs."""
    return lines(path, (cve(number, product, day) for number in numbers))


def kev(path: Path, *numbers: int, day: int = 1) -> Path:
    """A catalogue of that day with these CVEs in it."""
    entries = [
        {"cveID": f"CVE-2026-{n:04}", "dateAdded": "2026-04-01", "knownRansomwareCampaignUse": "Known"} for n in numbers
    ]
    released = (WHEN + timedelta(days=day)).isoformat().replace("+00:00", "Z")
    head = {"title": "Catalog", "catalogVersion": f"2026.05.{day:02}", "dateReleased": released, "count": len(entries)}
    path.write_text(json.dumps({**head, "vulnerabilities": entries}), "utf-8")
    return path


def epss(path: Path, *numbers: int, score: float = 0.5, day: int = 1) -> Path:
    """The scores of that day."""
    head = f"#model_version:v2026.05.01,score_date:2026-05-{day:02}T00:00:00+0000\ncve,epss,percentile\n"
    path.write_text(head + "".join(f"CVE-2026-{n:04},{score},0.9\n" for n in numbers), "utf-8")
    return path


def real(shared_data: Path, count: int, name: str = CORE, skip: int = 0) -> list[dict[str, Any]]:
    """Real CVEs of the NVD: objects of its JSON 2.0."""
    with (shared_data / name).open("rb") as file:
        stream = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), "utf-8")
        return [json.loads(line) for line in itertools.islice(stream, skip, skip + count)]


def cut(path: Path, to: Path, part: float = 0.5) -> Path:
    """The beginning of a file, as a broken download leaves it."""
    data = path.read_bytes()
    to.write_bytes(data[: int(len(data) * part)])
    return to


def packed(path: Path) -> Path:
    """The file in gzip."""
    to = path.with_name(f"{path.name}.gz")
    to.write_bytes(gzip.compress(path.read_bytes()))
    return to


def make_stage(blobs: BlobStore, folder: Path) -> Stage:
    """In pieces of a few hundred bytes."""
    return Stage(folder / "stage", blobs, piece=700)


def make_sync(database: Database, blobs: BlobStore, folder: Path, clock: Clock, **options: Any) -> VulnSync:
    """The steps of one coordinator, in batches of four; the NVD's API is asked without a pause."""
    options = {"bounds": BOUNDS, "api": Api(BOUNDS, pause_s=0.0), "batch": BATCH} | options
    stage = make_stage(blobs, folder)
    return VulnSync(database, stage, knowledge(), open_feed=open_feed, clock=clock, **options)


def make_feeds(database: Database, blobs: BlobStore, folder: Path, clock: Clock, **options: Any) -> VulnFeeds:
    """The feeds of one coordinator; not started."""
    options = {"max_bytes": 8 << 20, "update_every": timedelta(days=1)} | options
    return VulnFeeds(database, make_stage(blobs, folder), open_feed=open_feed, clock=clock, **options)


class Nvd:
    """A real HTTP server that speaks as the NVD's API 2.0 does, over these CVEs, at most `page` at a time.

    `failing` are the statuses of the next answers that are none, `garbled` of those whose bodies are no page.
    """

    def __init__(self, cves: list[dict[str, Any]], page: int = 5) -> None:
        self.cves = cves
        self.page = page
        self.failing: list[int] = []
        self.asked: list[dict[str, str]] = []
        self.keys: list[str | None] = []
        self.url = ""

    @contextlib.contextmanager
    def serving(self) -> Generator[Nvd]:
        """At `url`."""
        with site(self._answer) as url:
            self.url = f"{url}/rest/json/cves/2.0"
            yield self

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        query = {name: values[0] for name, values in parse_qs(urlsplit(handler.path).query).items()}
        self.asked.append(query)
        self.keys.append(handler.headers.get("apiKey"))
        if self.failing and (status := self.failing.pop(0)):
            say(handler, status, b"<html>Request forbidden by administrative rules.</html>")
            return
        start, end = query.get("lastModStartDate", ""), query.get("lastModEndDate", "~")
        found = [c for c in self.cves if start <= f"{c['lastModified']}+00:00" <= end]
        first = int(query["startIndex"])
        part = found[first : first + min(self.page, int(query["resultsPerPage"]))]
        body = {
            "resultsPerPage": len(part),
            "startIndex": first,
            "totalResults": len(found),
            "format": "NVD_CVE",
            "version": "2.0",
            "timestamp": "2026-08-01T00:00:00.000",
            "vulnerabilities": [{"cve": c} for c in part],
        }
        say(handler, 200, json.dumps(body).encode())
