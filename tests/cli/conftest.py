"""The command line run in this process, against a stand-in server on loopback."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer.main

from spectra.cli.main import main
from spectra.identity.keys import SigningKey
from spectra.identity.tokens import LocalCredential
from tests.cli.standin import TOKEN, StandIn, serving


@dataclass(frozen=True)
class Result:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """The lines of standard output."""
        return self.out.splitlines()


Run = Callable[..., Result]

_make = typer.main.get_command
_MADE: dict[tuple[str, ...], Any] = {}


def _built(app: typer.Typer) -> Any:
    """The commands of `app`, made once: a process of tests would make the same ones for each of them."""
    names = tuple(str(one.name) for one in (*app.registered_commands, *app.registered_groups))
    if names not in _MADE:
        _MADE[names] = _make(app)
    return _MADE[names]


@pytest.fixture(autouse=True)
def quiet_environment(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No terminal, no colour, a known width, a private folder."""
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("NO_COLOR", "1")
    for name in ("SPECTRA_SERVER", "SPECTRA_TOKEN", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run("search", "port:22")`: the command's exit code and output."""

    def call(*words: str | Path) -> Result:
        monkeypatch.setattr(sys, "argv", ["spectra", *map(str, words)])
        monkeypatch.setattr(typer.main, "get_command", _built)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        code = ended.value.code
        return Result(code if isinstance(code, int) else int(bool(code)), printed.out, printed.err)

    return call


@pytest.fixture
def key() -> SigningKey:
    """The key of this machine."""
    return SigningKey.generate()


@pytest.fixture
def server(key: SigningKey, data_dir: Path) -> Iterator[StandIn]:
    """A stand-in for this machine's server, with its credential in place."""
    stand_in = StandIn(key)
    with serving(stand_in) as url:
        key.save(data_dir / "keys" / "contributor.key")
        credential = LocalCredential(url, TOKEN, "alice", str(data_dir / "keys" / "contributor.key"))
        credential.save(data_dir / "credential.json")
        yield stand_in
