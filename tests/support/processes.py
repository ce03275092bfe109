"""Several processes share the tests out: what each of them need not do as well.

Tracing for coverage slows every line of Python that a traced process runs, ours or not, to half its speed.
"""

from __future__ import annotations

import importlib
import itertools
import pkgutil
from collections.abc import Generator, Sequence
from typing import Any

import pytest

import spectra

UNTRACED = ("e2e", "mesh", "test_openapi_fuzz.py")
"""Rooms whose tests watch other processes, which are not traced in any case, and what asks for the same ever again."""


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Each of several processes begins to collect at another room, and none is traced meanwhile.

    On a fresh clone each would rewrite and compile the file that the others do; so, they find most of it done.
    Who hands the tests out has nothing to do, and imports every module, so that lines run by an import are counted.
    """
    config = session.config
    own: dict[str, Any] | None = getattr(config, "workerinput", None)
    if own is not None:
        _begin_elsewhere(config, int(own["workerid"].removeprefix("gw")), int(own["workercount"]))
        _trace(config, False)
    elif config.getoption("numprocesses", None) and config.pluginmanager.hasplugin("_cov"):
        for module in pkgutil.walk_packages(spectra.__path__, "spectra."):
            importlib.import_module(module.name)
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Tests of `UNTRACED` rooms, and those that the second PostgreSQL repeats, run at full speed."""
    repeated = isinstance(item, pytest.Function) and "server" in _values(item)
    _trace(item.config, not repeated and not {item.path.name, item.path.parent.name} & {*UNTRACED})
    return (yield)


def _values(item: pytest.Function) -> Sequence[object]:
    """Of the parameters of the fixtures it uses."""
    return list(item.callspec.params.values()) if hasattr(item, "callspec") else []


def _trace(config: pytest.Config, wanted: bool) -> None:
    """Lines are counted from now on, or no longer; nothing, where none are anyway."""
    plugin: Any = config.pluginmanager.getplugin("_cov")
    controller = plugin.cov_controller if plugin else None
    if controller is None or controller.started == wanted:
        return
    controller.cov.set_option("run:disable_warnings", ["already-imported"])  # by the process that hands the tests out
    (controller.resume if wanted else controller.pause)()


def _begin_elsewhere(config: pytest.Config, number: int, count: int) -> None:
    """Have process `number` of `count` collect the same tests in another order; they are sorted afterwards."""
    if config.args != ["tests"]:
        return
    tests = config.rootpath / "tests"
    rooms = sorted(one for one in tests.iterdir() if (one / "__init__.py").exists() or one.match("test_*.py"))
    files = [len(list(room.rglob("*.py"))) if room.is_dir() else 1 for room in rooms]
    first = sum(1 for end in itertools.accumulate(files) if end <= sum(files) * number / count)
    config.args = [str(room) for room in rooms[first:] + rooms[:first]]
