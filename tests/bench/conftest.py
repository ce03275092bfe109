"""One running server for all tests of the bench: its start is what takes long."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from spectra.bench.server import BenchServer, running


@pytest.fixture(scope="package")
def server() -> Iterator[BenchServer]:
    """The server that a bench measures."""
    with running() as one:
        yield one
