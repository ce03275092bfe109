"""The embedded PostgreSQL and its supervisor: started, watched, restarted when it dies, stopped with its owner."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from spectra.engines import pgconfig
from spectra.engines.account import Account, current_user, server_account
from spectra.engines.backoff import RestartBudget
from spectra.engines.binaries import Engine, installed_tree, spawn, usable_engine
from spectra.engines.cluster import check_cluster, configure, create_cluster, refresh_cluster
from spectra.engines.layout import PORT, Layout, prepare_folders, prepare_sockets, remove_sockets
from spectra.engines.locks import FolderLock
from spectra.engines.orphans import STOP_LADDER, end_leftovers, is_ready, servers_of, stop_orphan
from spectra.engines.processes import Wakeup, end_all, open_pidfd
from spectra.engines.serverlog import ServerLog
from spectra.errors import SetupError, SpectraError

# Recovery after a crash reads at most max_wal_size of log; on a slow disk that takes minutes.

__all__ = ["PostgresServer", "stop_orphan"]

_T = TypeVar("_T")
START_TIMEOUT_S = 300.0
STOP_TIMEOUT_S = 60.0
_READY_POLL_S = 0.01
_LOG_CHECK_S = 30.0
_PLAIN_POLL_S = 0.2


class PostgresServer:
    """One PostgreSQL on `data_dir`, owned by this process.

    `on_restart` gets the seconds a recovery took, from noticing the death until connections were accepted again;
    `on_failure` the error after which the supervisor gave up (`failed`). Both are called on the supervisor's thread.
    `extra` overrides PostgreSQL settings by name; `engine_dir` is an installation to use instead of the wheel's.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        shared_buffers_mb: int = 256,
        log: logging.Logger | None = None,
        on_restart: Callable[[float], None] | None = None,
        on_failure: Callable[[SpectraError], None] | None = None,
        budget: RestartBudget | None = None,
        extra: Mapping[str, str] | None = None,
        engine_dir: Path | None = None,
    ) -> None:
        self._layout = Layout.of(data_dir)
        self._shared_buffers_mb = shared_buffers_mb
        self._log = log or logging.getLogger(__name__)
        self._on_restart = on_restart
        self._on_failure = on_failure
        self._budget = budget or RestartBudget()
        self._extra = dict(extra or {})
        self._engine_dir = engine_dir
        self._server_log = ServerLog(self._layout.log)
        self._lock = FolderLock(self._layout.lock, "The database folder")
        self._guard = threading.RLock()
        self._stop_asked = Wakeup()
        self._process: subprocess.Popen[bytes] | None = None
        self._monitor: threading.Thread | None = None
        self._launch_as: tuple[Engine, Account] | None = None
        self._restarts = 0
        self._failed = False

    @property
    def url(self) -> str:
        """libpq URL of the database `spectra`, through the unix socket; it holds no secret."""
        host = quote(str(self._layout.sockets), safe="/")
        return f"postgresql://{pgconfig.ROLE}@/{pgconfig.DATABASE}?host={host}&port={PORT}"

    @property
    def pid(self) -> int | None:
        """The postmaster's pid; None while there is none."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    @property
    def restarts(self) -> int:
        """How often the server died and was brought back since `start`."""
        return self._restarts

    @property
    def running(self) -> bool:
        """Whether the server accepts connections."""
        pid = self.pid
        return pid is not None and is_ready(self._layout.cluster, pid)

    @property
    def failed(self) -> bool:
        """Whether the supervisor gave up: too many deaths in too short a time. `start` tries again."""
        return self._failed

    @property
    def log_file(self) -> Path:
        """What the server itself logs."""
        return self._server_log.path

    def start(self) -> str:
        """Start the server, made on first use, wait until it accepts connections, and watch it; returns `url`.

        Calling it on a running server changes nothing. Raises `SetupError` saying what stands in the way.
        """
        with self._guard:
            if self._monitor is not None and self._monitor.is_alive():
                return self.url
            self._stop_asked.clear()
            self._failed = False
            self._restarts = 0
            try:
                self._end_process(STOP_TIMEOUT_S)  # what a supervisor that gave up left
                self._prepare()
                self._launch()
            except BaseException as error:
                self._end_process(STOP_TIMEOUT_S)
                self._lock.release()
                if isinstance(error, OSError):
                    raise self._cannot_start(str(error)) from error
                raise
            self._monitor = threading.Thread(target=self._watch, name="postgres-supervisor", daemon=True)
            self._monitor.start()
            return self.url

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Stop the server and give up the folder. Clean within `timeout_s`, then harder; safe in a signal handler."""
        self._stop_asked.set()
        monitor = self._monitor
        if monitor is not None and monitor is not threading.current_thread():
            monitor.join(timeout_s)
        with self._guard:
            self._end_process(timeout_s)
            self._monitor = None
            if self._process is None:
                remove_sockets(self._layout)
                self._lock.release()

    def _prepare(self) -> None:
        """Everything before the server's own start: folders, lock, programs, PGDATA, leftovers, configuration."""
        os_user, account = current_user(), server_account()
        prepare_folders(self._layout, account)
        self._lock.acquire()
        engine = usable_engine(self._engine_dir or installed_tree(), self._layout.engines, account)
        exists = check_cluster(self._layout, engine, account)
        sockets = prepare_sockets(self._layout, account)
        if not exists:
            create_cluster(self._layout, engine, account)
        elif end_leftovers(self._layout):
            self._log.warning("ended a PostgreSQL that an earlier Spectra left running on %s", self._layout.cluster)
        included = pgconfig.settings(
            sockets=sockets, mark=self._layout.mark, shared_buffers_mb=self._shared_buffers_mb, extra=self._extra
        )
        configure(self._layout, account, os_user, included)
        refresh_cluster(self._layout, engine, account)
        self._launch_as = (engine, account)

    def _launch(self) -> None:
        """Start a postmaster and wait until it is ready; `SetupError` with the log's last lines if it is not."""
        assert self._launch_as is not None
        engine, account = self._launch_as
        mark = f"cluster_name={self._layout.mark}"
        command = [engine.path("postgres"), "-D", str(self._layout.cluster), "-c", mark]
        log_fd = self._server_log.open()
        try:
            self._process = spawn(command, account, log_fd)
        finally:
            os.close(log_fd)
        self._await_ready(self._process)

    def _await_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        with open_pidfd(process.pid) as pidfd:
            while not is_ready(self._layout.cluster, process.pid):
                if process.poll() is not None:
                    raise self._cannot_start(f"it ended with status {process.returncode}")
                if time.monotonic() > deadline:
                    raise self._cannot_start(f"it was not ready after {START_TIMEOUT_S:.0f} s")
                # The pidfd would end the wait at once in the moment between death and poll(); that only loops.
                if self._stop_asked.wait(_READY_POLL_S, pidfd):
                    raise SetupError("PostgreSQL was stopped while it started.")

    def _cannot_start(self, why: str) -> SetupError:
        said = self._server_log.last_lines()
        return SetupError(
            f"PostgreSQL could not start on {self._layout.data_dir}: {why}." + (f"\n{said}" if said else ""),
            hint="Is the disk full or the folder read-only?" if not said else "",
        )

    def _end_process(self, timeout_s: float) -> None:
        """End the postmaster and, should it have died badly, its children."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            left = end_all([process.pid], [(signal.SIGINT, timeout_s), *STOP_LADDER])
            if left:
                self._log.error("PostgreSQL (process %d) outlived SIGKILL", process.pid)
                return
            process.wait(1)
        if process.returncode != 0:
            end_all(servers_of(self._layout), STOP_LADDER)
        self._process = None

    def _watch(self) -> None:
        """The supervisor's thread: sleep until the postmaster dies, bring it back, until told to stop."""
        while (process := self._process) is not None and self._wait_for_death(process):
            if not self._recover(process):
                return

    def _wait_for_death(self, process: subprocess.Popen[bytes]) -> bool:
        """True when `process` ended by itself, False when `stop` was called; bounds the log in the meantime."""
        with open_pidfd(process.pid) as pidfd:
            pause = _LOG_CHECK_S if pidfd is not None else _PLAIN_POLL_S
            while process.poll() is None:
                if self._stop_asked.wait(pause, pidfd):
                    return False
                self._rotate_log()
        return not self._stop_asked.is_set

    def _rotate_log(self) -> None:
        try:
            self._server_log.rotate()
        except OSError as error:
            self._log.warning("the log of PostgreSQL could not be rotated: %s", error)

    def _recover(self, process: subprocess.Popen[bytes]) -> bool:
        """Bring the server back after `process` died; False when told to stop or out of attempts."""
        began = time.monotonic()
        error = SetupError(f"PostgreSQL (process {process.pid}) ended with status {process.returncode}.")
        self._log.error("%s Starting it again.", error)
        while (pause := self._budget.next_pause(time.monotonic())) is not None:
            if self._stop_asked.wait(pause):
                return False
            try:
                self._relaunch()
            except (SpectraError, OSError) as problem:
                if self._stop_asked.is_set:
                    return False
                self._log.error("PostgreSQL did not come back: %s", problem)
                error = problem if isinstance(problem, SetupError) else self._cannot_start(str(problem))
            else:
                self._recovered(time.monotonic() - began)
                return True
        self._give_up(error)
        return False

    def _relaunch(self) -> None:
        with self._guard:
            if self._stop_asked.is_set:
                raise SetupError("PostgreSQL is being stopped.")
            self._end_process(STOP_TIMEOUT_S)  # one that hung in its start
            end_leftovers(self._layout)
            self._launch()

    def _recovered(self, seconds: float) -> None:
        self._restarts += 1
        self._log.warning("PostgreSQL is back after %.2f s (restart %d)", seconds, self._restarts)
        if self._on_restart is not None:
            self._guarded(self._on_restart, seconds)

    def _give_up(self, error: SpectraError) -> None:
        self._failed = True
        self._log.critical(
            "PostgreSQL died or failed to start %d times within %.0f s: giving up. %s",
            self._budget.limit,
            self._budget.window_s,
            error,
        )
        if self._on_failure is not None:
            self._guarded(self._on_failure, error)

    def _guarded(self, callback: Callable[[_T], None], value: _T) -> None:
        try:
            callback(value)
        except Exception:  # noqa: BLE001 - whatever a callback does, the server stays watched
            self._log.exception("a callback of the PostgreSQL supervisor failed")
