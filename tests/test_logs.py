"""The log: JSON lines with ECS names, text that cannot drive a terminal, and nobody else's chatter."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from spectra import logs
from spectra.settings import LogSettings


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Leaves the root logger as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("spectra").setLevel(logging.NOTSET)


def test_json_lines_have_ecs_names(capsys: pytest.CaptureFixture[str]) -> None:
    """One line, one object, with the field names that Elastic knows; `extra` goes in as it is named."""
    logs.configure(LogSettings(format="json"))
    logging.getLogger("spectra.test").info("hello\nworld", extra={"url.path": "/v0/status"})
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    line = json.loads(lines[0])
    assert (line["message"], line["log.level"], line["url"]["path"]) == ("hello\nworld", "info", "/v0/status")
    assert line["service"]["name"] == "spectra"
    assert line["@timestamp"].endswith("Z")


def test_auto_is_json_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A collector reads JSON without being told to ask for it."""
    logs.configure(LogSettings(format="auto"))
    logging.getLogger("spectra").warning("hello")
    assert json.loads(capsys.readouterr().err)["message"] == "hello"


def test_text_cannot_drive_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """What a scanned machine said may be in a message: escapes arrive as text."""
    logs.configure(LogSettings(format="text"))
    logging.getLogger("spectra").error("title \x1b[2J and\ra\nnew line")
    said = capsys.readouterr().err
    assert "\x1b" not in said
    assert "\\x1b[2J" in said
    assert said.count("\n") == 1


def test_the_level_is_ours_and_others_only_warn(capsys: pytest.CaptureFixture[str]) -> None:
    """`debug` is for Spectra's own log; libraries stay quiet below a warning. Configuring again does not double."""
    logs.configure(LogSettings(level="error", format="text"))
    logs.configure(LogSettings(level="debug", format="text"))
    logging.getLogger("spectra.store").debug("ours")
    logging.getLogger("httpx").info("theirs")
    said = capsys.readouterr().err
    assert said.count("ours") == 1
    assert "theirs" not in said
