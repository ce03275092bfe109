"""Feeds as a user meets them: real files, corrupt ones, and a relocation that survives kill -9."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from spectra.engines.postgres import PostgresServer
from tests.e2e.witness import Witness
from tests.support import samples
from tests.support.running import Running, spectra
from tests.support.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.engine]

HOSTS = 6_000  # six steps of a relocation
REAL = {
    "city": "geoip/maxmind/test-data/GeoLite2-City-Test.mmdb",
    "routes": "asn/pyasn__ipasn_20140513.dat.gz",
    "names": "asn/pyasn__asnames.json.gz",
    "aws": "cloud/aws-ip-ranges.json.zst",
    "azure": "cloud/microsoft-azure-ip-ranges.json.zst",
    "google": "cloud/google-cloud-ip-ranges.json.zst",
    "oracle": "cloud/oracle-cloud-ip-ranges.json.zst",
    "cloudflare": "cloud/cloudflare-v4-ip-ranges.txt",
}


@pytest.fixture
def running() -> Iterator[Running]:
    """A Spectra of the test's own."""
    with spectra(SPECTRA_GATE__RATE_PER_MINUTE="0", SPECTRA_LIMITS__SEARCH_PER_MINUTE="0") as one:
        yield one.start()


def address(number: int) -> str:
    """Addresses of networks that somebody owns."""
    return f"52.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def populate(running: Running, count: int) -> None:
    """Hosts with one endpoint each."""
    for first in range(0, count, 6000):
        numbers = range(first, min(first + 6000, count))
        lines = (f'{{"ip":"{address(n)}","port":443,"protocol":"tcp"}}\n' for n in numbers)
        response = running.submit(running.seal("".join(lines).encode(), tool="naabu"))
        assert response.status_code == 200, response.text


def add(running: Running, name: str, file: Path) -> dict[str, Any]:
    """Add a feed by the command line."""
    (change,) = running.rows("feeds", "add", name, file, "--json")
    return change


def placed(running: Running) -> list[tuple[Any, ...]]:
    """Feed set, place and count of the hosts, and how many endpoints lie elsewhere than their host."""
    with database(running) as connection:
        return connection.execute(
            """SELECT h.feeds, p.asn > 0 OR p.cloud <> '', count(DISTINCT h.ip),
                      count(*) FILTER (WHERE e.place IS DISTINCT FROM h.place)
               FROM host h JOIN endpoint e ON e.ip = h.ip LEFT JOIN place p ON p.id = h.place GROUP BY 1, 2"""
        ).fetchall()


def database(running: Running) -> psycopg.Connection[Any]:
    """A connection beside the node's own."""
    server = PostgresServer(running.data_dir, shared_buffers_mb=32)
    return psycopg.connect(server.url, autocommit=True)


def test_real_feeds_by_the_command_line(running: Running, shared_data: Path) -> None:
    """MaxMind, RouteViews, AS names and clouds are recognised and counted; a corrupt one leaves the last good one in
    use and is told of; hosts that were there before follow with one command; the chain holds.
    """
    populate(running, 300)
    assert "no feed" in running.run("feeds", "status").stderr
    for name, path in REAL.items():
        change = add(running, name, shared_data / path)
        assert change["outcome"] == "added"
        assert change["feed"]["networks"] > 10
    done = running.run("feeds", "add", "cloudflare", shared_data / REAL["cloudflare"])
    assert "nothing new" in done.stdout
    assert "300 of 300 stored hosts rest on older feeds: spectra feeds apply" in done.stderr

    broken = shared_data / "geoip/maxmind/test-data/GeoIP2-City-Test-Broken-Double-Format.mmdb"
    refused = running.run("feeds", "add", "city", broken)
    assert refused.returncode == 1
    assert "corrupt" in refused.stderr
    shrunk = running.run("feeds", "add", "aws", shared_data / REAL["google"])
    assert shrunk.returncode == 1
    assert "--force" in shrunk.stderr
    table = running.run("feeds", "status", COLUMNS="80")
    assert max(map(len, table.stdout.splitlines())) <= 80
    assert "corrupt" in table.stderr
    (city,) = [feed for feed in running.rows("feeds", "status", "--json") if feed["name"] == "city"]
    assert city["error"]
    assert city["networks"] == 242

    assert running.run("feeds", "add", "aws", shared_data / "cloud/aws-ip-ranges_2026-08.json.zst").returncode == 0
    (back,) = running.rows("feeds", "rollback", "aws", "--json")
    assert back["feed"]["version"] == "1753388594"

    applied = running.run("feeds", "apply", "--watch")
    assert applied.stdout == "done, 300 hosts\n"
    assert placed(running) == [(back["feed_set"], True, 300, 0)]
    running.submit(running.seal(samples.scan_of("3.5.140.2", 22)))
    with database(running) as connection:
        found = connection.execute(
            "SELECT cloud, asn FROM place JOIN host ON place = id WHERE ip = '3.5.140.2'"
        ).fetchone()
    assert found
    assert found[0] == "aws"
    (report,) = running.rows("provenance", "verify", "--deep", "--json")[-1:]
    assert report["ok"], report


@pytest.mark.fault
@pytest.mark.slow
def test_a_relocation_survives_kill_9(running: Running, shared_data: Path) -> None:
    """Killed in the middle of a step: the next start finishes it without being asked, from where it was, and in the
    end every host and endpoint lies where the feeds say. What was taken in meanwhile stays right.
    """
    witness = Witness(running)
    populate(running, HOSTS)
    feed_set = 0
    for name in ("routes", "aws"):
        feed_set = add(running, name, shared_data / REAL[name])["feed_set"]
    with database(running) as holder, holder.transaction():
        holder.execute("SELECT FROM host WHERE ip = %s FOR UPDATE", [address(HOSTS // 2)])
        (begun,) = running.rows("feeds", "apply", "--json")
        assert begun["hosts_behind"] == HOSTS
        workflow = f"/v0/workflows/{begun['workflow_id']}"
        eventually(lambda: running.get(workflow).get("done"))
        before = running.get(workflow)
        assert (before["status"], before["total"]) == ("running", HOSTS)
        assert 0 < before["done"] < HOSTS
        witness.check()
        assert running.end(signal.SIGKILL) == -signal.SIGKILL
        with psycopg.connect(holder.info.dsn, autocommit=True) as reader:
            moved = reader.execute("SELECT count(*) FROM host WHERE feeds = %s", [feed_set]).fetchone()
        assert moved is not None
        assert before["done"] <= moved[0] < HOSTS
    running.start()
    eventually(lambda: running.get(workflow)["status"] == "done", within_s=120)
    after = running.get(workflow)
    assert (after["done"], after["total"]) == (HOSTS, HOSTS), "no host was looked up twice"
    assert sum(count for *_, count, _ in placed(running)) >= HOSTS
    assert {(rests_on, astray) for rests_on, _, _, astray in placed(running)} == {(feed_set, 0)}
    assert json.loads(running.cli("feeds", "status", "--json").splitlines()[0])["name"] == "aws"
    assert running.get("/v0/feeds")["hosts_behind"] == 0
    witness.check()
    witness.sound()
