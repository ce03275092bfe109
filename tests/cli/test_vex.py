"""`spectra findings vex`."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.cli.standin import StandIn, problem

PATH = "/v0/vex"
DOCUMENT = {"@context": "https://openvex.dev/ns/v0.2.0", "statements": [{"status": "fixed", "note": "a\u202eb"}]}
REPORT: dict[str, Any] = {
    "id": "https://example.org/vex/1", "format": "openvex", "author": "Acme", "version": 2,
    "issued": "2026-03-01T12:00:00Z",
    "statements": 3, "decided": 2, "unchanged": 1, "kept": 1, "replaced": 1, "removed": 4, "undecided": 5,
    "problems": [{"index": 1, "field": "statements[1].status", "message": "'x' is no status."}], "problems_total": 1,
    "unmatched": [{"index": 0, "product": f"192.0.2.{n}", "why": "No such host was ever seen."} for n in range(30)],
    "unmatched_total": 31,
}  # fmt: skip


def test_export(run: Run, server: StandIn, tmp_path: Path) -> None:
    """To the terminal, safe, or to a file; with what was asked."""
    server.say("GET", PATH, DOCUMENT)
    result = run("findings", "vex", "export", "net:10.0.0.0/8", "-port:22", "--decided", "--format", "cyclonedx")
    assert result.code == 0, result.err
    assert json.loads(result.out) == DOCUMENT
    assert "\u202e" not in result.out
    assert "1 statement" in result.err
    assert server.requests[0].params == {"format": "cyclonedx", "q": "net:10.0.0.0/8 -port:22", "decided": "true"}
    out = tmp_path / "x.json"
    assert run("findings", "vex", "export", "-o", out).code == 0
    assert json.loads(out.read_text("utf-8")) == DOCUMENT
    assert server.requests[1].params == {"format": "openvex"}


def test_slips_of_an_export(run: Run, server: StandIn, tmp_path: Path) -> None:
    """Are pointed at, and leave no file."""
    server.say("GET", PATH, problem(400, "No.", field="q", column=3))
    out = tmp_path / "x.json"
    result = run("findings", "vex", "export", "colour:red", "-o", out)
    assert (result.code, result.err.splitlines()[1], out.exists()) == (2, "    ^", False)
    assert run("findings", "vex", "export", "--format", "csaf").code == 2


def test_import(run: Run, server: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file as it is, with what became of it and what did not; from standard input too."""
    server.say("POST", PATH, REPORT)
    file = tmp_path / "vendor.json"
    file.write_bytes(b'{"a": 1}\n')
    result = run("findings", "vex", "import", file)
    assert result.code == 0, result.err
    assert server.requests[0].body == b'{"a": 1}\n'
    for words in ("version 2 of 2026-03-01 12:00 UTC by Acme",
                  "3 statements: 2 decided, 1 in place of another, 1 as before",
                  "1 kept as decided here since, 4 said no more, 5 not decided there",
                  "statements[1].status: 'x' is no",
                  "\n  statement 0, 192.0.2.0: No such host", "and 11 more products"):  # fmt: skip
        assert words in result.out, words
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"{}")))
    assert json.loads(run("findings", "vex", "import", "-", "--json").out)["decided"] == 2
    assert server.requests[1].body == b"{}"
    nothing = {"decided": 0, "unchanged": 0, "kept": 0, "replaced": 0, "removed": 0, "undecided": 0}
    server.say("POST", PATH, REPORT | nothing | {"issued": None, "author": ""})
    assert "nothing to decide" in run("findings", "vex", "import", file).out


def test_slips_of_an_import(run: Run, server: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be read or is too large is not sent; a refusal is shown."""
    assert run("findings", "vex", "import", tmp_path / "none.json").code == 2
    file = tmp_path / "x.json"
    file.write_bytes(b"{}")
    monkeypatch.setattr("spectra.model.vex.MAX_BYTES", 1)
    assert "more than 1 bytes" in run("findings", "vex", "import", file).err
    assert server.requests == []
    monkeypatch.undo()


def test_an_older_one(run: Run, server: StandIn, tmp_path: Path) -> None:
    """The server's words are shown."""
    file = tmp_path / "x.json"
    file.write_bytes(b"{}")
    server.say("POST", PATH, problem(409, "this one is older", reason="vex_older"))
    result = run("findings", "vex", "import", file)
    assert (result.code, "this one is older" in result.err) == (1, True)


def test_help_teaches(run: Run) -> None:
    """Whole calls."""
    for name in ("export", "import"):
        assert f"spectra findings vex {name}" in run("findings", "vex", name, "--help").out
