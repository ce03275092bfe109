"""Running a task where it can do little: another user, no privileges, no keys, bounded in every direction.

Where the agent is root, `setpriv` gives the task a user of its own with no capability but CAP_NET_RAW, and `unshare` a
PID namespace: whatever it started ends with it, and it ends with the agent (prctl(2), PR_SET_PDEATHSIG). An agent that
is not root cannot change users: what keeps its keys from its tasks then is only what keeps two processes of one user
apart. `prlimit` bounds what the kernel counts for each process; what the task takes as a whole is watched here.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import resource
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from spectra.collect.processes import Taken, end, end_leftovers, family, gone, written
from spectra.errors import SetupError

USER: Final = "spectra-scan"
GRACE_S: Final = 10.0
"""From the polite end to the other one: a scanner writes down what it found."""

LOOK_EVERY_S: Final = 0.5
GONE_WITHIN_S: Final = 5.0
"""How long what was killed is waited for: it may have files open, and be many."""

SLACK_MB: Final = 256
"""Above the memory of a task, for what one process maps and never touches (RLIMIT_DATA)."""

MAX_SAID: Final = 8 * 1024 * 1024
MAX_LINE: Final = 4096
MAX_ERRORS: Final = 16 * 1024
_MIB: Final = 1024 * 1024
_CHUNK: Final = 64 * 1024
_CHECK_S: Final = 30.0
_RAW: Final = "-all,+net_raw"
_SPACES: Final = ("unshare", "--pid", "--mount-proc", "--kill-child", "--fork", "--")


class Bounds(NamedTuple):
    """What a task may take as a whole: memory (MiB), processor time (s), bytes of output, time (s), processes."""

    memory_mb: int
    cpu_s: float
    output_bytes: int
    deadline_s: float
    processes: int = 256


class Who(NamedTuple):
    """The user that tasks run as. `other`: not the agent's own."""

    uid: int
    gid: int
    other: bool


class Ended(NamedTuple):
    """How a task ended. `why` we ended it: `memory`, `cpu`, `output`, `deadline`, `processes`, `stopped`; else empty.

    `killed`: by force. `errors` is the end of what it wrote to standard error.
    """

    code: int
    why: str = ""
    killed: bool = False
    cpu_s: float = 0.0
    memory_mb: int = 0
    errors: str = ""


