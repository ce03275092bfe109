"""Feeds are read in a process of their own, and what is wrong with one comes back whole."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from spectra.errors import Unavailable
from spectra.flow import compile as compiling
from spectra.flow.compile import compiled
from spectra.intel.feeds import FeedError
from tests.flow.feedfiles import cities, places, routes


def test_a_feed_becomes_a_table(tmp_path: Path) -> None:
    """Recognised by its content, and mapped from the file that the child wrote."""
    table = compiled(routes(tmp_path, ("192.0.2.0/24", 64496)), "", tmp_path / "table")
    assert (table.kind, table.format, table.networks) == ("asn", "routeviews", 1)
    assert (tmp_path / "table").stat().st_size


def test_what_is_wrong_comes_back_whole(tmp_path: Path) -> None:
    """Reason, line, field and hint are those of the reader."""
    with pytest.raises(FeedError) as caught:
        compiled(places(tmp_path, "192.0.2.0/27,FR,FR-IDF,Paris,", "192.0.2.999,FR,,,"), "", tmp_path / "table")
    assert (caught.value.reason, caught.value.line) == ("feed_corrupt", 2)
    assert caught.value.message.count("line 2") == 1
    missing = tmp_path / "nothing"
    with pytest.raises(FeedError):
        compiled(missing, "", tmp_path / "table")


def test_every_corrupt_database_is_refused(shared_data: Path, tmp_path: Path) -> None:
    """MaxMind's own collection of broken files: each is an error that says why, none ends this process."""
    bad = sorted((shared_data / "geoip" / "maxmind" / "bad-data").rglob("*.mmdb"))
    assert bad
    for file in bad[::5]:
        with pytest.raises(FeedError) as caught:
            compiled(file, "", tmp_path / "table")
        assert caught.value.message, file


def test_a_reader_that_dies_is_an_error_of_the_feed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A parser that crashes, or that fails in a way nobody foresaw, takes nobody along."""
    dying = tmp_path / "python"
    monkeypatch.setattr(compiling.sys, "executable", str(dying))
    for script, said in (("kill -SEGV $$", "SIGSEGV"), ("echo Oops >&2; exit 2", "Oops")):
        dying.write_text(f"#!/bin/sh\n{script}\n")
        dying.chmod(0o755)
        with pytest.raises(FeedError, match=said) as caught:
            compiled(tmp_path / "feed", "", tmp_path / "table")
        assert caught.value.reason == "feed_corrupt"


def test_a_reader_that_never_ends_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that takes too much; a machine that cannot start one is trouble of its own, which passes."""
    python = tmp_path / "python"
    monkeypatch.setattr(compiling.sys, "executable", str(python))
    with pytest.raises(Unavailable):
        compiled(tmp_path / "feed", "", tmp_path / "table")
    python.write_text("#!/bin/sh\nexec sleep 60\n")
    python.chmod(0o755)
    monkeypatch.setattr(compiling, "_LONGEST_S", 0.05)
    with pytest.raises(FeedError) as caught:
        compiled(tmp_path / "feed", "", tmp_path / "table")
    assert caught.value.reason == "feed_too_large"


def test_the_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """0 and a table, or 1 and why as JSON; it gives way to those who serve."""
    nice: list[int] = []
    monkeypatch.setattr(os, "nice", nice.append)
    assert compiling.main(str(cities(tmp_path)), "", str(tmp_path / "table")) == 0
    assert compiling.main(str(cities(tmp_path)), "no such!", str(tmp_path / "table")) == 1
    assert json.loads(capsysbinary.readouterr().out)["reason"] == "feed_provider"
    assert nice == [10, 10]
