"""The supervised server, through its public doors: start, stop, deaths of every kind."""

from __future__ import annotations

import logging
import os
import signal
import stat
import threading
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from spectra.engines import postgres
from spectra.engines.backoff import RestartBudget
from spectra.engines.layout import Layout
from spectra.engines.orphans import servers_of
from spectra.engines.postgres import stop_orphan
from spectra.engines.processes import alive, wait_for_exit
from spectra.errors import SetupError, SpectraError
from tests.engines.asking import BUSY, kept, put_rows, value
from tests.engines.conftest import ServerFactory

pytestmark = pytest.mark.engine


class Deaths:
    """Callbacks that tests wait on."""

    def __init__(self) -> None:
        self.back = threading.Event()
        self.gone = threading.Event()
        self.seconds: list[float] = []
        self.errors: list[SpectraError] = []

    def restarted(self, seconds: float) -> None:
        """`on_restart`."""
        self.seconds.append(seconds)
        self.back.set()

    def failed(self, error: SpectraError) -> None:
        """`on_failure`."""
        self.errors.append(error)
        self.gone.set()


def test_first_start_makes_a_private_database(make_server: ServerFactory, folder: Path) -> None:
    """A new folder becomes a running database: right role, no superuser, vector, UTF-8 by PostgreSQL's own rules."""
    server = make_server()
    url = server.start()
    assert server.running
    assert server.url == url
    assert server.pid is not None
    assert value(url, "SELECT current_user || '/' || current_database()") == "spectra/spectra"
    assert value(url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False
    assert value(url, "SELECT '[1,2]'::vector <-> '[1,4]'::vector") == 2.0
    assert (
        value(url, "SELECT datlocprovider::text || datlocale FROM pg_database WHERE datname = 'spectra'") == "bC.UTF-8"
    )
    assert value(url, "SHOW server_encoding") == "UTF8"
    for name, wanted in {"listen_addresses": "", "fsync": "on", "jit": "off", "shared_buffers": "32MB"}.items():
        assert value(url, f"SHOW {name}") == wanted
    sockets = Path(unquote(str(conninfo_to_dict(url)["host"])))
    owner = (folder / "postgres").stat().st_uid
    assert owner != 0
    for private in (sockets, folder / "postgres"):
        status = private.stat()
        assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o700, owner)
    assert stat.S_IMODE(server.log_file.stat().st_mode) == 0o600


def test_nobody_logs_in_as_superuser(make_server: ServerFactory) -> None:
    """Peer authentication maps this user to one role only."""
    url = make_server().start()
    with pytest.raises(psycopg.OperationalError, match=r"pg_hba\.conf"):
        psycopg.connect(url, user="postgres", connect_timeout=10)


