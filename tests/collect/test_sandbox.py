"""The sandbox: what a task may take, what it sees, and that nothing of it is left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from spectra.collect.processes import family, gone
from spectra.collect.sandbox import Bounds, Ended, Sandbox, take
from spectra.errors import SetupError
from tests.support.waiting import eventually

ROOT = os.geteuid() == 0
BOUNDS = Bounds(memory_mb=200, cpu_s=30, output_bytes=4 * 1024 * 1024, deadline_s=60)
as_root = pytest.mark.skipif(not ROOT, reason="only root gives a task another user")


@pytest.fixture
def sandbox(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """A sandbox ready for tasks; where a test says so, one like that of an agent that is not root."""
    made = Sandbox(tmp_path / "node", own=getattr(request, "param", False), grace_s=0.3)
    made.prepare()
    yield made
    made.remove(made.base)


def run(sandbox: Sandbox, code: str, bounds: Bounds = BOUNDS, stop: threading.Event | None = None) -> tuple[Ended, str]:
    """A few lines of Python as a task: how it ended, and what it printed."""
    heard: list[bytes] = []
    folder = sandbox.folder("task")
    words = (sys.executable, "-I", "-c", code)
    ended = sandbox.run(words, folder, bounds, hear=heard.append, stop=stop or threading.Event())
    return ended, b"\n".join(heard).decode()


def test_what_it_prints_is_heard(sandbox: Sandbox) -> None:
    """Line by line, the last without its end too; what it says besides is kept, and how it ended."""
    code = (
        "import sys; print('one'); print('x' * 9000); print('two', end=''); print('oh', file=sys.stderr); sys.exit(7)"
    )
    ended, said = run(sandbox, code)
    assert said.split("\n") == ["one", "x" * 4096, "two"]
    assert (ended.code, ended.why, ended.killed, ended.errors) == (7, "", False, "oh")


def test_it_sees_nothing_of_ours(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither our environment nor our open files; its folder is its home."""
    monkeypatch.setenv("SPECTRA_TOKEN", "secret")
    with (sandbox.base / "open").open("wb") as file:
        os.set_inheritable(file.fileno(), True)
        code = "import os, json; print(json.dumps([dict(os.environ), os.getcwd(), len(os.listdir('/proc/self/fd'))]))"
        _, said = run(sandbox, code)
    environment, folder, files = json.loads(said)
    assert set(environment) <= {"PATH", "LANG", "HOME", "TMPDIR", "LC_CTYPE"}
    assert environment["HOME"] == environment["TMPDIR"] == folder
    assert files == 4  # its three, and the folder that is being listed


@as_root
def test_it_is_another_user_without_privileges(sandbox: Sandbox, tmp_path: Path) -> None:
    """It may open raw sockets and nothing else, and can never get more; our keys are closed to it."""
    node = tmp_path / "node"
    node.mkdir(mode=0o700)
    (node / "signing.pem").write_text("key")
    (node / "signing.pem").chmod(0o600)
    code = f"""
import os, pathlib, socket
print(os.getuid(), os.getgid(), os.getgroups())
print([line.split()[1] for line in open('/proc/self/status') if line.startswith(('CapEff', 'CapBnd', 'NoNew'))])
socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
for path in {str(node / "signing.pem")!r}, '/etc/shadow', {str(sandbox.base)!r}:
    try:
        print(os.listdir(path) if os.path.isdir(path) else open(path).read())
    except OSError as error:
        print(type(error).__name__)
"""
    ended, said = run(sandbox, code)
    net_raw = f"{1 << 13:016x}"
    assert said.split("\n") == [
        f"{sandbox.who.uid} {sandbox.who.gid} []",
        str([net_raw, net_raw, "1"]),
        *["PermissionError"] * 3,
    ], ended.errors
    assert sandbox.who.uid != 0


either_way = pytest.mark.parametrize("sandbox", [False, True], indirect=True, ids=["other", "own"])


