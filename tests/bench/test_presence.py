"""The pieces by which presence is measured. The whole is run by the tests of `mesh`. No number is judged."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest

from spectra.bench import presence
from spectra.bench.presence import Watch, busy_core, cpu_share
from spectra.store import nodes
from spectra.store import presence as stored
from spectra.store.database import Database
from spectra.store.presence import Seen
from tests.flow.conftest import store_server
from tests.store.conftest import database, migrated_template
from tests.store.machines import member
from tests.support.postgres import embedded
from tests.support.waiting import eventually

__all__ = ["database", "embedded", "migrated_template", "store_server"]


def test_the_share_of_a_process_is_measured() -> None:
    """Of ourselves something between nothing and every core; of nobody nothing."""
    assert 0 <= cpu_share(os.getpid(), 0.05) <= (os.cpu_count() or 1) + 1
    assert cpu_share(2**22 + 1, 0.0001) == 0


def test_a_core_is_busy_as_long_as_asked() -> None:
    """The process is gone when the block ends."""
    with busy_core():
        children = presence.Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    after = presence.Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    assert len(children) == len(after) + 1


@pytest.mark.engine
def test_who_is_taken_for_dead_meanwhile_is_noticed(database: Database) -> None:
    """Only those asked about, and also if they are alive again at the end."""
    for name in ("a", "b", "c"):
        member(database, name)
    now = datetime.now(UTC)
    with Watch(database, ["a", "b"]) as watch:
        stored.set_presence(database, [Seen("a", "suspect", now), Seen("b", "dead", now), Seen("c", "dead", now)])
        eventually(lambda: watch.seen == {"suspect": {"a"}, "dead": {"b"}})
        stored.set_presence(database, [Seen("b", "alive", now)])
    assert watch.seen["dead"] == {"b"}
    assert nodes.get(database, "b").presence == "alive"
