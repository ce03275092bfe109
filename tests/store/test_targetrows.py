"""Rows of targets: with their attempts where they are asked for, and the ids of leases."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.store import targetrows
from spectra.store.database import Database
from tests.store.toil import SECOND, T0, ask, job, submit, workers

pytestmark = pytest.mark.engine


def test_the_attempts_of_many_targets(database: Database) -> None:
    """Each with its own, oldest first; a target that was never given has none."""
    workers(database, "attic")
    job(database, 2)
    (lease,) = ask(database, "attic")
    submit(database, lease, "failed", at=T0 + SECOND)
    later = T0 + 70 * SECOND
    again = next(found for found in ask(database, "attic", at=later, count=2) if found.target == lease.target)
    with database.connection() as connection:
        numbers = [row[0] for row in connection.execute("SELECT num FROM target ORDER BY num")]
        found = targetrows.histories(connection, numbers)
        rows = connection.execute(f"{targetrows.RECORD} ORDER BY t.num").fetchall()
    assert [(one.lease, one.attempt, one.end) for one in found[lease.target]] == [
        (lease.lease, 1, "failed"),
        (again.lease, 2, ""),
    ]
    assert [one.end for one in found[numbers[1]]] == [""]
    records = [targetrows.record(row, found[row[0]]) for row in rows]
    assert [(one.state, one.not_before, one.ended) for one in records] == [("leased", None, None)] * 2
    assert [len(one.history) for one in records] == [2, 1]


@given(st.uuids())
def test_ids_of_leases_read_back(lease: UUID) -> None:
    """As 32 hex digits, which name the workflow too."""
    assert targetrows.lease_id(targetrows.hexed(lease)) == lease
    assert targetrows.workflow_id(7, targetrows.hexed(lease)) == f"target-7-{lease.hex}"


@given(st.text(max_size=40))
def test_other_texts_are_no_lease(text: str) -> None:
    """Whatever somebody sends: it is the id that it says, or none."""
    found = targetrows.lease_id(text)
    assert found is None or found == UUID(text)
