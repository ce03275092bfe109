"""Several processes share the tests out: what each of them need not do as well.

Tracing for coverage slows every line of Python that a traced process runs, ours or not, to half its speed.
"""

from __future__ import annotations

import functools
import gc
import importlib
import itertools
import pkgutil
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from typing import Any

import pytest

import spectra

UNTRACED = ("e2e", "mesh", "bench", "fuzz")
"""Rooms whose tests watch other processes, which are not traced in any case, and what asks for the same ever again."""

LONG = frozenset(
    {
        "test_a_cve_of_ten_thousand_products_has_a_rule_for_each",
        "test_a_real_routing_table",
        "test_a_week_of_scans",
        "test_the_nvd_is_read",
        "test_vulnrichment_is_read",
        "test_every_expected_network_is_where_its_makers_say",
        "test_ranges_of_a_real_file_are_found",
        "test_names_of_numbers",
        "test_nothing_is_lost_and_nothing_is_otherwise",
        "test_real_names_come_back_as_they_were",
        "test_real_scores_are_read",
        "test_what_is_alike_has_the_same_findings",
        "test_whatever_regex_passes_the_database_takes",
    }
)
"""Tests that pass the same lines for each of very many real records."""

REPEATING = frozenset({"identity", "ingest", "intel", "model", "store"})
"""Rooms whose tests are traced in part. In the others a server's threads outlive a test, and a thread that was there
when tracing was interrupted is not traced any more.
"""

VARIANTS = 2
"""So many sets of parameters of one test are traced: those that follow pass the same lines, but for a few."""

EXAMPLES = 10
"""So many examples of a property are traced, of each set of parameters."""

EVERYTHING = 5000
"""So many tests are the whole suite, or most of it."""

ON_BOTH = frozenset(
    f"test_{name}.py"
    for name in (
        *(
            "blobs",
            "database",
            "jobs",
            "keys",
            "leases",
            "limits",
            "nodes",
            "observations",
            "provenance",
            "results",
            "insights",
            "aibudgets",
            "reports",
        ),
        *("search", "vectors", "meshfabric", "baseline"),
    )
)
"""What the second PostgreSQL repeats: every kind of statement, lock and type once. It is the same version reached in
another way (TCP, a password, a role of its own), so that the rest would say the same twice.
"""


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Each of several processes begins to collect at another room, and none is traced meanwhile.

    On a fresh clone each would rewrite and compile the file that the others do; so, they find most of it done.
    Who hands the tests out has nothing to do, and imports every module, so that lines run by an import are counted.
    What is there afterwards stays until the end: the garbage collector looks for none in it, now or later. It took a
    fifth of the time, and looked through half a million objects at each of its full rounds.
    """
    gc.disable()
    try:
        return (yield from _collected(session))
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def _collected(session: pytest.Session) -> Generator[None, object, object]:
    config = session.config
    own: dict[str, Any] | None = getattr(config, "workerinput", None)
    if own is not None:
        _begin_elsewhere(config, int(own["workerid"].removeprefix("gw")), int(own["workercount"]))
        _trace(config, False)
    elif config.getoption("numprocesses", None) and config.pluginmanager.hasplugin("_cov"):
        for module in pkgutil.walk_packages(spectra.__path__, "spectra."):
            importlib.import_module(module.name)
    return (yield)


def leave_out(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what the second PostgreSQL need not repeat, where everything is run."""
    if len(items) < EVERYTHING:
        return
    once = [one for one in items if not _is_repeated(one) or one.path.name in ON_BOTH]
    if len(once) < len(items):
        kept = set(once)
        config.hook.pytest_deselected(items=[one for one in items if one not in kept])
        items[:] = once


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Tests of `UNTRACED` rooms, long ones, and those that the second PostgreSQL repeats, run at full speed."""
    places = {item.path.name, item.path.parent.name, item.name.partition("[")[0]}
    _trace(item.config, not _is_repeated(item) and not places & {*UNTRACED, *LONG} and not _is_further(item))
    given: Any = getattr(getattr(item, "obj", None), "hypothesis", None)
    if given is None or not _in_part(item) or not _tracing(item.config):
        return (yield)
    whole = given.inner_test
    given.inner_test = _first_traced(item.config, whole)
    try:
        return (yield)
    finally:
        given.inner_test = whole


def _in_part(item: pytest.Item) -> bool:
    return not REPEATING.isdisjoint(item.path.relative_to(item.config.rootpath).parts)


_VARIANTS: Counter[tuple[object, str]] = Counter()


def _is_further(item: pytest.Item) -> bool:
    """Whether `VARIANTS` sets of parameters of this test were run before in this process."""
    if not _in_part(item):
        return False
    test = item.path, item.nodeid.partition("[")[0]
    _VARIANTS[test] += 1
    return _VARIANTS[test] > VARIANTS


def _first_traced(config: pytest.Config, test: Callable[..., Any]) -> Callable[..., Any]:
    """`test`, whose first `EXAMPLES` runs are traced: a property passes the same lines with each example."""
    runs = itertools.count(1)

    @functools.wraps(test)
    def counted(*args: Any, **kwargs: Any) -> Any:
        if next(runs) > EXAMPLES:
            _trace(config, False)
        return test(*args, **kwargs)

    return counted


def _is_repeated(item: Any) -> bool:
    """Whether a test runs on the second PostgreSQL."""
    values: Mapping[str, object] = item.callspec.params if hasattr(item, "callspec") else {}
    return "server" in (values.get("store_server"), values.get("database_url"))


def _tracing(config: pytest.Config) -> bool:
    plugin: Any = config.pluginmanager.getplugin("_cov")
    return bool(plugin and plugin.cov_controller and plugin.cov_controller.started)


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
