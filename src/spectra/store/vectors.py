"""Vectors of texts about weaknesses: which are missing, writing them, their index, and the nearest ones.

An embedder with many vectors has an HNSW index of its own: a partial one over the column cast to its dimensions, so
that vectors of several embedders lie in one table. Its name and definition are made of the embedder's numbers alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, LiteralString, NamedTuple

import psycopg
from psycopg import sql

from spectra.store import embedders
from spectra.store.database import Connection, Database, one
from spectra.store.embedders import Embedder

INDEX_FROM: Final = 10_000
"""Vectors from which on an index is made: below, looking at each takes a few milliseconds and misses none."""
M: Final = 24
EF_CONSTRUCTION: Final = 128
EF_SEARCH: Final = 200
_PRODUCTS: Final = 8  # of a CVE that are part of its text
_LATE: Final = timedelta(hours=1)  # a change may become visible this much after its time
_BUILD_TIMEOUT: Final = "3600s"
_BUILD_MIB: Final = (64, 1024)  # least and most memory of a build
_EXACT_UNTIL: Final = 20_000  # weaknesses that a filter leaves: each is looked at
_SCAN_AT_MOST: Final = 40_000
_SPARE: Final = 50  # more than asked for, to sort them by their true distance

# Of rejected ones there is no vector; one that was rejected since has one that has to go.
_BEHIND: Final[LiteralString] = """
FROM vuln v JOIN vuln_text t ON t.num = v.num
LEFT JOIN vuln_vector x ON x.num = v.num AND x.embedder = %(embedder)s
WHERE v.num > %(after)s AND CASE WHEN x.num IS NULL THEN v.status <> 'rejected' ELSE v.changed > %(since)s END"""

_TEXTS: Final[LiteralString] = """t.title, t.description, t.weaknesses, ARRAY(
  SELECT p.vendor || ' ' || p.product FROM vuln_rule r JOIN product p ON p.id = r.product
  WHERE r.num = v.num ORDER BY r.product LIMIT %(products)s)"""


class Text(NamedTuple):
    """What is said of a weakness: its number, title, description, CWE ids and the first products (`vendor product`).

    `digest` is of the text that its vector was made of, None where it has none.
    """

    num: int
    title: str
    description: str
    weaknesses: list[str]
    products: list[str]
    rejected: bool = False
    digest: bytes | None = None


class Vector(NamedTuple):
    """What is stored of a text: the digest, and the halves (IEEE 754 binary16, big-endian) of its vector."""

    num: int
    digest: bytes
    halves: bytes


class Near(NamedTuple):
    """A weakness and the cosine between its vector and the one that was asked for."""

    num: int
    cosine: float


class Filter(NamedTuple):
    """Which weaknesses may be found. Rejected ones never are."""

    severities: tuple[str, ...] = ()
    kev: bool | None = None
    min_cvss: float | None = None
    without: int | None = None  # a number

    @property
    def narrows(self) -> bool:
        """Whether most may not be found."""
        return bool(self.severities) or self.kev is not None or self.min_cvss is not None

    @property
    def condition(self) -> tuple[LiteralString, dict[str, Any]]:
        """Over `vuln v`, and its parameters."""
        parts: list[LiteralString] = ["v.status <> 'rejected'"]
        if self.severities:
            parts.append("v.severity = ANY(%(severities)s)")
        if self.kev is not None:
            parts.append("v.kev IS NOT NULL" if self.kev else "v.kev IS NULL")
        if self.min_cvss is not None:
            parts.append("v.cvss >= %(min_cvss)s::real")
        if self.without is not None:
            parts.append("v.num <> %(without)s")
        values = {"severities": list(self.severities), "min_cvss": self.min_cvss, "without": self.without}
        return " AND ".join(parts), values


# What is there, and what is missing -----------------------------------------------------------------------------------


def texts(database: Database) -> int:
    """How many weaknesses there are that have a text."""
    with database.connection() as connection:
        return one(connection.execute("SELECT count(*) FROM vuln WHERE status <> 'rejected'"))[0]


def newest_change(database: Database) -> datetime | None:
    """When anything was last learned."""
    with database.connection() as connection:
        return one(connection.execute("SELECT max(changed) FROM vuln"))[0]


def settled(database: Database) -> bool:
    """Whether no feed of weaknesses is being taken in."""
    with database.connection() as connection:
        return not one(connection.execute("SELECT EXISTS (SELECT FROM vuln_source WHERE running <> '')"))[0]


def is_behind(database: Database, embedder: Embedder) -> bool:
    """Whether something changed since the embedder's vectors were last brought up to date, or some are missing."""
    newest = newest_change(database)
    if newest is not None and (embedder.seen is None or newest > embedder.seen):
        return True
    with database.connection() as connection:
        return one(
            connection.execute(
                """SELECT EXISTS (SELECT FROM vuln v WHERE status <> 'rejected'
                   AND NOT EXISTS (SELECT FROM vuln_vector x WHERE x.num = v.num AND x.embedder = %s))""",
                [embedder.id],
            )
        )[0]


