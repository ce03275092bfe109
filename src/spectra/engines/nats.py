"""The embedded nats-server and its supervisor: started, watched, reconfigured, restarted when it dies, stopped."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Final

from spectra.engines import natsprocess
from spectra.engines.backoff import RestartBudget
from spectra.engines.files import write_private
from spectra.engines.locks import FolderLock
from spectra.engines.natslog import (
    Event,
    Listening,
    Loaded,
    LogReader,
    NotLoaded,
    Ready,
    Refusal,
    Throttle,
    is_worth_keeping,
    told,
)
from spectra.engines.natsprocess import MESSAGE_BYTES, STOP_LADDER, Running, end_leftovers
from spectra.engines.processes import Wakeup, end_all
from spectra.engines.serverlog import ServerLog
from spectra.errors import SetupError, SpectraError

START_TIMEOUT_S: Final = 60.0
RELOAD_TIMEOUT_S: Final = 30.0
STOP_TIMEOUT_S: Final = 15.0
_LOG_CHECK_S = 30.0
_LINE_CHARS = 2000
_EVERY_ADDRESS = ("0.0.0.0", "[::]", "::")  # noqa: S104 - told apart, not listened on

OnRefusal = Callable[[str, str, str], None]


class NatsServer:
    """One nats-server, configured by text, in `<data_dir>/nats`, owned by this process.

    `on_refusal` gets what `natslog.Refusal` says (kind, who, detail) and `on_failure` the error after which the
    supervisor gave up; `on_restart` the seconds without a server. All are called on the supervisor's thread, which
    reads the server's log too: they must not wait for anything.
    """

    def __init__(
        self,
        data_dir: Path,
        log: logging.Logger | None = None,
        on_refusal: OnRefusal | None = None,
        on_failure: Callable[[SpectraError], None] | None = None,
        *,
        on_restart: Callable[[float], None] | None = None,
        budget: RestartBudget | None = None,
        program: str = "",
    ) -> None:
        data_dir = data_dir.expanduser().resolve()
        self.folder = data_dir / "nats"
        self._config = self.folder / "nats.conf"
        self._server_log = ServerLog(data_dir / "log" / "nats.log")
        self._log = log or logging.getLogger(__name__)
        self._on_refusal = on_refusal
        self._on_failure = on_failure
        self._on_restart = on_restart
        self._budget = budget or RestartBudget()
        self._program = program
        self._lock = FolderLock(self.folder / "lock", "The folder of nats-server")
        self._guard = threading.RLock()
        self._news = threading.Condition()
        self._stop_asked = Wakeup()
        self._running: Running | None = None
        self._monitor: threading.Thread | None = None
        self._reader = LogReader()
        self._throttle = Throttle()
        self._ports = {"nats": 0, "mqtt": 0}
        self._host = ""
        self._variables = {"SPECTRA_NATS_PORT": "-1", "SPECTRA_MQTT_PORT": "-1"}
        self._ready = False
        self._served = False
        self._died: float | None = None
        self._answer: Loaded | NotLoaded | None = None
        self._log_fd: int | None = None
        self._restarts = 0
        self._failed = False

    @property
    def url(self) -> str:
        """Where NATS clients of this machine connect; "" before the first start."""
        if not self.port:
            return ""
        return f"tls://{'127.0.0.1' if self._host in _EVERY_ADDRESS else self._host}:{self.port}"

    @property
    def port(self) -> int:
        """The port for NATS; 0 before the first start."""
        return self._ports["nats"]

    @property
    def mqtt_port(self) -> int:
        """The port for MQTT; 0 before the first start."""
        return self._ports["mqtt"]

    @property
    def pid(self) -> int | None:
        """The server's pid; None while there is none."""
        running = self._running
        return running.process.pid if running is not None and running.process.poll() is None else None

    @property
    def running(self) -> bool:
        """Whether the server serves."""
        return self._ready and self.pid is not None

    @property
    def restarts(self) -> int:
        """How often the server died and was brought back since `start`."""
        return self._restarts

    @property
    def failed(self) -> bool:
        """Whether the supervisor gave up: too many deaths in too short a time. `start` tries again."""
        return self._failed

    @property
    def log_file(self) -> Path:
        """What the server itself says, without what is only read here."""
        return self._server_log.path

    def start(self, config_text: str) -> str:
        """Start the server, wait until it serves, and watch it; returns `url`.

        On a running server it is `reload`. Raises `SetupError` saying what stands in the way.
        """
        with self._guard:
            if self._monitor is not None and self._monitor.is_alive():
                self.reload(config_text)
                return self.url
            self._stop_asked.clear()
            self._failed, self._restarts, self._served, self._died = False, 0, False, None
            try:
                self._prepare(config_text)
                self._launch()
            except BaseException as error:
                self._clean_up()
                if isinstance(error, OSError):
                    raise self._cannot_start(str(error)) from error
                raise
            self._monitor = threading.Thread(target=self._supervise, name="nats-supervisor", daemon=True)
            self._monitor.start()
        self._await_first()
        return self.url

    def reload(self, config_text: str) -> None:
        """Make the running server take another configuration, and its certificate files anew.

        Who is no longer in it is disconnected; others stay. A configuration that the server would not take raises
        `SetupError`, and the one in force stays so. While the server is being restarted, the next one takes it.
        """
        with self._guard, self._told_as_setup():
            old = self._config.read_text("utf-8")
            digest = self._check(config_text)
            with self._news:
                self._answer = None
                ready, running = self._ready, self._running
                write_private(self._config, config_text)
                if not ready or running is None:
                    return
                running.process.send_signal(signal.SIGHUP)
                self._news.wait_for(lambda: self._answered(running, digest), RELOAD_TIMEOUT_S)
                answer, alive = self._answer, self.running and self._running is running
            if alive and not (isinstance(answer, Loaded) and answer.digest == digest):
                write_private(self._config, old)
                why = answer.why if isinstance(answer, NotLoaded) else f"no answer after {RELOAD_TIMEOUT_S:.0f} s"
                raise SetupError(f"nats-server keeps its configuration: {why}.")

    @contextlib.contextmanager
    def _told_as_setup(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            raise SetupError(f"nats-server keeps its configuration: {error}.") from error

    def _answered(self, running: Running, digest: str) -> bool:
        """A server that died meanwhile has the new configuration when it is back."""
        if self._running is not running or not self._ready or self._stop_asked.is_set:
            return True
        return isinstance(self._answer, NotLoaded) or (self._answer is not None and self._answer.digest == digest)

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Stop the server and give up the folder. Clean within `timeout_s`, then harder. Twice is harmless."""
        self._stop_asked.set()
        with self._news:
            self._news.notify_all()
        with self._guard:
            running, monitor = self._running, self._monitor
            if running is not None:
                running.process.terminate()
        if monitor is not None and monitor is not threading.current_thread():
            monitor.join(timeout_s)
            if monitor.is_alive() and running is not None:
                running.process.kill()
                monitor.join(STOP_LADDER[-1][1])
        with self._guard:
            self._clean_up()
            self._monitor = None

    def _prepare(self, config_text: str) -> None:
        """Everything before the server's own start: folders, lock, program, leftovers, configuration."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.log_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock.acquire()
        self._end_process()  # what a supervisor that gave up left
        self._program = self._program or natsprocess.program()
        if end_leftovers(self._config):
            self._log.warning("ended a nats-server that an earlier Spectra left running on %s", self.folder)
        self._check(config_text)
        write_private(self._config, config_text)

    def _check(self, config_text: str) -> str:
        """The digest of a configuration that the server would take, tried beside the one in force."""
        candidate = self.folder / "candidate.conf"
        try:
            write_private(candidate, config_text)
            return natsprocess.check(self._program or natsprocess.program(), candidate, self._variables)
        finally:
            candidate.unlink(missing_ok=True)

    def _launch(self) -> None:
        # The ports of a configuration that leaves them open: the server's choice, and later what it chose first. They
        # are part of a configuration's digest, so that a check has to be made with those the server was started with.
        self._variables = {f"SPECTRA_{what.upper()}_PORT": str(port or -1) for what, port in self._ports.items()}
        running = natsprocess.launch(self._program, self._config, self._variables)
        with self._news:
            self._reader, self._ready, self._running = LogReader(), False, running
            self._news.notify_all()

    def _await_first(self) -> None:
        """Wait until the server serves for the first time; the supervisor does not try again before that."""
        with self._news:
            self._news.wait_for(
                lambda: self._ready or self._running is None or self._stop_asked.is_set, START_TIMEOUT_S
            )
            if self._ready:
                return
            stopped, ended = self._stop_asked.is_set, self._running is None
        self.stop()
        if stopped:
            raise SetupError("nats-server was stopped while it started.")
        raise self._cannot_start("it ended" if ended else f"it was not ready after {START_TIMEOUT_S:.0f} s")

    def _cannot_start(self, why: str) -> SetupError:
        said = self._server_log.last_lines()
        return SetupError(f"nats-server could not start in {self.folder}: {why}." + (f"\n{said}" if said else ""))

    def _supervise(self) -> None:
        """The supervisor's thread: hear the server until it dies, bring it back, until told to stop."""
        try:
            while (running := self._running) is not None:
                self._follow(running)
                if self._stop_asked.is_set or not self._served or not self._recover(running):
                    break
        finally:
            with self._news:
                self._ready = False
                if self._running is not None and self._running.process.poll() is not None:
                    self._running.close()
                    self._running = None
                self._news.notify_all()

    def _follow(self, running: Running) -> None:
        """Read what the server says until it ends."""
        deadline = time.monotonic() + START_TIMEOUT_S
        next_check = 0.0
        while (said := self._hear(running)) != b"":
            now = time.monotonic()
            if said is not None:
                self._take(said.decode("utf-8", "replace").rstrip("\n"), now)
            if now >= next_check:
                self._rotate_log()
                next_check = now + _LOG_CHECK_S
            if not self._ready and now > deadline:
                running.process.kill()
        with self._news:
            self._ready = False
            self._news.notify_all()
        try:
            running.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:  # it closed its log and lives on
            running.process.kill()
            running.process.wait(STOP_TIMEOUT_S)

    def _hear(self, running: Running) -> bytes | None:
        """The next message; b"" when the server ended, None for now."""
        if self._stop_asked.is_set:  # its last words, until it ends
            running.messages.settimeout(1.0)
        else:
            self._stop_asked.wait(1.0 if not self._ready else _LOG_CHECK_S, running.messages.fileno())
        try:
            return running.messages.recv(MESSAGE_BYTES)
        except (BlockingIOError, TimeoutError):
            return None
        except OSError:
            return b""

    def _take(self, message: str, now: float) -> None:
        if is_worth_keeping(message) and self._throttle.passes(now):
            self._keep(message)
        event = self._reader.read(message)
        if isinstance(event, Refusal):
            if self._on_refusal is not None:
                self._guarded(self._on_refusal, event.kind, event.who, event.detail)
        elif event is not None:
            self._note(event)

    def _note(self, event: Event) -> None:
        with self._news:
            if isinstance(event, Listening):
                self._ports[event.what] = event.port
                self._host = event.host if event.what == "nats" else self._host
            elif isinstance(event, Ready):
                self._ready = self._served = True
            elif isinstance(event, Loaded | NotLoaded):
                self._answer = event
            self._news.notify_all()
        if self._ready and self._died is not None:
            seconds, self._died = time.monotonic() - self._died, None
            self._restarts += 1
            self._log.warning("nats-server is back after %.2f s (restart %d)", seconds, self._restarts)
            if self._on_restart is not None:
                self._guarded(self._on_restart, seconds)

    def _keep(self, message: str) -> None:
        try:
            if self._log_fd is None:
                self._log_fd = self._server_log.open()
            os.write(self._log_fd, f"{told(message, _LINE_CHARS)}\n".encode())
        except OSError as error:
            self._log.warning("the log of nats-server cannot be written: %s", error)

    def _rotate_log(self) -> None:
        try:
            self._server_log.rotate()
        except OSError as error:
            self._log.warning("the log of nats-server could not be rotated: %s", error)

    def _recover(self, running: Running) -> bool:
        """Bring the server back after it died; False when told to stop or out of attempts."""
        self._died = self._died or time.monotonic()
        error = SetupError(f"nats-server (process {running.process.pid}) ended with {running.process.returncode}.")
        self._log.error("%s Starting it again.", error)
        while (pause := self._budget.next_pause(time.monotonic())) is not None:
            if self._stop_asked.wait(pause):
                return False
            try:
                with self._guard:
                    if self._stop_asked.is_set:
                        return False
                    running.close()
                    self._launch()
            except OSError as problem:
                error = self._cannot_start(str(problem))
                self._log.error("nats-server did not come back: %s", error)
            else:
                return True
        self._give_up(error)
        return False

    def _give_up(self, error: SpectraError) -> None:
        self._failed = True
        error = self._cannot_start(f"it died {self._budget.limit} times in {self._budget.window_s:.0f} s; {error}")
        self._log.critical("giving up: %s", error)
        if self._on_failure is not None:
            self._guarded(self._on_failure, error)

    def _end_process(self) -> None:
        running = self._running
        if running is None:
            return
        if running.process.poll() is None:
            if end_all([running.process.pid], STOP_LADDER[1:]):
                self._log.error("nats-server (process %d) outlived SIGKILL", running.process.pid)
                return
            running.process.wait(1)
        running.close()
        self._running = None

    def _clean_up(self) -> None:
        """Nothing of it is left: no process, no descriptor, no lock."""
        self._end_process()
        if self._log_fd is not None:
            os.close(self._log_fd)
            self._log_fd = None
        self._ready = False
        if self._running is None:
            self._lock.release()

    def _guarded(self, callback: Callable[..., None], *arguments: object) -> None:
        try:
            callback(*arguments)
        except Exception:  # noqa: BLE001 - whatever a callback does, the server stays watched
            self._log.exception("a callback of the supervisor of nats-server failed")
