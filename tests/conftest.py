"""Fixtures that every room's tests share."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from tests.support.clusters import keep_clusters
from tests.support.processes import leave_out, pytest_collection, pytest_runtest_protocol

__all__ = ["pytest_collection", "pytest_runtest_protocol"]

# Deadlines measure the machine, not the code: bounds on work are asserted where they matter.
hypothesis_settings.register_profile(
    "spectra", deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("spectra")

# Threads of OpenBLAS wait for each other in loops. With other processes on the same processors, learning an embedder
# took thirty times the processor time that one thread takes. Read when numpy is imported, by children too.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# A shell that starts the tests in its background has them ignore SIGINT, and every child of theirs with them: what
# Ctrl-C does could not be tested. A handler of our own is the default again in each child.
signal.signal(signal.SIGINT, signal.default_int_handler)


WAITING = frozenset({"bench", "e2e", "mesh", "test_app.py"})
LOGGERS = ("spectra", "uvicorn", "uvicorn.error", "uvicorn.access", "dbos")


def pytest_configure(config: pytest.Config) -> None:
    """Coordinators begin from a copy of a database that was made once."""
    keep_clusters(config)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What watches other processes waits most of its time, so it runs beside what computes, and ends before it does.

    The files of `WAITING` are spread over four fifths of the others, in the order in which processes are given them.
    `SPECTRA_TEST_SHUFFLE` (any text) shuffles the files of each room instead: what one leaves to another shows then.
    """
    leave_out(config, items)
    if seed := os.environ.get("SPECTRA_TEST_SHUFFLE"):
        root = Path(__file__).parent
        items.sort(key=lambda item: (item.path.relative_to(root).parts[0], Random(f"{seed} {item.path}").random()))
        return
    files = sorted({item.path for item in items})
    place: dict[Path, float] = {}
    for waiting, end in ((True, 0.8), (False, 1.0)):
        some = [path for path in files if (not {path.name, path.parent.name}.isdisjoint(WAITING)) == waiting]
        place |= {path: end * number / len(some) for number, path in enumerate(some)}
    items.sort(key=lambda item: (place[item.path], item.path))


@pytest.fixture(autouse=True)
def loggers() -> Iterator[None]:
    """The loggers of the test process are after each test as they were before: a node started in it sets its own."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    others = {name: (o := logging.getLogger(name), o.handlers[:], o.level, o.propagate) for name in LOGGERS}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for logger, had, its_level, propagates in others.values():
        logger.handlers[:] = had
        logger.setLevel(its_level)
        logger.propagate = propagates


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real scans and feeds (`SPECTRA_TEST_DATA`, else `../shared/data`); skips where it is absent."""
    path = Path(os.environ.get("SPECTRA_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not path.is_dir():
        pytest.skip(f"the shared data set is not at {path}; set SPECTRA_TEST_DATA")
    return path


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A private data and configuration folder, so that no test touches the user's own."""
    monkeypatch.setenv("SPECTRA_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "data"
