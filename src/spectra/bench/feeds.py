"""The feeds of weaknesses of a bench: where they are, loading them as a user does, and what raw SQL takes for it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import httpx
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from spectra.bench.load import checked, client_of
from spectra.bench.saying import Say
from spectra.bench.server import BenchServer
from spectra.errors import BadRequest, SpectraError
from spectra.store.database import Database, migrate, one

VARIABLE: Final = "SPECTRA_TEST_DATA"
FEEDS: Final = {
    "nvd": "big/nvd_cves.jsonl.zst",
    "overrides": "big/anchore_nvd_overrides.jsonl.zst",
    "vulnrichment": "big/cisa_vulnrichment.jsonl.zst",
    "kev": "kev/known_exploited_vulnerabilities_20*.json*",
    "epss": "epss/epss_scores-*.csv*",
}
"""Name of each feed, and where it is below the folder; the last one that fits counts."""
TABLES: Final = ("vuln", "vuln_text", "vuln_record", "product", "vuln_rule", "kev", "epss")
"""What feeds are stored in, in the order in which they refer to each other."""

_POLL_S: Final = 0.05
_TOLD_S: Final = 5.0  # between two words about how far it is
_AT_MOST_S: Final = 3600.0
_CHUNK: Final = 1 << 20


def folder(chosen: Path | None) -> Path:
    """The folder of feeds: the chosen one, what the variable names, or `../shared/data` beside the checkout."""
    beside = Path(__file__).parents[4] / "shared" / "data"
    return chosen or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else beside)


def feeds(chosen: Path | None) -> dict[str, Path]:
    """Name to file of the feeds there are, the NVD's first; raises `BadRequest` where that is missing."""
    where = folder(chosen)
    found = {name: files[-1] for name, pattern in FEEDS.items() if (files := sorted(where.glob(pattern)))}
    if "nvd" not in found:
        raise BadRequest(
            f"There is no {FEEDS['nvd']} in {where}.",
            field="feeds",
            reason="bench_feeds",
            hint=f"Name a folder with --feeds DIR or {VARIABLE}. That file has one CVE of the NVD's JSON 2.0 a line;"
            f" beside it, where there are any: {', '.join(list(FEEDS.values())[1:])}.",
        )
    return found


def take(server: BenchServer, files: Mapping[str, Path], say: Say) -> float:
    """Give the server each feed and wait until it is taken in, one after the other; returns seconds."""
    began = time.perf_counter()
    with client_of(server) as client:
        for name, file in files.items():
            with file.open("rb") as stream:
                headers = {"Content-Type": "application/octet-stream"}
                begun = checked(client.put(f"/v0/vuln-feeds/{name}", content=stream, headers=headers)).json()
            if "workflow_id" in begun:  # else the server has just this one already
                await_workflow(client, begun["workflow_id"], f"feed {name}", say)
    return time.perf_counter() - began


def await_workflow(client: httpx.Client, workflow_id: str, what: str, say: Say) -> None:
    """Return when it is done; raises `SpectraError` where it fails, or takes an hour."""
    never, began = threading.Event(), time.monotonic()
    told = began - _TOLD_S
    while (now := time.monotonic()) < began + _AT_MOST_S:
        record: dict[str, Any] = checked(client.get(f"/v0/workflows/{workflow_id}")).json()
        if record["status"] == "done":
            return
        if record["status"] == "failed":
            raise SpectraError(f"{what} failed: {record.get('error', '')}", reason="bench")
        if now - told >= _TOLD_S:
            say(f"{what} {record.get('done', 0)}/{record.get('total', 0)}")
            told = now
        never.wait(_POLL_S)
    raise SpectraError(f"{what} is not done after {_AT_MOST_S:.0f} s.", reason="bench")


def copied_s(url: str, spare: Path) -> float:
    """Seconds to COPY the rows of all tables into equal empty ones with the same indexes, a transaction each.

    A second database on the same PostgreSQL, which is dropped again. The rows lie in files in `spare` before the clock
    starts: nothing is read from the source, recognised, merged or weighed.
    """
    name = "spectra_bench_copy"
    spare.mkdir(exist_ok=True)
    columns = _unload(url, spare)
    with psycopg.connect(url, autocommit=True) as admin, ExitStack() as stack:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        # Not WITH (FORCE), which may not end an autovacuum that is at it; without, it is waited for.
        drop = sql.SQL("DROP DATABASE {}").format(sql.Identifier(name))
        stack.callback(admin.execute, drop)
        copy = make_conninfo(url, dbname=name)
        with Database(copy, pool_size=2) as database:
            migrate(database)
        with psycopg.connect(copy) as connection:
            began = time.perf_counter()
            for table in TABLES:
                _load(connection, table, columns[table], spare / table)
                connection.commit()
            return time.perf_counter() - began


def _unload(url: str, spare: Path) -> dict[str, sql.Composed]:
    """Write each table's rows to a file; returns the columns that are written, which are all but those computed."""
    columns: dict[str, sql.Composed] = {}
    with psycopg.connect(url) as connection:
        for table in TABLES:
            names = connection.execute(
                """SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
                   AND attgenerated = '' ORDER BY attnum""",
                [table],
            ).fetchall()
            columns[table] = sql.SQL(", ").join(sql.Identifier(name) for (name,) in names)
            statement = sql.SQL("COPY {} ({}) TO STDOUT (FORMAT BINARY)").format(sql.Identifier(table), columns[table])
            with connection.cursor() as cursor, cursor.copy(statement) as copy, (spare / table).open("wb") as file:
                for block in copy:
                    file.write(block)
    return columns


def _load(connection: psycopg.Connection, table: str, columns: sql.Composed, file: Path) -> None:
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(sql.Identifier(table), columns)
    with connection.cursor() as cursor, cursor.copy(statement) as copy, file.open("rb") as stream:
        while block := stream.read(_CHUNK):
            copy.write(block)


def told(database: Database) -> int:
    """How many CVEs are known."""
    with database.connection() as connection:
        return int(one(connection.execute("SELECT count(*) FROM vuln"))[0])
