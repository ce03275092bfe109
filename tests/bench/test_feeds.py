"""The feeds of a bench: found where they are, loaded as a user does, and copied row by row for the baseline."""

from __future__ import annotations

from pathlib import Path

import httpx
import psycopg
import pytest

from spectra.bench import feeds
from spectra.bench.load import client_of
from spectra.bench.server import BenchServer
from spectra.engines.postgres import PostgresServer
from spectra.errors import BadRequest, SpectraError
from tests.bench import weaknesses


def test_what_is_there_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The NVD's first; of several days the last; the variable names the folder where nobody else does."""
    with pytest.raises(BadRequest, match="There is no big/nvd_cves"):
        feeds.feeds(tmp_path)
    weaknesses.fill(tmp_path)
    (tmp_path / "epss" / "epss_scores-2025-01-01.csv.gz").touch()
    found = feeds.feeds(tmp_path)
    assert list(found) == ["nvd", "overrides", "kev", "epss"]
    assert found["epss"].name == "epss_scores-2026-08-16.csv.zst"
    monkeypatch.setenv(feeds.VARIABLE, str(tmp_path))
    assert feeds.feeds(None) == found
    monkeypatch.delenv(feeds.VARIABLE)
    assert feeds.folder(None).parts[-2:] == ("shared", "data")


@pytest.mark.engine
@pytest.mark.slow
def test_they_are_taken_in_and_their_rows_copied(server: BenchServer, tmp_path: Path) -> None:
    """Over HTTP and to the end; the copy has each row, and its database is gone again."""
    weaknesses.fill(tmp_path)
    said: list[str] = []
    assert feeds.take(server, feeds.feeds(tmp_path), said.append) > 0
    assert any(text.startswith("feed nvd") for text in said)
    url = PostgresServer(server.data_dir).url
    assert feeds.copied_s(url, tmp_path / "copy") > 0
    assert all((tmp_path / "copy" / table).stat().st_size > 50 for table in feeds.TABLES)
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM vuln").fetchone() == (weaknesses.COUNT,)
        names = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE '%%copy'").fetchall()
    assert names == []


@pytest.mark.engine
@pytest.mark.slow
def test_a_workflow_that_fails_ends_the_bench(server: BenchServer, tmp_path: Path) -> None:
    """A feed that breaks off is not loaded, however quickly."""
    broken = tmp_path / "broken.csv"
    broken.write_text("cve,epss,percentile\nCVE-2023-0001,0.5,0.5\nnothing,of,this\n" * 3)
    with pytest.raises(SpectraError):
        feeds.take(server, {"broken": broken, "none": Path(__file__)}, lambda _: None)
    with client_of(server) as client, pytest.raises(SpectraError, match="404"):
        feeds.await_workflow(client, "nobody", "it", lambda _: None)


def test_what_a_failed_workflow_says_is_told() -> None:
    """With the error of the server."""
    record = {"status": "failed", "error": "the disk is full"}
    with (
        httpx.Client(
            transport=httpx.MockTransport(lambda _: httpx.Response(200, json=record)), base_url="http://x"
        ) as c,
        pytest.raises(SpectraError, match="the disk is full"),
    ):
        feeds.await_workflow(c, "w", "it", lambda _: None)
