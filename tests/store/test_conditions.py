"""How conditions are joined and turned round."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from spectra.store.conditions import NOTHING, Condition, Filter, all_of, any_of, array, negation
from spectra.store.database import Database

A = Condition("a = %s", (1,), "a")
B = Condition("b ~* %s", ("x",), costly=True)


def test_none_and_one_stay_what_they_are() -> None:
    """No conditions hold always, or never; a single one keeps the column that it bounds."""
    assert all_of([]) == Condition("true")
    assert any_of([]) == Condition("false")
    assert all_of([A]) == any_of([A]) == A


def test_several_are_put_in_parentheses_with_their_parameters_in_order() -> None:
    """And are costly if one of them is."""
    assert all_of([A, B]) == Condition("(a = %s AND b ~* %s)", (1, "x"), costly=True)
    assert any_of([B, A]) == Condition("(b ~* %s OR a = %s)", ("x", 1), costly=True)
    assert not all_of([A, A]).costly


def test_the_opposite_bounds_no_column() -> None:
    """What is not in a range may be on both sides of it."""
    assert negation(A) == Condition("NOT a = %s", (1,))
    assert negation(B).costly


def test_a_filter_is_costly_if_one_of_its_conditions_is() -> None:
    """Whoever runs it has to know."""
    assert Filter((A, B)).costly
    assert not Filter((A, A)).costly
    assert not NOTHING.costly


@pytest.mark.engine
def test_keys_become_one_parameter(database: Database) -> None:
    """That PostgreSQL reads back as what they were."""
    ident, at = UUID(int=7), datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
    with database.connection() as connection:
        row = connection.execute(
            "SELECT %s::uuid[], %s::inet[]::text[], %s::int4[], %s::timestamptz[], %s::boolean[], %s::uuid[]",
            [array(some) for some in ([ident, ident], ["10.0.0.1", "::1"], [1, -2], [at], [True, False], [])],
        ).fetchone()
    assert row == ([ident, ident], ["10.0.0.1/32", "::1/128"], [1, -2], [at], [True, False], [])
