"""One running server and one small world for all tests of the bench: their start is what takes long."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from spectra.bench import aiworld, feeds
from spectra.bench.aiworld import World
from spectra.bench.saying import silent
from spectra.bench.server import BenchServer, serving
from tests.bench import weaknesses
from tests.support.clusters import copy, once, roomy_folder, seed


@pytest.fixture(scope="package")
def server() -> Iterator[BenchServer]:
    """The server that a bench measures."""
    folder = roomy_folder()
    folder.chmod(0o755)  # the database's own account passes through
    try:
        seed(folder / "data")
        with serving(folder / "data") as one:
            yield one
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _build(folder: Path) -> None:
    weaknesses.fill(folder / "feeds")
    seed(folder / "data")
    count = aiworld.build(folder / "data", feeds.feeds(folder / "feeds"), 40, silent)
    (folder / "count").write_text(str(count))


@pytest.fixture(scope="package")
def world() -> Iterator[World]:
    """A small world to be asked about, whose feeds are those of `weaknesses`: built once, and a copy of it."""
    built, folder = once("world", _build), roomy_folder()
    folder.chmod(0o755)  # the database's own account passes through
    try:
        copy(built / "data", folder / "data")
        with aiworld.opened(folder / "data", int((built / "count").read_text())) as opened:
            yield opened
    finally:
        shutil.rmtree(folder, ignore_errors=True)