class Sandbox:
    """Where the tasks of one agent run: their user, and the folder below which each has its own."""

    def __init__(self, node_folder: Path, user: str = "", *, own: bool = False, grace_s: float = GRACE_S) -> None:
        """`own`: tasks run as the agent does. Raises `SetupError("sandbox")` for a user that is missing, or root."""
        self.who = Who(os.geteuid(), os.getegid(), other=False) if own else _who(user)
        self.base = _base(node_folder, self.who)
        self._grace_s = grace_s
        self._spaces = False

    def prepare(self) -> None:
        """End and remove what an agent before this one left, and see whether a task can run.

        Raises `SetupError("sandbox")` where none can.
        """
        end_leftovers(self.base)
        self._require_base()
        for left in self.base.iterdir():
            shutil.rmtree(left, ignore_errors=True)
        self._spaces = self.who.other and _works((*_SPACES, "true"))
        folder = self.folder("check")
        try:
            command = (sys.executable, "-I", "-c", "import spectra.model.work")
            bounds = Bounds(SLACK_MB, _CHECK_S, _MIB, _CHECK_S)
            ended = self.run(command, folder, bounds, hear=lambda line: None, stop=threading.Event())
        finally:
            self.remove(folder)
        if ended.code:
            last = ended.errors.rpartition("\n")[2][:200]
            raise _cannot(f"the user of scanners (uid {self.who.uid}) cannot run {sys.executable}: {last}")

    def folder(self, name: str) -> Path:
        """A new folder of a task, its user's alone."""
        self._require_base()
        made = self.base / name
        self.remove(made)
        made.mkdir(mode=0o700)
        if self.who.other:
            os.chown(made, self.who.uid, self.who.gid)
        return made

    def remove(self, folder: Path) -> None:
        """Remove a task's folder and all that is in it."""
        shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Leave nothing where everybody's files lie, unless a task is still there."""
        with suppress(OSError):
            self.base.rmdir()

    def put(self, folder: Path, name: str, data: bytes) -> None:
        """A new file for the task to read."""
        fd = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o400)
        with os.fdopen(fd, "wb") as file:
            if self.who.other:
                os.fchown(fd, self.who.uid, self.who.gid)
            file.write(data)

    def run(
        self,
        command: Sequence[str],
        folder: Path,
        bounds: Bounds,
        *,
        hear: Callable[[bytes], None],
        stop: threading.Event,
    ) -> Ended:
        """Run `command` in `folder` until it ends or has to; what it started ends with it. Blocks.

        Its standard input ends when it is to end, also where the agent dies. `hear` gets the lines that it prints, cut
        at 4 KiB. Raises `SetupError("sandbox")` where it cannot be started.
        """
        words = [*self._wrapped(bounds), *command]
        home = {"HOME": str(folder), "TMPDIR": str(folder)}
        pipe = subprocess.PIPE
        try:
            process = subprocess.Popen(
                words,
                cwd=folder,
                env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"} | home,
                stdin=pipe,
                stdout=pipe,
                stderr=pipe,
                start_new_session=True,
            )
        except OSError as error:
            raise _cannot(f"{words[0]} does not start: {error.strerror}") from error
        task = _Task(process, folder, bounds, hear, self._grace_s)
        try:
            return task.attend(stop)
        finally:
            task.close()
            if not self._spaces:
                end_leftovers(folder)

    def _wrapped(self, bounds: Bounds) -> list[str]:
        """The words before the command: a niceness, what the kernel bounds, and a user without privileges."""
        limits = {
            "data": (bounds.memory_mb + SLACK_MB) * _MIB,
            "cpu": int(bounds.cpu_s) + 1,
            "fsize": bounds.output_bytes,
            "nofile": 4096,
            "core": 0,
        }
        if self.who.other:  # counted for a user as a whole, threads too: ours runs much else
            limits["nproc"] = bounds.processes * 4
        setpriv = (_tool("setpriv"), "--pdeathsig", "KILL")
        words = [*setpriv, "--", *(_SPACES if self._spaces else ()), "nice", "-n", "5"]
        words += [_tool("prlimit"), *(f"--{name}={_within(name, most)}" for name, most in limits.items())]
        words += [*setpriv, "--no-new-privs"]
        if self.who.other:
            words += [f"--reuid={self.who.uid}", f"--regid={self.who.gid}", "--clear-groups"]
            words += [f"--inh-caps={_RAW}", f"--ambient-caps={_RAW}", f"--bounding-set={_RAW}"]
        return [*words, "--"]

    def _require_base(self) -> None:
        """The folder is ours, and others pass through it at most."""
        try:
            self.base.mkdir(mode=0o711, parents=True, exist_ok=True)
            status = self.base.lstat()
        except OSError as error:
            raise _cannot(f"{self.base}: {error.strerror}") from error
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
            raise _cannot(f"{self.base} is somebody else's; remove it")
        if self.who.other:
            self.base.chmod(0o711)


