"""`spectra bench`: one run, one JSON object with stable keys."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import msgspec
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from spectra.bench import baseline, hosts, load, networks, questions
from spectra.bench.lookups import enrich_lookups_per_s
from spectra.bench.saying import Say, silent
from spectra.bench.server import BenchServer, running
from spectra.engines.postgres import PostgresServer
from spectra.errors import BadRequest
from spectra.identity.keys import SigningKey
from spectra.ingest import gate
from spectra.ingest.gate import Policy
from spectra.ingest.parsers import Context, parse
from spectra.model.envelope import Privacy
from spectra.model.records import KeyRecord
from spectra.store.database import Database, migrate

_CLIENTS = 4
_VISIBLE_SAMPLES = 40
_HOST_SAMPLES = 200
_CROWD = 8  # clients at once


class Result(msgspec.Struct, kw_only=True):
    """The keys of the JSON object. Rates are a second, times milliseconds unless they end in `_s`."""

    hosts: int
    hosts_per_envelope: int
    ingest_hosts_per_s: float
    ingest_baseline_hosts_per_s: float
    ingest_ratio: float
    gate_verify_per_s: float
    parse_hosts_per_s: float
    visible_ms_p50: float
    visible_ms_p95: float
    search_ms_p50: float
    search_ms_p95: float
    host_ms_p50: float
    host_ms_p95: float
    facets_ms_p95: float
    facets8_ms_p95: float
    plan_ms_p95: float
    plan8_ms_p95: float
    coverage_ms_p95: float
    coverage8_ms_p95: float
    diff_ms_p95: float
    diff8_ms_p95: float
    enrich_lookups_per_s: float
    enrich_baseline_lookups_per_s: float
    rss_mb: float
    db_bytes_per_host: int
    start_s: float


def run(n_hosts: int = 10_000, *, batch: int = 1000, say: Say | None = None) -> Result:
    """Measure everything with `n_hosts` made-up hosts of three services, in a scratch database."""
    tell = say or silent
    tell("gate and parser")
    verify_rate, parse_rate = gate_verify_per_s(), parse_hosts_per_s()
    tell("look-ups")
    lookups = enrich_lookups_per_s(min(1_000_000, 100 * n_hosts), min(512_000, 50 * n_hosts))
    tell("starting the server")
    with running() as server:
        tell("baseline: the same rows by raw SQL")
        baseline_rate = _baseline(server, n_hosts, batch)
        tell(f"signing {n_hosts} hosts")
        files = load.prepare(server, server.data_dir / "envelopes", n_hosts, batch)
        tell("feeds")
        load.load_feeds(server, networks.feeds(n_hosts + 100 * _VISIBLE_SAMPLES))
        tell("ingest over HTTP")
        seconds = load.submit_all(server, files, clients=_CLIENTS, progress=_counter(tell, len(files)))
        settle(server)
        size = _database_bytes(server)
        visible = load.spread(load.visible_ms(server, n_hosts, _VISIBLE_SAMPLES))
        rate = n_hosts / seconds
        return Result(
            hosts=n_hosts,
            hosts_per_envelope=batch,
            ingest_hosts_per_s=round(rate),
            ingest_baseline_hosts_per_s=round(baseline_rate),
            ingest_ratio=round(rate / baseline_rate, 2),
            gate_verify_per_s=round(verify_rate),
            parse_hosts_per_s=round(parse_rate),
            visible_ms_p50=round(visible.p50, 1),
            visible_ms_p95=round(visible.p95, 1),
            **_pages(server, n_hosts, tell),
            **_questions(server, n_hosts, tell),
            enrich_lookups_per_s=round(lookups.random),
            enrich_baseline_lookups_per_s=round(lookups.baseline),
            rss_mb=round(server.rss_mb()),
            db_bytes_per_host=round(size / n_hosts),
            start_s=round(server.start_s, 2),
        )


def _pages(server: BenchServer, n_hosts: int, tell: Say) -> dict[str, float]:
    """Search and host pages, one after the other: key of the result to milliseconds."""
    tell("search and host pages")
    search = load.spread(load.asked_ms(server, load.questions(n_hosts, 10)))
    step = max(1, n_hosts // _HOST_SAMPLES)
    pages = [(f"/v0/host/{hosts.address(n)}", dict[str, str]()) for n in range(0, n_hosts, step)]
    host = load.spread(load.asked_ms(server, pages))
    return {
        f"{name}_ms_{p}": round(getattr(spread, p), 1)
        for name, spread in (("search", search), ("host", host))
        for p in ("p50", "p95")
    }


def _questions(server: BenchServer, n_hosts: int, tell: Say) -> dict[str, float]:
    """Facets, plans, coverage and diffs, from one client and from several: key of the result to milliseconds."""
    kinds = {
        "facets": questions.facets(n_hosts),
        "plan": questions.plans(n_hosts),
        "coverage": questions.coverage(n_hosts),
        "diff": questions.diffs(n_hosts),
    }
    measured: dict[str, float] = {}
    for name, asked in kinds.items():
        for clients in (1, _CROWD):
            tell(f"{name}, {clients} at once")
            crowd = "" if clients == 1 else str(clients)
            measured[f"{name}{crowd}_ms_p95"] = round(questions.asked(server, asked, clients=clients).p95, 1)
    return measured


def parse_hosts_per_s(count: int = 5000) -> float:
    """Hosts a second through the nmap parser alone, one thread."""
    text = hosts.nmap_xml(0, count)
    context = Context(default_time=datetime.now(UTC), privacy=Privacy.FULL)
    began = time.perf_counter()
    _, records = parse(io.BytesIO(text), context)
    kept = sum(1 for _ in records)
    assert kept >= count
    return count / (time.perf_counter() - began)


class _OneKey:
    """A ledger in memory that knows one key: the gate's own cost, without a database."""

    def __init__(self, key: SigningKey) -> None:
        now = datetime.now(UTC)
        self._record = KeyRecord(key.public.keyid, "bench", "admin", key.public.b64, "active", now)

    def key(self, keyid: str) -> KeyRecord | None:
        return self._record if keyid == self._record.keyid else None

    def nonce(self, contributor: str, nonce: str) -> str | None:
        return None

    def admit(self, contributor: str, role: str, now: datetime) -> float:
        return 0.0


