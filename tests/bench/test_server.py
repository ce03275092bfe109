"""The server to be measured: a real one, in a scratch folder, and never anybody's own."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import psutil
import pytest

from spectra.bench import load
from spectra.bench.server import BenchServer, running
from spectra.engines.layout import Layout
from spectra.engines.orphans import servers_of
from spectra.errors import SetupError

pytestmark = pytest.mark.engine


def test_it_is_the_real_thing(server: BenchServer) -> None:
    """`spectra up` with its embedded database, and a credential that is let in."""
    with load.client_of(server) as client:
        status = client.get("/v0/status").json()
    assert status["database"]["kind"] == "embedded"
    assert "up" in psutil.Process(server.pid).cmdline()
    assert server.start_s > 0
    assert server.rss_mb() > 10


def test_memory_is_not_known_of_the_dead(server: BenchServer, tmp_path: Path) -> None:
    """Where there is no /proc entry there is no number, and no error."""
    gone = BenchServer(server.url, "", "", server.key, 2**22 + 1, tmp_path, 0.0)
    assert gone.rss_mb() == 0.0


@pytest.mark.slow
def test_it_never_uses_somebodys_real_database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Made-up hosts must not get into the node that this user's variables and configuration name."""
    config = tmp_path / "config" / "spectra" / "config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text("database: {url: 'postgresql://prod@192.0.2.1/spectra'}\nblobs: {url: 's3://prod'}\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("SPECTRA_DATABASE__URL", "postgresql://prod@192.0.2.2/spectra")
    monkeypatch.setenv("SPECTRA_BLOBS__URL", f"file://{tmp_path}/prod")
    monkeypatch.setenv("SPECTRA_DATA_DIR", str(tmp_path / "real"))
    with running() as one:
        with load.client_of(one) as client:
            assert client.get("/v0/status").json()["database"]["kind"] == "embedded"
            body = load.envelope(one.key, one.contributor, 0, 1)
            assert client.post("/v0/mesh/ingest", content=body).status_code == 200
        assert list((one.data_dir / "blobs").rglob("*/*/*"))
        layout = Layout.of(one.data_dir)
    assert not (tmp_path / "prod").exists()
    assert not (tmp_path / "real").exists()
    assert servers_of(layout) == []
    assert not one.data_dir.exists()
    assert not psutil.pid_exists(one.pid)


def test_a_server_that_does_not_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the end of its log, and nothing is left of it."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("SPECTRA_LOG__FORMAT", "no such format")
        with pytest.raises(SetupError, match="did not start") as refused, running():
            pass
    assert "log" in refused.value.hint
    assert str(os.getpid()) not in refused.value.hint