class _Task:
    """A process at work, heard and watched."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        folder: Path,
        bounds: Bounds,
        hear: Callable[[bytes], None],
        grace_s: float,
    ) -> None:
        self._process, self._folder, self._bounds, self._hear, self._grace_s = process, folder, bounds, hear, grace_s
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._stdin, self._out, self._err = process.stdin, process.stdout.fileno(), process.stderr.fileno()
        self._rest, self._errors, self._said = b"", bytearray(), 0
        self._family: dict[int, Taken] = {}
        self._known: dict[int, Taken] = {}
        self._cpu_s, self._memory = 0.0, 0
        self._why, self._killed = "", False
        self._kill_at = float("inf")

    def attend(self, stop: threading.Event) -> Ended:
        """Hear it and watch it until it has ended."""
        begun, look_at = time.monotonic(), 0.0
        poll = select.poll()
        for fd in (self._out, self._err):
            os.set_blocking(fd, False)
            poll.register(fd, select.POLLIN)
        pipes = 2
        while self._process.poll() is None:
            for fd, _ in poll.poll(LOOK_EVERY_S * 500) if pipes else ():
                if not self._take(fd):
                    poll.unregister(fd)
                    pipes -= 1
            if not pipes:
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(LOOK_EVERY_S / 2)
            now = time.monotonic()
            if now >= look_at:
                look_at = now + LOOK_EVERY_S
                self._look(now - begun)
            if stop.is_set():
                self._end("stopped")
            if now >= self._kill_at:
                self._kill()
        self._drain()
        said = self._errors.decode("utf-8", "replace").strip()
        return Ended(self._process.returncode, self._why, self._killed, self._cpu_s, self._memory // _MIB, said)

    def close(self) -> None:
        """Whatever happened, nothing of it goes on."""
        known = self._known | self._family
        self._kill()
        self._process.wait()
        gone(known, GONE_WITHIN_S)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with suppress(OSError):
                    stream.close()

    def _drain(self) -> None:
        """What was printed and not read yet; who holds the pipe open and lives on holds up nothing."""
        for fd in (self._out, self._err):
            with suppress(BlockingIOError):
                while self._read(fd):
                    pass
        if self._rest:
            self._hear(self._rest[:MAX_LINE])

    def _take(self, fd: int) -> bool:
        """What has come from a pipe; False at its end."""
        try:
            return self._read(fd)
        except BlockingIOError:
            return True

    def _read(self, fd: int) -> bool:
        data = os.read(fd, _CHUNK)
        if fd == self._err:
            self._errors += data
            del self._errors[:-MAX_ERRORS]
        elif self._said <= MAX_SAID:
            self._said += len(data)
            *lines, self._rest = (self._rest + data)[-2 * _CHUNK :].split(b"\n")
            for line in lines:
                self._hear(line[:MAX_LINE])
        else:
            self._end("output", at_once=True)
        return bool(data)

    def _look(self, age_s: float) -> None:
        """Whether it takes more than it may."""
        self._family = family(self._process.pid)
        memory = sum(one.memory for one in self._family.values())
        self._cpu_s = max(self._cpu_s, sum(one.cpu_s for one in self._family.values()))
        self._memory = max(self._memory, memory)
        bounds = self._bounds
        if memory > bounds.memory_mb * _MIB:
            self._end("memory", at_once=True)
        elif len(self._family) > bounds.processes:
            self._end("processes", at_once=True)
        elif written(self._folder) > bounds.output_bytes:
            self._end("output", at_once=True)
        elif self._cpu_s > bounds.cpu_s:
            self._end("cpu")
        elif age_s > bounds.deadline_s:
            self._end("deadline")

    def _end(self, why: str, *, at_once: bool = False) -> None:
        """Tell it to end, by the end of its input; by force later, or at once."""
        self._why = self._why or why
        if at_once:
            self._kill()
        elif self._kill_at == float("inf"):
            self._kill_at = time.monotonic() + self._grace_s
            with suppress(OSError):
                self._stdin.close()

    def _kill(self) -> None:
        if self._process.poll() is None:
            self._killed = True
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        end(self._family)
        self._known |= self._family
        self._family = {}


def take(path: Path, most: int, uid: int) -> bytes:
    """A file that a task left: a plain one of its user, with one name and at most `most` bytes.

    Raises `SetupError("untrue_output")`: a link could lead to our keys, a pipe hold us up.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            status = os.fstat(fd)
            plain = stat.S_ISREG(status.st_mode) and status.st_uid == uid and status.st_nlink == 1
            data = file.read(most + 1) if plain else b""
    except OSError as error:
        raise SetupError(f"the task left no {path.name}: {error.strerror}.", reason="untrue_output") from error
    if not plain or len(data) > most:
        why = f"has more than {most} bytes" if plain else "is no plain file of its own"
        raise SetupError(f"what the task left as {path.name} {why}.", reason="untrue_output")
    return data


def _who(user: str) -> Who:
    if os.geteuid() != 0:
        return Who(os.geteuid(), os.getegid(), other=False)
    for name in [user] if user else [USER, "nobody"]:
        with suppress(KeyError):
            found = pwd.getpwnam(name)
            if found.pw_uid == 0:
                raise _cannot(f"{name} is root")
            return Who(found.pw_uid, found.pw_gid, other=True)
    raise _cannot(f"there is no user {user or 'nobody'}")


def _base(node_folder: Path, who: Who) -> Path:
    """Another user does not reach what lies in the node's folder, so its tasks lie where everybody's files do."""
    if not who.other:
        return node_folder / "tasks"
    name = hashlib.sha256(os.fsencode(node_folder.resolve())).hexdigest()[:16]
    shared = os.environ.get("TMPDIR") or ("/var/tmp" if Path("/var/tmp").is_dir() else tempfile.gettempdir())  # noqa: S108 - the folder in it is ours or refused
    return Path(shared) / f"spectra-tasks-{name}"


def _within(name: str, most: int) -> int:
    """Nobody may raise the limit that they have."""
    hard = resource.getrlimit(getattr(resource, f"RLIMIT_{name.upper()}"))[1]
    return most if hard == resource.RLIM_INFINITY else min(most, hard)


def _tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise _cannot(f"there is no {name} (util-linux)")
    return path


def _works(command: Sequence[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=_CHECK_S, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _cannot(why: str) -> SetupError:
    return SetupError(
        f"this machine cannot run scans in a sandbox: {why}.",
        reason="sandbox",
        hint="Scanners run as worker.user, which must be able to read Spectra and its Python.",
    )