def test_the_role_can_make_databases_with_vector(make_server: ServerFactory) -> None:
    """Scratch databases inherit the extension, and asking for it again needs no superuser."""
    url = make_server().start()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE scratch")
    with psycopg.connect(url, dbname="scratch", autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        assert connection.execute("SELECT '[1]'::vector::text").fetchone() == ("[1]",)


def test_start_twice_is_one_server(make_server: ServerFactory) -> None:
    """`start` on a running server changes nothing."""
    server = make_server()
    url, pid = server.start(), server.pid
    assert server.start() == url
    assert server.pid == pid


def test_rows_survive_a_clean_restart_and_stop_leaves_no_process(make_server: ServerFactory, folder: Path) -> None:
    """After `stop` no process is left and the folder is free; another server finds the committed rows."""
    first = make_server()
    put_rows(first.start())
    pid = first.pid
    assert pid is not None
    first.stop()
    assert not alive(pid)
    assert servers_of(Layout.of(folder)) == []
    assert (first.running, first.pid) == (False, None)
    first.stop()
    second = make_server()
    assert kept(second.start()) == 100
    assert not stop_orphan(folder / "elsewhere")


def test_open_connections_do_not_delay_stop(make_server: ServerFactory) -> None:
    """A "fast" stop ends sessions in the middle of a query."""
    server = make_server()
    with closing(psycopg.connect(server.start())) as connection:
        connection.pgconn.send_query(BUSY)
        pid = server.pid
        server.stop()
        assert pid is not None
        assert not alive(pid)


@pytest.mark.fault
def test_a_killed_postmaster_comes_back(make_server: ServerFactory) -> None:
    """SIGKILL of the postmaster: it returns by itself with every committed row, and says how long that took."""
    deaths = Deaths()
    server = make_server(on_restart=deaths.restarted)
    url, pid = server.start(), server.pid
    put_rows(url)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert deaths.back.wait(60)
    assert server.restarts == 1
    assert server.running
    assert not server.failed
    assert server.pid != pid
    assert kept(url) == 100
    assert len(deaths.seconds) == 1


@pytest.mark.fault
def test_busy_backends_of_a_killed_postmaster_do_not_block_the_next(make_server: ServerFactory) -> None:
    """A backend deep in a query outlives its postmaster and holds the shared memory: it is ended first."""
    deaths = Deaths()
    server = make_server(on_restart=deaths.restarted)
    url, pid = server.start(), server.pid
    assert pid is not None
    with closing(psycopg.connect(url)) as connection:
        backend = connection.info.backend_pid
        connection.pgconn.send_query(BUSY)
        os.kill(pid, signal.SIGKILL)
        assert deaths.back.wait(60)
        assert not alive(backend)
    assert value(url, "SELECT 1") == 1


@pytest.mark.fault
def test_a_failing_callback_does_not_end_the_watch(
    make_server: ServerFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """Killed twice, with a callback that raises: it still comes back twice."""
    back = threading.Semaphore(0)

    def broken(_: float) -> None:
        back.release()
        raise RuntimeError("not our problem")

    server = make_server(on_restart=broken)
    server.start()
    with caplog.at_level(logging.ERROR):
        for _ in range(2):
            pid = server.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            assert back.acquire(timeout=60)
    assert server.restarts == 2
    assert "callback" in caplog.text


@pytest.mark.fault
def test_gives_up_and_says_so(make_server: ServerFactory, folder: Path) -> None:
    """A server that cannot come back is tried a bounded number of times; a later `start` repairs and serves."""
    deaths = Deaths()
    budget = RestartBudget(limit=2, first_s=0.01)
    server = make_server(on_failure=deaths.failed, budget=budget)
    url, pid = server.start(), server.pid
    put_rows(url)
    assert pid is not None
    with (folder / "postgres" / "spectra.conf").open("a") as config:
        config.write("no_such_setting = 'x'\n")
    os.kill(pid, signal.SIGKILL)
    assert deaths.gone.wait(60)
    assert (server.failed, server.running, server.restarts) == (True, False, 0)
    assert "no_such_setting" in str(deaths.errors[0])
    assert kept(server.start()) == 100
    assert not server.failed


@pytest.mark.fault
def test_stop_while_it_is_coming_back(make_server: ServerFactory, folder: Path) -> None:
    """`stop` during the pause before a restart ends the watch, and nothing runs afterwards."""
    server = make_server(budget=RestartBudget(first_s=600, longest_s=600))
    server.start()
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert wait_for_exit(pid, 10)
    server.stop()
    assert servers_of(Layout.of(folder)) == []
    assert server.restarts == 0


@pytest.mark.fault
def test_stop_from_a_signal_handler_while_starting(make_server: ServerFactory, folder: Path) -> None:
    """A signal in the middle of the first start: the handler's `stop` returns, `start` says why it did not."""
    server = make_server()

    def handler(_number: int, _frame: object) -> None:
        server.stop()

    def interrupt() -> None:
        pause = threading.Event()
        while not (folder / "pg.lock").exists():
            pause.wait(0.001)
        os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        interrupter = threading.Thread(target=interrupt)
        interrupter.start()
        with pytest.raises(SetupError, match="stopped"):
            server.start()
        interrupter.join(10)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert servers_of(Layout.of(folder)) == []
    server.start()
    assert server.running


@pytest.mark.fault
def test_a_hanging_postmaster_is_ended_the_hard_way(
    make_server: ServerFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A postmaster that does not answer to any request (SIGSTOP) is gone after `stop` all the same."""
    monkeypatch.setattr(postgres, "STOP_LADDER", ((signal.SIGQUIT, 0.1), (signal.SIGKILL, 10.0)))
    server = make_server()
    server.start()
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    server.stop(timeout_s=0.1)
    assert not alive(pid)


def test_a_second_supervisor_is_refused(make_server: ServerFactory, folder: Path) -> None:
    """Two live supervisors on one folder: the second is told who holds it, the first goes on."""
    first, second = make_server(), make_server()
    url = first.start()
    with pytest.raises(SetupError, match=rf"{folder} is in use by process {os.getpid()}.*SPECTRA_DATA_DIR"):
        second.start()
    assert value(url, "SELECT 1") == 1


def test_settings_that_cannot_work_are_reported_with_the_log(make_server: ServerFactory) -> None:
    """A server that dies in its start: the error carries what it logged, and the folder is free again."""
    server = make_server(extra={"max_connections": "many"})
    with pytest.raises(SetupError, match=r"(?s)could not start.*max_connections"):
        server.start()
    make_server().start()
