"""`spectra bench --vulns`: taking feeds of weaknesses in, holding services against them, and asking about them."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import psycopg

from spectra.bench import correlating, feeds, vulnquestions, wares
from spectra.bench.feeds import await_workflow
from spectra.bench.load import checked, client_of
from spectra.bench.questions import asked
from spectra.bench.saying import Say, silent
from spectra.bench.server import BenchServer, scratch, serving
from spectra.engines.postgres import PostgresServer
from spectra.errors import SpectraError
from spectra.flow.vectorflow import Vectors
from spectra.model.observation import Service
from spectra.store import software
from spectra.store.blobs import BlobStore
from spectra.store.database import Database

# Vectors are made when that is measured, and by what needs no service, whatever this user's settings are.
_SETTINGS: Final = {"SPECTRA_EMBEDDINGS__URL": "", "SPECTRA_EMBEDDINGS__LOOK_EVERY_S": "0"}
_STATEMENT_S: Final = 3600.0
_POLL_S: Final = 0.05
_AT_MOST_S: Final = 3600.0


class Result(msgspec.Struct, kw_only=True):
    """The keys of the JSON object. Rates are a second, times milliseconds unless they end in `_s`."""

    feeds: int
    cves: int
    services: int
    software: int
    findings: int
    feed_load_s: float
    feed_load_cves_per_s: float
    feed_baseline_cves_per_s: float
    feed_ratio: float
    feed_rss_mb: float
    vectorize_s: float
    match_services_per_s: float
    first_eval_s: float
    full_reeval_s: float
    delta_reeval_ms_p50: float
    delta_reeval_ms_p95: float
    delta_write_ms_p95: float
    delta_software: float
    delta_findings: float
    families_ms_p95: float
    knn_ms_p95: float
    knn_recall: float
    similar_ms_p95: float
    fts_ms_p50: float
    fts_ms_p95: float
    rss_mb: float
    db_mb: float


def run(n_services: int = 100_000, *, folder: Path | None = None, rounds: int = 20, say: Say | None = None) -> Result:
    """Measure everything with the feeds of `folder` and `n_services` distinct services, in a scratch database.

    Raises `BadRequest` where there are no feeds.
    """
    tell, files = say or silent, feeds.feeds(folder)
    with scratch() as data_dir:
        tell("starting the server")
        with serving(data_dir, _SETTINGS) as server:
            measured = _served(server, files, n_services, tell)
        with alone(data_dir) as database:
            measured |= _in_process(database, data_dir, n_services, rounds, tell)
    rate, baseline = measured["cves"] / measured["feed_load_s"], measured["cves"] / measured.pop("copied_s")
    measured["feed_load_cves_per_s"], measured["feed_baseline_cves_per_s"] = round(rate), round(baseline)
    return Result(feeds=len(files), feed_ratio=round(rate / baseline, 3), **measured)


def _served(server: BenchServer, files: Mapping[str, Path], n_services: int, tell: Say) -> dict[str, Any]:
    """What a user of the server sees: key of the result to figure."""
    measured: dict[str, Any] = {"feed_load_s": round(feeds.take(server, files, tell), 1)}
    measured["feed_rss_mb"] = round(server.peak_mb())
    with Database(_url(server.data_dir), pool_size=2, statement_timeout_s=_STATEMENT_S) as database:
        measured["cves"] = feeds.told(database)
        measured["vectorize_s"] = _job(server, "/v0/vulns/vectorize", "vectors", tell)
        _settle(server)
        made = wares.services(wares.wares(database), n_services)
        tell(f"ingest of {len(made)} services")
        wares.submit(server, made, server.data_dir / "envelopes", lambda _: None)
        measured["first_eval_s"] = evaluated(database, len(made), tell)
        _settle(server)
        measured["full_reeval_s"] = _job(server, "/v0/correlate", "all services against all CVEs", tell)
        found = correlating.counts(database)
        if found.services != len(made):
            raise SpectraError(f"{len(made)} services were sent, and {found.services} are stored.", reason="bench")
        measured |= found._asdict()
        similar = vulnquestions.similar(database)
    _settle(server)
    tell("questions by words and filters")
    words = asked(server, vulnquestions.words())
    measured["fts_ms_p50"], measured["fts_ms_p95"] = round(words.p50, 1), round(words.p95, 1)
    tell("questions by texts")
    measured["similar_ms_p95"] = round(asked(server, similar, rounds=1).p95, 1)
    return measured | {"rss_mb": round(server.peak_mb())}


def _in_process(database: Database, data_dir: Path, n_services: int, rounds: int, tell: Say) -> dict[str, Any]:
    """What one thread does on the same database while no server is at it."""
    tell("baseline: the same rows by COPY")
    copied_s = feeds.copied_s(database.url, data_dir / "copy")
    made: list[Service] = wares.services(wares.wares(database), n_services)
    tell("services against rules in memory")
    matched = correlating.in_memory(database, made)
    vectors = Vectors(database, BlobStore.local(data_dir / "blobs"), clock=lambda: datetime.now(UTC))
    near = vulnquestions.nearest(vectors, tell)
    size = _database_bytes(database.url)
    followed = correlating.news(database, tell, rounds=rounds)
    return {
        "copied_s": copied_s,
        "match_services_per_s": round(matched.per_s),
        "knn_ms_p95": round(near.ms_p95, 1),
        "knn_recall": round(near.recall, 4),
        "db_mb": round(size / 2**20),
        "delta_write_ms_p95": round(followed.written.p95, 1),
        "delta_reeval_ms_p50": round(followed.evaluated.p50, 1),
        "delta_reeval_ms_p95": round(followed.evaluated.p95, 1),
        "delta_software": round(followed.software),
        "delta_findings": round(followed.findings),
        "families_ms_p95": round(followed.learned.p95, 1),
    }


@contextmanager
def alone(data_dir: Path) -> Generator[Database]:
    """The database of a server that has ended."""
    server = PostgresServer(data_dir)
    url = server.start()
    try:
        with Database(url, pool_size=4, statement_timeout_s=_STATEMENT_S) as database:
            yield database
    finally:
        server.stop()


def _url(data_dir: Path) -> str:
    return PostgresServer(data_dir).url


def _job(server: BenchServer, path: str, what: str, tell: Say) -> float:
    """Have the server do it and wait for the end of the workflow; returns seconds."""
    began = time.perf_counter()
    with client_of(server) as client:
        begun = checked(client.post(path)).json()
        await_workflow(client, begun["workflow_id"], what, tell)
    return round(time.perf_counter() - began, 2)


def evaluated(database: Database, wanted: int, tell: Say) -> float:
    """Seconds until the server's background has named and matched all that was just stored."""
    never, began = threading.Event(), time.perf_counter()
    tell(f"naming and matching {wanted} services for the first time")
    while software.left(database):
        if time.perf_counter() - began > _AT_MOST_S:
            raise SpectraError(f"Not all services are evaluated after {_AT_MOST_S:.0f} s.", reason="bench")
        never.wait(_POLL_S)
    return round(time.perf_counter() - began, 2)


def _settle(server: BenchServer) -> None:
    """Statistics as autovacuum would gather them within the minute, so that a short run is not measured without."""
    with psycopg.connect(_url(server.data_dir), autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")


def _database_bytes(url: str) -> int:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    return row[0] if row else 0