def gate_verify_per_s(count: int = 500) -> float:
    """Envelopes of 100 hosts a second through the gate alone, one thread."""
    key = SigningKey.generate()
    raw = load.envelope(key, "bench", 0, 100)
    policy = Policy(max_envelope_bytes=1 << 24, max_age_s=3600, max_ahead_s=300, rate_per_minute=0)
    ledger, now = _OneKey(key), datetime.now(UTC)
    began = time.perf_counter()
    for _ in range(count):
        gate.verify(raw, now=now, policy=policy, ledger=ledger)
    return count / (time.perf_counter() - began)


def _baseline(server: BenchServer, n_hosts: int, batch: int) -> float:
    """Raw SQL into a second database of the same PostgreSQL; hosts a second."""
    own = PostgresServer(server.data_dir).url
    name = "spectra_bench_baseline"
    with psycopg.connect(own, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    seconds = 0.0
    with Database(make_conninfo(own, dbname=name), pool_size=2) as database:
        migrate(database)
        for first in range(0, n_hosts, batch * 20):  # prepared in pieces, so that a million hosts fit in memory
            last = min(first + batch * 20, n_hosts)
            pieces = [baseline.batch(start, min(batch, last - start)) for start in range(first, last, batch)]
            seconds += baseline.merge(database, pieces)
    with psycopg.connect(own, autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))
    return n_hosts / seconds


def settle(server: BenchServer) -> None:
    """Statistics as autovacuum would gather them within the minute, so that a short run is not measured without."""
    with psycopg.connect(PostgresServer(server.data_dir).url, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")


def _database_bytes(server: BenchServer) -> int:
    with psycopg.connect(PostgresServer(server.data_dir).url, autocommit=True) as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    return row[0] if row else 0


def _counter(tell: Say, total: int) -> Callable[[int], None]:
    def progress(done: int) -> None:
        if done % max(1, total // 20) == 0:
            tell(f"ingest over HTTP {done}/{total} envelopes")

    return progress


def main(n_hosts: int, *, as_json: bool, batch: int = 1000, output: Path | None = None) -> int:
    """Measure hosts and print; returns the exit code, raises `SpectraError`."""
    return printed(lambda say: run(n_hosts, batch=batch, say=say), as_json=as_json, output=output)


def printed(measure: Callable[[Say | None], msgspec.Struct], *, as_json: bool, output: Path | None = None) -> int:
    """Measure and print; with `output` the JSON object goes there too. Progress goes to standard error when that is a
    terminal. Returns the exit code; raises `SpectraError`.
    """
    say: Say | None = (lambda text: print(f"  {text}", file=sys.stderr)) if sys.stderr.isatty() else None
    with _opened(output) as file:
        result = measure(say)
        text = msgspec.json.encode(result).decode()
        if file:
            file.write(text + "\n")
    if as_json:
        print(text)
    else:
        for name, value in msgspec.structs.asdict(result).items():
            print(f"{name:32} {value:>12,}")
    return 0


def _opened(output: Path | None) -> AbstractContextManager[IO[str] | None]:
    """The file for the result, opened before minutes are spent on what could then not be kept."""
    if output is None:
        return nullcontext()
    try:
        return output.open("w", encoding="utf-8")
    except OSError as error:
        raise BadRequest(f"{output} cannot be written: {error.strerror}.", field="output") from error
