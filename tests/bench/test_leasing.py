"""What waits in the benchmark of leases can be leased, up to the last target."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from spectra.bench import leasing
from spectra.store import leases
from spectra.store.attempts import Terms
from spectra.store.database import Database
from spectra.store.leases import Asker
from tests.flow.conftest import store_server
from tests.store.conftest import database, migrated_template
from tests.support.postgres import embedded

__all__ = ["database", "embedded", "migrated_template", "store_server"]

pytestmark = pytest.mark.engine


def test_all_that_waits_can_be_leased(database: Database) -> None:
    """Each target once, of every job, whichever machine asks."""
    leasing.fill(database, ["n0", "n1"], 2 * leasing.JOBS)
    terms = Terms(per_node=2 * leasing.JOBS)
    given = [
        one
        for name in ("n0", "n1")
        for one in leases.lease(database, Asker(name, ("connect",)), terms, datetime.now(UTC), count=leasing.JOBS)
    ]
    assert len({one.target for one in given}) == 2 * leasing.JOBS
    assert len({one.job for one in given}) == leasing.JOBS
    assert leases.lease(database, Asker("n0", ("connect",)), terms, datetime.now(UTC)) == []
