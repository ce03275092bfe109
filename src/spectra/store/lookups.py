"""From a condition on rows of a small table to one on endpoints: the keys of the rows are looked up first.

Up to `FEW` keys become an array that the planner sees and can weigh against its statistics; beyond that the filter is
unselective, and the condition stays a subquery. A regular expression is only ever tried here, for at most `PATIENCE_S`:
on the rows of what the rest of the query leaves, where that is little, else on the whole table; up to `MANY` keys.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Sequence
from typing import Any, Final, LiteralString, NamedTuple

import psycopg

from spectra.errors import BadRequest
from spectra.store.conditions import NOTHING, Condition, Filter, all_of, any_of, array, negation
from spectra.store.database import Connection, one

FEW: Final = 1000
MANY: Final = 5_000
PATIENCE_S: Final = 2.0
NARROW: Final = 20_000
"""Endpoints whose keys are worth listing before a regular expression is tried on those alone."""


class Table(NamedTuple):
    """A table `t`: its key, the column of `endpoint` that holds it (null: `nullable`), and the type of both."""

    name: LiteralString
    key: LiteralString
    column: LiteralString
    kind: LiteralString
    nullable: bool = True


SERVICE: Final = Table("service", "t.id", "e.service", "uuid")
BANNER: Final = Table("banner", "t.id", "e.banner", "uuid")
CERTIFICATE: Final = Table("certificate", "t.id", "e.certificate", "uuid")
PLACE: Final = Table("place", "t.id", "e.place", "uuid")
HOST: Final = Table("host", "t.ip", "e.ip", "inet", nullable=False)
HOSTNAME: Final = Table("hostname", "t.ip", "e.ip", "inet", nullable=False)


class Question(NamedTuple):
    """That the endpoint's row of a table satisfies `held`, or, if `lacking`, that it does not or there is none.

    `listed`: asking it of each endpoint is so dear that up to `MANY` keys are worth listing.
    """

    table: Table
    held: Condition
    lacking: bool = False
    listed: bool = False


def answered(connection: Connection, question: Question, others: Sequence[Condition]) -> Filter:
    """The filter of `question`; `others` are conditions on the same endpoints, `e`, that are known already."""
    table, held, lacking, listed = question
    most = MANY if held.costly or listed else FEW
    keys = _keys(connection, table, held, others, most)
    if not keys:
        return Filter() if lacking else NOTHING
    if len(keys) > most:
        condition = _unlisted(table, held)
        return Filter((negation(condition) if lacking else condition,))
    found = array(keys)
    if not lacking:
        return Filter((Condition(f"{table.column} = ANY(%s::{table.kind}[])", (found,)),))
    absent: LiteralString = f"{table.column} <> ALL(%s::{table.kind}[])"
    return Filter((Condition(f"({table.column} IS NULL OR {absent})" if table.nullable else absent, (found,)),))


def _unlisted(table: Table, held: Condition) -> Condition:
    """The condition where keys are too many to list; a regular expression is then tried with every statement."""
    found: LiteralString = f"SELECT FROM {table.name} t WHERE {table.key} = {table.column} AND {held.sql}"
    return Condition(f"EXISTS ({found})", held.params, costly=held.costly)


def either(connection: Connection, questions: Sequence[Question], others: Sequence[Condition]) -> Filter:
    """That one of `questions` (none `lacking`) is answered with yes."""
    answers = [answered(connection, question, others) for question in questions]
    possible = [all_of(answer.conditions) for answer in answers if not answer.empty]
    return Filter((any_of(possible),)) if possible else NOTHING


def spelled(connection: Connection, column: LiteralString, held: Condition) -> Condition:
    """The condition `held` on `column` of a host (one with few distinct values and an index), by those values.

    They are found by stepping from one to the next through the index.
    """
    first: LiteralString = f"SELECT min(h.{column}) FROM host h WHERE h.{column} <> ''"
    statement: LiteralString = f"""
        WITH RECURSIVE t ({column}) AS (
          ({first}) UNION ALL SELECT ({first} AND h.{column} > t.{column}) FROM t WHERE t.{column} IS NOT NULL)
        SELECT {column} FROM t WHERE {column} IS NOT NULL AND {held.sql} LIMIT %s"""
    with hurried(connection):
        rows = connection.execute(statement, [*held.params, MANY + 1]).fetchall()
    if len(rows) > MANY:
        return held
    return Condition(f"(t.{column} = ANY(%s::text[]) AND t.{column} <> '')", ([row[0] for row in rows],))


def _keys(connection: Connection, table: Table, held: Condition, others: Sequence[Condition], most: int) -> list[Any]:
    """The keys of the rows that satisfy `held`, one more than `most` at most."""
    if not held.costly:
        return _fetch(connection, table, held, most)
    rest = all_of(others)
    if others and expected(connection, rest) <= NARROW:
        among: LiteralString = f"{table.key} IN (SELECT {table.column} FROM endpoint e WHERE {rest.sql})"
        with hurried(connection):
            return _fetch(connection, table, held, MANY, among=Condition(among, rest.params))
    with hurried(connection):
        return _fetch(connection, table, held, MANY)


def _fetch(
    connection: Connection, table: Table, held: Condition, most: int, *, among: Condition | None = None
) -> list[Any]:
    # As text, an address comes back as it went in; psycopg would make objects of it.
    key: LiteralString = "host(t.ip)" if table.kind == "inet" else f"{table.key}::text"
    source: LiteralString = f"{table.name} t"
    if among:  # OFFSET 0 is a fence: the planner may not try `held` before it
        source = f"(SELECT * FROM {table.name} t WHERE {among.sql} OFFSET 0) t"
    statement: LiteralString = f"SELECT {key} FROM {source} WHERE {held.sql} LIMIT %s"
    params = [*(among.params if among else ()), *held.params, most + 1]
    return [row[0] for row in connection.execute(statement, params)]


def expected(connection: Connection, condition: Condition, source: LiteralString = "endpoint e") -> int:
    """How many endpoints the planner expects to satisfy `condition`, which is about `source`."""
    plan = one(
        connection.execute(f"EXPLAIN (FORMAT JSON) SELECT FROM {source} WHERE {condition.sql}", condition.params)
    )
    return int(plan[0][0]["Plan"]["Plan Rows"])


def total(connection: Connection) -> float:
    """How many endpoints there are, open or not, by the planner's count; at least 1."""
    return one(connection.execute("SELECT greatest(reltuples, 1) FROM pg_class WHERE oid = 'endpoint'::regclass"))[0]


@contextlib.contextmanager
def hurried(connection: Connection, *, really: bool = True) -> Generator[None]:
    """Give the statements of the block `PATIENCE_S` each; raises `BadRequest` where that is not enough.

    Not `really`: let them take their time.
    """
    if not really:
        yield
        return
    setting: LiteralString = "SELECT set_config('statement_timeout', %s, true)"
    try:
        with connection.transaction():
            before = one(connection.execute("SELECT current_setting('statement_timeout')"))
            connection.execute(setting, [f"{int(PATIENCE_S * 1000)}ms"])
            yield
            connection.execute(setting, before)
    except psycopg.errors.QueryCanceled as error:
        raise BadRequest(
            f"Looking through all that was said takes longer than {PATIENCE_S:g} s.",
            reason="slow_regex",
            hint="Add a term (a word, net:, port:, service: ...): the regex is then tried on less.",
            field="q",
        ) from error
