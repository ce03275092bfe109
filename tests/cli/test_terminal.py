"""What only a terminal shows, on a real pseudo-terminal: bars and questions; and Ctrl-C in the middle of an import."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from spectra.identity.keys import SigningKey
from spectra.model.records import ChainReport
from tests.cli.standin import Answer, Request, StandIn
from tests.cli.test_keys import record
from tests.cli.test_records import lines

SCAN = b'{"ip":"192.0.2.%d","port":22}\n'

CALL = [sys.executable, "-m", "spectra"]


def in_terminal(*words: str | Path, typed: str = "", out_too: bool = True) -> tuple[int, str, bytes]:
    """Run a command on a pseudo-terminal; exit code, what the terminal showed, and standard output if it was piped."""
    main, child = pty.openpty()
    stdout = child if out_too else subprocess.PIPE
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "24"}
    env.pop("NO_COLOR", None)
    with subprocess.Popen(
        [*CALL, *map(str, words)], stdin=child, stdout=stdout, stderr=child, env=env, start_new_session=True
    ) as process:
        os.close(child)
        os.write(main, typed.encode())
        shown = bytearray()
        try:
            while data := os.read(main, 65536):
                shown += data
        except OSError:  # Linux says EIO when the other end has gone
            pass
        piped = process.stdout.read() if process.stdout else b""
        code = process.wait(60)
    os.close(main)
    return code, shown.decode("utf-8", "replace"), piped


def test_progress_is_drawn_on_a_terminal(server: StandIn, tmp_path: Path) -> None:
    """An import draws a bar beside its lines; hostile names drive neither."""
    for number in range(3):
        (tmp_path / f"{number}\x1b]0;owned\x07.jsonl").write_bytes(SCAN % number)
    code, shown, _ = in_terminal("import", tmp_path)
    assert code == 0
    assert "importing" in shown
    assert shown.count("✓") == 3
    assert "owned\x07" not in shown
    assert "3 imported" in shown


def test_a_pipe_gets_lines_while_the_terminal_gets_the_bar(server: StandIn, tmp_path: Path) -> None:
    """With output into a file the bar stays on the screen and the file holds the lines alone."""
    (tmp_path / "a.jsonl").write_bytes(SCAN % 1)
    code, shown, piped = in_terminal("import", tmp_path / "a.jsonl", out_too=False)
    assert code == 0
    assert piped.decode().startswith(f"✓ {tmp_path}/a.jsonl")
    assert b"\x1b" not in piped
    assert "importing" in shown


def test_verification_shows_how_far_it_is(server: StandIn) -> None:
    """The walk of the chain moves a bar."""
    report = ChainReport(True, 12, 10, 8, "ab" * 32)
    server.say("POST", "/v0/provenance/verify", lines({"progress": {"done": 6, "total": 12}}, {"report": report}))
    code, shown, _ = in_terminal("provenance", "verify")
    assert code == 0
    assert "verifying" in shown
    assert "intact: 12 entries" in shown


@pytest.mark.parametrize(("typed", "code"), [("y\n", 0), ("n\n", 1), ("\n", 1)])
def test_revoking_asks(server: StandIn, typed: str, code: int) -> None:
    """On a terminal a revocation asks first, and nothing but yes is yes."""
    key = SigningKey.generate().public
    server.say("GET", "/v0/keys", {"keys": [record(key)]})
    server.say("POST", "/v0/keys/revoke", record(key, "revoked"))
    ended, shown, _ = in_terminal("keys", "revoke", key.keyid, typed=typed)
    assert ended == code
    assert "of alice?" in shown
    assert len(server.asked("/v0/keys/revoke")) == (code == 0)


def interrupted(process: subprocess.Popen[bytes]) -> int:
    """The exit code after Ctrl-C, pressed again where it came just before the terminal is read, as anybody would."""
    for _ in range(30):
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(2)
    process.kill()
    return process.wait()


def test_ctrl_c_at_a_question_ends_as_anywhere(server: StandIn) -> None:
    """An interrupt while a question waits exits with 130 and does nothing."""
    key = SigningKey.generate().public
    server.say("GET", "/v0/keys", {"keys": [record(key)]})
    main, child = pty.openpty()
    with subprocess.Popen([*CALL, "keys", "revoke", key.keyid], stdin=child, stdout=child, stderr=child) as process:
        os.close(child)
        shown = b""
        while b"of alice?" not in shown:
            shown += os.read(main, 65536)
        assert interrupted(process) == 130
    os.close(main)
    assert not server.asked("/v0/keys/revoke")


@pytest.mark.parametrize(("typed", "code", "records"), [("ticket 4711\n", 0, 1), ("\n", 2, 0)])
def test_a_scan_asks_for_consent(data_dir: Path, tmp_path: Path, typed: str, code: int, records: int) -> None:
    """On a terminal the reason is asked for and recorded; no answer is no consent, and no packet."""
    words = ("scan", "127.0.0.1", "-p", "1", "--scanner", "connect", "--allow", "127.0.0.0/8")
    ended, shown, _ = in_terminal(*words, typed=typed)
    assert ended == code, shown
    assert "Who agreed to this scan" in shown
    consents = tmp_path / "config" / "spectra" / "consent.jsonl"
    assert (consents.read_text().count("ticket 4711") if consents.exists() else 0) == records


def test_a_long_scan_asks_first(data_dir: Path) -> None:
    """A scan that would take hours is not begun by accident."""
    words = ("scan", "127.0.0.0/16", "-p", "all", "--scanner", "connect", "--allow", "127.0.0.0/8", "--consent", "x")
    ended, shown, _ = in_terminal(*words, typed="n\n")
    assert ended == 1
    assert "Go on?" in shown


def test_originals_do_not_go_to_a_terminal(server: StandIn) -> None:
    """Raw bytes could drive the terminal: they are refused there."""
    code, shown, _ = in_terminal("observations", "raw", "ab" * 32)
    assert code == 2
    assert "-o FILE" in shown
    assert not server.requests


def test_help_is_coloured_only_here() -> None:
    """A terminal gets colour, and NO_COLOR is tested elsewhere."""
    code, shown, _ = in_terminal("--help")
    assert code == 0
    assert "\x1b[" in shown


class Holding(StandIn):
    """A stand-in that answers no submission until it is let go."""

    arrived = threading.Event()
    go = threading.Event()

    def answer(self, request: Request) -> Answer:
        """Hold submissions."""
        if request.path == "/v0/mesh/ingest":
            self.arrived.set()
            self.go.wait(60)
        return super().answer(request)


def test_ctrl_c_ends_an_import(server: StandIn, tmp_path: Path) -> None:
    """An interrupted import says how to go on, and nothing is begun after it."""
    server.__class__ = Holding
    assert isinstance(server, Holding)
    (tmp_path / "scans").mkdir()
    for number in range(40):
        (tmp_path / "scans" / f"{number}").write_bytes(SCAN % number)
    with subprocess.Popen([*CALL, "import", str(tmp_path / "scans")], stderr=subprocess.PIPE, text=True) as process:
        assert server.arrived.wait(60)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        told = process.stderr.readline()
        server.go.set()
        process.communicate(timeout=60)
    assert "Run the same command again" in told
    assert process.returncode == 130
    assert len(server.submitted) < 40
