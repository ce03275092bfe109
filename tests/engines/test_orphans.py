"""Servers whose supervisor was killed."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.engines.layout import Layout
from spectra.engines.orphans import is_ready, postmaster_pid
from spectra.engines.postgres import stop_orphan
from spectra.engines.processes import alive
from spectra.errors import SetupError
from tests.engines.asking import BUSY, kept, put_rows
from tests.engines.conftest import Holder, ServerFactory

pytestmark = pytest.mark.engine


@pytest.mark.fault
@pytest.mark.parametrize("kill_postmaster", [False, True])
def test_the_next_start_after_a_killed_supervisor(
    make_server: ServerFactory, folder: Path, hold: Callable[..., Holder], kill_postmaster: bool
) -> None:
    """SIGKILL of our own process leaves a server, or only its backends, behind: the next start ends them first."""
    holder = hold(str(folder))
    put_rows(holder.url)
    with closing(psycopg.connect(holder.url)) as connection:
        connection.pgconn.send_query(BUSY)
        holder.process.kill()
        holder.process.wait(10)
        assert alive(holder.postmaster)
        if kill_postmaster:
            os.kill(holder.postmaster, signal.SIGKILL)
        server = make_server()
        url = server.start()
    assert kept(url) == 100
    assert not alive(holder.postmaster)


@pytest.mark.fault
def test_stop_orphan(folder: Path, hold: Callable[..., Holder]) -> None:
    """`stop_orphan` refuses while a supervisor lives, ends what a killed one left, and then finds nothing."""
    holder = hold(str(folder))
    with pytest.raises(SetupError, match=f"in use by process {holder.process.pid}"):
        stop_orphan(folder)
    holder.process.kill()
    holder.process.wait(10)
    assert stop_orphan(folder)
    assert not alive(holder.postmaster)
    assert not stop_orphan(folder)


@pytest.mark.fault
def test_a_stale_pid_file_naming_a_stranger(
    make_server: ServerFactory, folder: Path, sleeper: Callable[..., subprocess.Popen[bytes]]
) -> None:
    """After a reboot the recorded pid may be any live process: it is neither signalled nor believed."""
    server = make_server()
    url = server.start()
    put_rows(url)
    server.stop()
    pids = folder / "postgres" / "postmaster.pid"
    owner = (folder / "postgres").stat().st_uid
    stranger = sleeper(user=owner if os.geteuid() == 0 else None)
    pids.write_text(f"{stranger.pid}\n{folder}/postgres\n1\n5432\n\n\n 1 1\nready\n")
    (Layout.of(folder).sockets / ".s.PGSQL.5432.lock").write_text(f"{stranger.pid}\n")
    assert kept(server.start()) == 100
    assert stranger.poll() is None


@given(st.binary(max_size=200))
def test_any_pid_file_is_read_without_trouble(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Whatever a crash left in postmaster.pid: a plausible pid or none, and never "ready" by accident."""
    cluster = tmp_path_factory.mktemp("cluster")
    (cluster / "postmaster.pid").write_bytes(content)
    pid = postmaster_pid(cluster)
    assert pid is None or 0 <= pid < 10**9
    assert not is_ready(cluster, 4242) or b"ready" in content


def test_no_pid_file(tmp_path: Path) -> None:
    """A folder that was stopped cleanly has none; neither does a folder that is none."""
    assert postmaster_pid(tmp_path) is None
    assert not is_ready(tmp_path, 1)
    assert not stop_orphan(tmp_path / "nowhere")