HUNGRY = """
import os, signal
for _ in range(4):
    if os.fork() == 0:
        held = bytearray(90 * 2**20)
        held[::4096] = b'x' * len(held[::4096])
        signal.pause()
os.wait()
"""


@either_way
def test_memory_is_bounded(sandbox: Sandbox) -> None:
    """Of one process by the kernel, and of all together."""
    ended, _ = run(sandbox, "bytearray(600 * 2**20)")
    assert (ended.code, ended.why) == (1, "")
    assert "MemoryError" in ended.errors
    ended, _ = run(sandbox, HUNGRY)
    assert (ended.why, ended.killed) == ("memory", True)
    assert ended.memory_mb >= 200


def test_processor_time_is_bounded(sandbox: Sandbox) -> None:
    """That of what it started counts too."""
    code = "import os\nif os.fork() == 0:\n    while True: pass\nos.wait()"
    ended, _ = run(sandbox, code, BOUNDS._replace(cpu_s=1))
    assert ended.why == "cpu" or ended.code != 0
    assert ended.cpu_s < 10


@either_way
def test_output_is_bounded(sandbox: Sandbox) -> None:
    """One file by the kernel, many together, and what it prints."""
    ended, _ = run(sandbox, "open('big', 'wb').write(bytes(5 * 2**20))")
    assert ended.code != 0
    many = "import itertools\nfor n in itertools.count(): open(f'f{n}', 'wb').write(bytes(2**20))"
    assert run(sandbox, many)[0].why == "output"
    assert run(sandbox, "while True: print('x' * 1000)")[0].why == "output"


@as_root
def test_processes_are_bounded(sandbox: Sandbox) -> None:
    """One that forks without end is ended, and so is all that it forked."""
    code = "import os, time\nwhile True:\n    try: os.fork()\n    except OSError: pass\n    time.sleep(0.01)"
    ended, _ = run(sandbox, code, BOUNDS._replace(processes=20, memory_mb=4000))
    assert (ended.why, ended.killed) == ("processes", True)
    assert not _theirs(sandbox)


@either_way
def test_time_is_bounded(sandbox: Sandbox) -> None:
    """Its input ends first, so that it can write down what it found; then it is killed."""
    polite = "import sys; print('begun', flush=True); sys.stdin.read(); print('kept')"
    ended, said = run(sandbox, polite, BOUNDS._replace(deadline_s=0.3))
    assert (ended.code, ended.why, ended.killed, said) == (0, "deadline", False, "begun\nkept")
    ended, _ = run(sandbox, "import signal; signal.pause()", BOUNDS._replace(deadline_s=0.3))
    assert (ended.why, ended.killed) == ("deadline", True)


def test_it_is_stopped(sandbox: Sandbox) -> None:
    """By whoever sets the event, at any time."""
    stop = threading.Event()
    stop.set()
    ended, _ = run(sandbox, "import sys; sys.stdin.read()", stop=stop)
    assert (ended.code, ended.why, ended.killed) == (0, "stopped", False)


ORPHANS = """
import os, subprocess, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv('/bin/sleep', ['sleep', '600'])
    os._exit(0)
os.wait()
print('begun', flush=True)
"""


def _theirs(sandbox: Sandbox) -> list[int]:
    """The processes whose home is below the sandbox's folder."""
    mark = f"HOME={sandbox.base}".encode()
    found: list[int] = []
    for path in Path("/proc").iterdir():
        if path.name.isdecimal():
            try:
                environment = (path / "environ").read_bytes()
            except OSError:
                continue
            found += [int(path.name)] if mark in environment else []
    return found


@either_way
def test_nothing_of_it_goes_on(sandbox: Sandbox) -> None:
    """What left its group and its parents ends with it."""
    ended, said = run(sandbox, ORPHANS)
    assert (ended.code, said) == (0, "begun")
    eventually(lambda: not _theirs(sandbox))


