"""A running Spectra for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.witness import Witness
from tests.support.running import Running, spectra


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """`spectra up` on a folder of its own; contributors may submit as often as they like."""
    with spectra(SPECTRA_GATE__RATE_PER_MINUTE="0") as one:
        yield one.start()


@pytest.fixture(scope="module")
def witness(running: Running) -> Iterator[Witness]:
    """Who remembers what was acknowledged; at the end of the module the whole graph has to hold."""
    one = Witness(running)
    yield one
    one.all_there()
    one.sound()
