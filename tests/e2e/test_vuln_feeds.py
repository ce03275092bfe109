"""Feeds of weaknesses as a user meets them: real files by the command line, kill -9 in the middle, and back again."""

from __future__ import annotations

import gzip
import json
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from spectra.engines.postgres import PostgresServer
from tests.flow.vulndesk import CORE, real
from tests.support.running import Running, spectra
from tests.support.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.engine]


@pytest.fixture
def running() -> Iterator[Running]:
    """A Spectra of the test's own."""
    with spectra() as one:
        yield one.start()


def database(running: Running) -> psycopg.Connection[Any]:
    """A connection beside the node's own."""
    server = PostgresServer(running.data_dir, shared_buffers_mb=32)
    return psycopg.connect(server.url, autocommit=True)


def counts(running: Running) -> tuple[int, int, int]:
    """CVEs, records and rules."""
    query = "SELECT (SELECT count(*) FROM vuln), (SELECT count(*) FROM vuln_record), (SELECT count(*) FROM vuln_rule)"
    with database(running) as connection:
        found = connection.execute(query).fetchone()
    assert found is not None
    return found


def wrong_products(running: Running) -> list[Any]:
    """Products whose count is not what counting gives."""
    with database(running) as connection:
        return connection.execute(
            """SELECT p.id FROM product p LEFT JOIN vuln_rule r ON r.product = p.id
               GROUP BY p.id HAVING p.vulns <> count(r.num)"""
        ).fetchall()


def test_real_feeds_by_the_command_line(running: Running, shared_data: Path, tmp_path: Path) -> None:
    """NVD, KEV and EPSS are recognised and told of; a web page and an older catalogue leave what is held; the same
    file again is nothing new.
    """
    assert "no feed of weaknesses" in running.run("feeds", "status").stderr
    some = tmp_path / "nvd.json.gz"
    objects = real(shared_data, 300)
    some.write_bytes(gzip.compress(json.dumps({"vulnerabilities": [{"cve": o} for o in objects]}).encode()))
    assert running.cli("feeds", "vulns", "add", "nvd", some, "--watch") == "nvd: done, 300 records\n"
    assert running.cli("feeds", "vulns", "add", "nvd", some, "--watch") == "nvd: nothing new\n"
    newest = shared_data / "kev/known_exploited_vulnerabilities_2026-08.json.gz"
    assert running.cli("feeds", "vulns", "add", "kev", newest, "--watch") == "kev: done, 1,674 records\n"
    for older in ("known_exploited_vulnerabilities.json.gz", "known_exploited_vulnerabilities.csv.gz"):
        refused = running.run("feeds", "vulns", "add", "kev", shared_data / "kev" / older, "--watch")
        assert (refused.returncode, "and what is held is of 2026-08-2" in refused.stdout) == (1, True)
    page = shared_data / "nvd/quirks/html_error_page_named_nvdcve-1.1-modified.json.gz"
    refused = running.run("feeds", "vulns", "add", "nvd", page, "--watch")
    assert (refused.returncode, "web page" in refused.stderr) == (1, True)
    table = running.run("feeds", "status", COLUMNS="80")
    assert max(map(len, table.stdout.splitlines())) <= 80
    assert "300 CVEs" in table.stderr
    assert "web page" in table.stderr
    told = {feed["name"]: feed for feed in running.rows("feeds", "status", "--json")}
    assert (told["nvd"]["records"], told["nvd"]["cves"]) == (300, 300)
    assert told["kev"]["cves"] == 1674
    assert wrong_products(running) == []


def test_kill_9_in_the_middle(running: Running, shared_data: Path) -> None:
    """Of the process, with records stored and a batch under way: the next start goes on by itself, to the same end as a
    sync that nobody disturbed.
    """
    core = shared_data / CORE
    (last,) = real(shared_data, 1, skip=5361)
    with closing(database(running)) as connection:
        connection.autocommit = False  # never committed: the last batch waits for this CVE, as for a slow disk
        connection.execute(
            "INSERT INTO vuln (cve, sort, changed) VALUES (%s, %s, now())",
            [last["id"], int(last["id"][4:8]) * 10**9 + int(last["id"][9:])],
        )
        (begun,) = running.rows("feeds", "vulns", "add", "nvd", core, "--json")
        path = f"/v0/workflows/{begun['workflow_id']}"
        eventually(lambda: running.get(path).get("done", 0) >= 4000)
        assert running.get(path)["status"] == "running"
        assert running.end(signal.SIGKILL) == -signal.SIGKILL
    with database(running) as connection:
        assert connection.execute("SELECT count(*) FROM vuln").fetchone() == (4000,)
    running.start()
    eventually(lambda: running.get(path)["status"] in ("done", "failed"), within_s=120)
    record = running.get(path)
    assert (record["status"], record["done"], record["total"]) == ("done", 5362, 5362)
    cves, records, rules = counts(running)
    assert (cves, records) == (5362, 5362)
    assert rules > 5362
    assert wrong_products(running) == []
    assert not list((running.data_dir / "vulns").glob("*.feed"))
    again = running.cli("feeds", "vulns", "add", "nvd", core, "--watch", "--force")
    assert again == "nvd: done, 5,362 records\n"
    assert counts(running) == (cves, records, rules)