AGENT = """
import sys, threading
from pathlib import Path
from spectra.collect.sandbox import Bounds, Sandbox
sandbox = Sandbox(Path(sys.argv[1]), own=sys.argv[3] == 'own')
sandbox.prepare()
words = (sys.executable, '-I', '-c', sys.argv[2] + "import signal; signal.pause()")
bounds = Bounds(400, 60, 10**6, 600)
sandbox.run(words, sandbox.folder('task'), bounds, hear=lambda line: print('heard', flush=True), stop=threading.Event())
"""


@either_way
def test_a_killed_agent_leaves_nothing(sandbox: Sandbox, tmp_path: Path) -> None:
    """Its tasks end with it, orphans of theirs too; folders go when the next one begins."""
    words = [sys.executable, "-c", AGENT, str(tmp_path / "node"), ORPHANS, "other" if sandbox.who.other else "own"]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as agent:
        assert agent.stdout is not None
        assert agent.stdout.readline() == b"heard\n"
        descendants = family(agent.pid)
        assert len(descendants) >= 2
        agent.kill()
        agent.wait()
    if sandbox.who.other:  # without a PID namespace, what left the task's family is found by the next agent
        eventually(lambda: not _theirs(sandbox))
    eventually(lambda: gone(descendants, 0.0))
    assert (sandbox.base / "task").exists()
    sandbox.prepare()
    eventually(lambda: not _theirs(sandbox))
    assert list(sandbox.base.iterdir()) == []


def test_what_it_left_is_read_with_care(sandbox: Sandbox, tmp_path: Path) -> None:
    """Links, pipes, files of others and too large ones are not read."""
    secret = tmp_path / "secret"
    secret.write_text("key")
    code = f"""
import os
open('good', 'w').write('good')
os.symlink({str(secret)!r}, 'link')
os.mkfifo('pipe')
os.mkdir('folder')
os.link('good', 'twice')
open('large', 'w').write('x' * 101)
open('plain', 'w').write('x' * 100)
"""
    ended, _ = run(sandbox, code)
    assert ended.code == 0, ended.errors
    folder, uid = sandbox.base / "task", sandbox.who.uid
    assert take(folder / "plain", 100, uid) == b"x" * 100
    for name in ("link", "pipe", "folder", "twice", "good", "large", "absent"):
        with pytest.raises(SetupError) as caught:
            take(folder / name, 100, uid)
        assert caught.value.reason == "untrue_output"
    (folder / "ours").write_text("ours")
    with pytest.raises(SetupError):
        take(folder / "ours", 100, uid + 1)


def test_files_for_it_are_its_own(sandbox: Sandbox) -> None:
    """It may read what it is given; what lies there already is not followed."""
    folder = sandbox.folder("task")
    sandbox.put(folder, "given.json", b"order")
    words = ("cat", "given.json")
    heard: list[bytes] = []
    ended = sandbox.run(words, folder, BOUNDS, hear=heard.append, stop=threading.Event())
    assert (ended.code, heard) == (0, [b"order"])
    with pytest.raises(FileExistsError):
        sandbox.put(folder, "given.json", b"another")


@as_root
def test_a_folder_of_somebody_else_is_not_used(tmp_path: Path) -> None:
    """Anybody may make a folder where everybody's files are."""
    sandbox = Sandbox(tmp_path / "node")
    sandbox.base.mkdir()
    try:
        os.chown(sandbox.base, sandbox.who.uid, sandbox.who.gid)
        with pytest.raises(SetupError, match="somebody else's"):
            sandbox.prepare()
    finally:
        sandbox.base.rmdir()


@as_root
def test_users_that_cannot_be(tmp_path: Path) -> None:
    """Root is none, and neither is one that does not exist."""
    for user in ("root", "nobody-at-all"):
        with pytest.raises(SetupError) as caught:
            Sandbox(tmp_path, user)
        assert caught.value.reason == "sandbox"


def test_a_machine_that_cannot(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without util-linux, or with a Python that the user cannot run, it says so."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(SetupError, match="cannot run"):
        sandbox.prepare()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match="util-linux"):
        sandbox.prepare()