def behind(database: Database, embedder: Embedder, *, late: bool = False) -> int:
    """How many texts have no vector, or may have changed since; `late`: also those that `next_texts` looks at again."""
    since = _since(embedder) if late else embedder.seen or "infinity"
    with database.connection() as connection:
        query: LiteralString = f"SELECT count(*) {_BEHIND}"
        return one(connection.execute(query, {"embedder": embedder.id, "after": 0, "since": since}))[0]


def _since(embedder: Embedder) -> datetime | str:
    return embedder.seen - _LATE if embedder.seen else "-infinity"


def next_texts(database: Database, embedder: Embedder, after: int, limit: int) -> list[Text]:
    """The next texts after the number `after` that have no vector or may have changed since, in order."""
    query: LiteralString = (
        f"SELECT v.num, {_TEXTS}, v.status = 'rejected', x.digest {_BEHIND} ORDER BY v.num LIMIT %(limit)s"
    )
    values = {"embedder": embedder.id, "after": after, "since": _since(embedder), "limit": limit}
    with database.connection() as connection:
        rows = connection.execute(query, values | {"products": _PRODUCTS}, binary=True).fetchall()
    return [Text(*row) for row in rows]


def sample(database: Database, size: int, total: int) -> list[Text]:
    """About `size` of `total` texts, spread over all and always the same ones."""
    share = 2**31 if size >= total else int(2**31 * size / total)
    query: LiteralString = (
        f"SELECT v.num, {_TEXTS} FROM vuln v JOIN vuln_text t ON t.num = v.num"
        " WHERE v.status <> 'rejected' AND (hashint4(v.num) & 2147483647) < %(share)s ORDER BY v.num LIMIT %(size)s"
    )
    with database.connection() as connection:
        rows = connection.execute(query, {"share": share, "size": size, "products": _PRODUCTS}, binary=True).fetchall()
    return [Text(*row) for row in rows]


def text_of(connection: Connection, cve: str) -> Text | None:
    """What is said of one weakness; None where it is not known."""
    query: LiteralString = (
        f"SELECT v.num, {_TEXTS}, v.status = 'rejected' FROM vuln v JOIN vuln_text t ON t.num = v.num"
        " WHERE v.cve = %(cve)s"
    )
    row = connection.execute(query, {"cve": cve, "products": _PRODUCTS}).fetchone()
    return Text(*row) if row else None


# Writing --------------------------------------------------------------------------------------------------------------

_COPY: Final = "COPY vuln_vector (embedder, num, digest, embedding) FROM STDIN (FORMAT BINARY)"
_COPY_HEAD: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_END: Final = b"\xff\xff"


def write(database: Database, embedder: Embedder, vectors: Sequence[Vector], gone: Sequence[int] = ()) -> None:
    """Store these vectors in the place of those of the same numbers, and remove those of `gone`: all or nothing.

    Of several writers of the same vectors the last one wins. Vectors of texts that are gone meanwhile are not stored.
    """
    with database.transaction() as connection:
        embedders.lock(connection)
        found = embedders.get(connection, embedder.id)
        if found is None or found.state == "retired":
            return
        nums = [v.num for v in vectors]
        replaced = connection.execute(
            "DELETE FROM vuln_vector WHERE num = ANY(%s) AND embedder = %s", [[*nums, *gone], embedder.id]
        ).rowcount
        held = connection.execute("SELECT num FROM vuln WHERE num = ANY(%s) FOR KEY SHARE", [nums])
        there = {num for (num,) in held}
        kept = [v for v in vectors if v.num in there]
        with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
            copy.write(_COPY_HEAD + b"".join(_row(embedder, v) for v in kept) + _COPY_END)
        connection.execute("UPDATE embedder SET done = done + %s WHERE id = %s", [len(kept) - replaced, embedder.id])


