"""The log: JSON lines with ECS names for machines, safe text for people."""

from __future__ import annotations

import json
import logging
import os
import pty
import subprocess
import sys
from typing import Any

import pytest

from spectra import __version__, logs
from spectra.settings import LogSettings


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The JSON lines on standard error; nothing else may stand there, nor anything on standard output."""
    printed = capsys.readouterr()
    assert printed.out == ""
    return [json.loads(line) for line in printed.err.splitlines()]


def broken(message: str) -> None:
    """Something that fails."""
    raise ValueError(message)


def test_json_lines_have_ecs_names(capsys: pytest.CaptureFixture[str]) -> None:
    """What Elastic's Common Schema calls time, level, message, logger and service, and our own fields."""
    logs.configure(LogSettings(format="json"))
    logging.getLogger("spectra.api").info("GET %s", "/x", extra={"http.request.id": "r-1"})
    (line,) = lines(capsys)
    assert line["@timestamp"].endswith("Z")
    assert line["log.level"] == "info"
    assert line["message"] == "GET /x"
    assert line["log"]["logger"] == "spectra.api"
    assert line["ecs.version"]
    assert line["service"] == {"name": "spectra", "version": __version__}
    assert line["http"]["request"]["id"] == "r-1"


def test_a_traceback_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """With its type, message and stack in fields of their own."""
    logs.configure(LogSettings(format="json"))
    try:
        broken("the\nmessage")
    except ValueError:
        logging.getLogger("spectra").exception("it broke")
    (line,) = lines(capsys)
    assert line["error"]["type"] == "ValueError"
    assert "Traceback" not in line["message"]


def test_text_escapes_what_could_drive_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Escape sequences, line feeds and bidirectional marks are shown, in messages, errors and stacks alike."""
    hostile = "a\x1b[2J\nb\r\u202ec\x9b"
    logs.configure(LogSettings(format="text"))
    try:
        broken(hostile)
    except ValueError:
        logging.getLogger("spectra").error("got %s", hostile, exc_info=True, stack_info=True)
    printed = capsys.readouterr().err
    assert not {"\x1b", "\r", "\u202e", "\x9b"} & set(printed)
    assert r"got a\x1b[2J\nb\r\u202ec\x9b" in printed
    assert "ValueError" in printed
    assert "Stack (most recent call last)" in printed


def test_the_level_is_ours_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """`debug` means Spectra's own; libraries keep to warnings."""
    logs.configure(LogSettings(level="debug", format="json"))
    logging.getLogger("spectra.flow").debug("own")
    logging.getLogger("psycopg").info("theirs")
    logging.getLogger("psycopg").warning("serious")
    assert [line["message"] for line in lines(capsys)] == ["own", "serious"]


def test_libraries_write_into_our_log(capsys: pytest.CaptureFixture[str]) -> None:
    """Handlers that they brought are taken from them."""
    noisy = logging.getLogger("dbos")
    noisy.addHandler(logging.StreamHandler(sys.stdout))
    noisy.propagate = False
    logs.configure(LogSettings(format="json"))
    noisy.error("from the engine")
    assert [line["log"]["logger"] for line in lines(capsys)] == ["dbos"]


def test_configuring_again_replaces(capsys: pytest.CaptureFixture[str]) -> None:
    """Each line is written once."""
    for _ in range(2):
        logs.configure(LogSettings(format="json"))
    logging.getLogger("spectra").warning("once")
    assert len(lines(capsys)) == 1


def test_auto_is_json_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    """Standard error is no terminal here."""
    logs.configure(LogSettings())
    logging.getLogger("spectra").warning("x")
    assert lines(capsys)[0]["message"] == "x"


def test_auto_is_text_on_a_terminal() -> None:
    """On a pseudo-terminal the same call writes for people."""
    code = (
        "import logging; from spectra import logs; from spectra.settings import LogSettings\n"
        "logs.configure(LogSettings()); logging.getLogger('spectra').warning('hello')"
    )
    ours, theirs = pty.openpty()
    try:
        subprocess.run([sys.executable, "-c", code], stderr=theirs, check=True, timeout=60)
        shown = os.read(ours, 1000).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert "WARNING" in shown
    assert "spectra: hello" in shown
    assert "{" not in shown
