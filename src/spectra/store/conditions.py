"""Conditions on endpoints: SQL text of our own, values only ever as parameters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, LiteralString, NamedTuple


class Condition(NamedTuple):
    """A boolean SQL expression and its parameters, in order. `column`: the one column that it bounds to a range.

    `costly`: holds a regular expression, so that it must not be tried on many rows without a limit of time.
    """

    sql: LiteralString
    params: tuple[object, ...] = ()
    column: str = ""
    costly: bool = False


class Filter(NamedTuple):
    """What endpoints `e` have to satisfy. `empty`: nothing can."""

    conditions: tuple[Condition, ...] = ()
    empty: bool = False

    @property
    def costly(self) -> bool:
        """Whether a regular expression is left in it: statements with it belong into `lookups.hurried`."""
        return any(condition.costly for condition in self.conditions)


NOTHING: Final = Filter((Condition("false"),), empty=True)


def all_of(conditions: Sequence[Condition]) -> Condition:
    """The conjunction of `conditions`; `true` for none."""
    return _joined(conditions, " AND ", "true")


def any_of(conditions: Sequence[Condition]) -> Condition:
    """The disjunction of `conditions`; `false` for none."""
    return _joined(conditions, " OR ", "false")


def _joined(conditions: Sequence[Condition], word: LiteralString, none: LiteralString) -> Condition:
    if len(conditions) <= 1:
        return conditions[0] if conditions else Condition(none)
    text = word.join([c.sql for c in conditions])
    params = tuple(p for c in conditions for p in c.params)
    return Condition(f"({text})", params, costly=any(c.costly for c in conditions))


def negation(condition: Condition) -> Condition:
    """The opposite of `condition`, which must not be null."""
    return Condition(f"NOT {condition.sql}", condition.params, costly=condition.costly)


def array(keys: Iterable[object]) -> str:
    """Ids, addresses, numbers, moments or truths as the text of one parameter, to be cast to an array of theirs.

    A list of a thousand takes 2 ms each time that it is sent, and a condition is in several statements.
    """
    return f"{{{','.join(map(str, keys))}}}"