def _row(embedder: Embedder, vector: Vector) -> bytes:
    """A row of PostgreSQL's binary COPY; a halfvec is its dimensions, two bytes of zero, and the halves."""
    number = (b"\0\0\0\4" + embedder.id.to_bytes(4)) + (b"\0\0\0\4" + vector.num.to_bytes(4))
    halves = embedder.dims.to_bytes(2) + b"\0\0" + vector.halves
    return b"\0\4" + number + b"".join(len(p).to_bytes(4) + p for p in (vector.digest, halves))


def count(database: Database, embedder: Embedder, total: int) -> None:
    """Note how many texts there are for the embedder, and how many have a vector."""
    with database.transaction() as connection:
        embedders.lock(connection)
        connection.execute(
            """UPDATE embedder SET total = %s, done = (SELECT count(*) FROM vuln_vector WHERE embedder = %s)
               WHERE id = %s""",
            [total, embedder.id, embedder.id],
        )


# The index ------------------------------------------------------------------------------------------------------------


def build_index(database: Database, embedder: Embedder, *, least: int = INDEX_FROM) -> bool:
    """Make the embedder's index if it has `least` vectors or more and no index yet; returns whether it has one.

    Nobody writes vectors meanwhile, and whoever asks for the nearest does not wait. An index that a process was making
    that is gone is waited for.
    """
    with database.transaction() as connection:
        connection.execute("SELECT set_config('statement_timeout', %s, true)", [_BUILD_TIMEOUT])
        embedders.lock(connection)
        found = embedders.get(connection, embedder.id)
        if found is None or found.state == "retired" or found.indexed:
            return found is not None and found.indexed
        rows = one(connection.execute("SELECT count(*) FROM vuln_vector WHERE embedder = %s", [embedder.id]))[0]
        if rows < least:
            return False
        connection.execute("SELECT set_config('maintenance_work_mem', %s, true)", [_memory(rows, embedder.dims)])
        connection.execute("SET LOCAL client_connection_check_interval = '10s'")
        connection.execute(
            sql.SQL(
                "CREATE INDEX {} ON vuln_vector USING hnsw ((embedding::halfvec({})) halfvec_cosine_ops)"
                " WITH (m = {}, ef_construction = {}) WHERE embedder = {}"
            ).format(
                _index(embedder),
                sql.Literal(embedder.dims),
                sql.Literal(M),
                sql.Literal(EF_CONSTRUCTION),
                sql.Literal(embedder.id),
            )
        )
        connection.execute("UPDATE embedder SET indexed = true WHERE id = %s", [embedder.id])
    return True


def _index(embedder: Embedder) -> sql.Identifier:
    return sql.Identifier(f"vuln_vector_{embedder.id}")


def _memory(rows: int, dims: int) -> str:
    """What a graph of so many vectors takes while it is made: beyond it, building gets much slower."""
    needed = rows * (2 * dims + 2 * M * 24 + 250) >> 20
    return f"{min(max(needed, _BUILD_MIB[0]), _BUILD_MIB[1])}MB"


def drop(database: Database, embedder: Embedder, *, batch: int = 20_000) -> None:
    """Remove the index and all vectors of an embedder that is retired; what stopped midway goes on."""
    with database.connection() as connection:
        connection.execute(sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(_index(embedder)))
        gone = batch
        while gone == batch:
            gone = connection.execute(
                """DELETE FROM vuln_vector WHERE embedder = %s AND num IN
                   (SELECT num FROM vuln_vector WHERE embedder = %s LIMIT %s)""",
                [embedder.id, embedder.id, batch],
            ).rowcount


# The nearest ----------------------------------------------------------------------------------------------------------


def stored(connection: Connection, embedder: Embedder, num: int) -> str | None:
    """The vector of a weakness as text; None where it has none."""
    query = "SELECT embedding::text FROM vuln_vector WHERE num = %s AND embedder = %s"
    row = connection.execute(query, [num, embedder.id]).fetchone()
    return row[0] if row else None


def written(vector: Sequence[float]) -> str:
    """A vector as text."""
    return f"[{','.join(map(repr, vector))}]"


