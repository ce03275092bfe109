"""One running server and one small world for all tests of the bench: their start is what takes long."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from spectra.bench import aiworld, feeds
from spectra.bench.aiworld import World
from spectra.bench.saying import silent
from spectra.bench.server import BenchServer, running
from tests.bench import weaknesses
from tests.support.postgres import reachable_folder


@pytest.fixture(scope="package")
def server() -> Iterator[BenchServer]:
    """The server that a bench measures."""
    with running() as one:
        yield one


@pytest.fixture(scope="package")
def world() -> Iterator[World]:
    """A small world to be asked about, whose feeds are those of `weaknesses`."""
    folder = reachable_folder()
    folder.chmod(0o755)  # the database's own account passes through
    try:
        weaknesses.fill(folder / "feeds")
        count = aiworld.build(folder / "data", feeds.feeds(folder / "feeds"), 40, silent)
        with aiworld.opened(folder / "data", count) as opened:
            yield opened
    finally:
        shutil.rmtree(folder, ignore_errors=True)