def nearest(
    database: Database,
    embedder: Embedder,
    vector: str,
    k: int,
    *,
    only: Filter = Filter(),  # noqa: B008 - immutable
    ef_search: int = EF_SEARCH,
) -> list[Near]:
    """The `k` (at most 1000) nearest of an embedder's vectors, the nearest first: by its index where it has one.

    With a filter that leaves few, each of those is looked at; else the index is read on until enough are found.
    """
    with database.transaction() as connection:
        if only.narrows and _few(connection, only):
            return _looked_at(connection, embedder, vector, k, only)
        with connection.pipeline():
            connection.execute(
                "SELECT set_config('hnsw.ef_search', %s, true), set_config('hnsw.iterative_scan', %s, true),"
                " set_config('hnsw.max_scan_tuples', %s, true)",
                [str(min(max(ef_search, k), 1000)), "strict_order" if only.narrows else "off", str(_SCAN_AT_MOST)],
            )
            # An index holds rounded vectors: the last few of its order are not quite the nearest.
            return _near(_by_distance(connection, embedder, vector, k + min(k, _SPARE), only))[:k]


def among(database: Database, embedder: Embedder, vector: str, nums: Sequence[int]) -> list[Near]:
    """These weaknesses, the nearest first; without those that have no vector."""
    query = sql.SQL(
        """SELECT num, 1 - (embedding::halfvec({dims}) <=> %s::halfvec({dims})) FROM vuln_vector
           WHERE num = ANY(%s) AND embedder = {embedder}"""
    ).format(dims=sql.Literal(embedder.dims), embedder=sql.Literal(embedder.id))
    with database.connection() as connection:
        return _near(connection.execute(query, [vector, list(nums)]))


def exact(database: Database, embedder: Embedder, vector: str, k: int) -> list[Near]:
    """The `k` nearest, by looking at every vector: what `nearest` is measured against."""
    with database.transaction() as connection:
        connection.execute("SET LOCAL enable_indexscan = off")
        return _near(_by_distance(connection, embedder, vector, k, Filter()))


def _by_distance(
    connection: Connection, embedder: Embedder, vector: str, k: int, only: Filter
) -> psycopg.Cursor[tuple[Any, ...]]:
    """Without a filter nothing but vectors is read, so that the index alone decides what is."""
    condition, values = only.condition
    where = sql.SQL("EXISTS (SELECT FROM vuln v WHERE v.num = x.num AND {})").format(sql.SQL(condition))
    if not only.narrows:
        where = sql.SQL("true") if only.without is None else sql.SQL("x.num <> %(without)s")
    query = sql.SQL(
        """SELECT x.num, 1 - (x.embedding::halfvec({dims}) <=> %(vector)s::halfvec({dims})) FROM vuln_vector x
           WHERE x.embedder = {embedder} AND {where}
           ORDER BY x.embedding::halfvec({dims}) <=> %(vector)s::halfvec({dims}) LIMIT %(k)s"""
    ).format(dims=sql.Literal(embedder.dims), embedder=sql.Literal(embedder.id), where=where)
    return connection.execute(query, values | {"vector": vector, "k": k})


def _few(connection: Connection, only: Filter) -> bool:
    condition, values = only.condition
    query: LiteralString = f"SELECT count(*) FROM (SELECT FROM vuln v WHERE {condition} LIMIT %(few)s) found"
    return one(connection.execute(query, values | {"few": _EXACT_UNTIL}))[0] < _EXACT_UNTIL


def _looked_at(connection: Connection, embedder: Embedder, vector: str, k: int, only: Filter) -> list[Near]:
    condition, values = only.condition
    query = sql.SQL(
        """WITH allowed AS MATERIALIZED (SELECT v.num FROM vuln v WHERE {where}),
           distances AS MATERIALIZED (
             SELECT x.num, x.embedding::halfvec({dims}) <=> %(vector)s::halfvec({dims}) AS away
             FROM allowed a JOIN vuln_vector x ON x.num = a.num AND x.embedder = {embedder})
           SELECT num, 1 - away FROM distances ORDER BY away, num LIMIT %(k)s"""
    ).format(dims=sql.Literal(embedder.dims), embedder=sql.Literal(embedder.id), where=sql.SQL(condition))
    return _near(connection.execute(query, values | {"vector": vector, "k": k}))


def _near(rows: psycopg.Cursor[tuple[Any, ...]]) -> list[Near]:
    """The nearest first, as an index that holds rounded vectors does not have them quite. Without those whose texts say
    nothing: their cosine is no number.
    """
    found = [Near(num, cosine) for num, cosine in rows if not math.isnan(cosine)]
    return sorted(found, key=lambda near: (-near.cosine, near.num))
