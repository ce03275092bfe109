"""What makes vectors: one embedder answers, another may be filled to take its place, the rest are past."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, LiteralString, NamedTuple

from psycopg.rows import class_row

from spectra.model.similar import EmbedderKind, EmbedderRecord
from spectra.store.database import Connection, Database, one

LOCK: Final = 0x5EC7_0014

_COLUMNS: Final[LiteralString] = (
    "id, kind, model, place, dims, blob, texts, state, total, done, indexed, seen, created, ready"
)


class Embedder(NamedTuple):
    """A row: see the schema. `blob` is the SHA-256 of a learned model."""

    id: int
    kind: EmbedderKind
    model: str
    place: str
    dims: int
    blob: bytes | None
    texts: int
    state: str
    total: int
    done: int
    indexed: bool
    seen: datetime | None
    created: datetime
    ready: datetime | None

    @property
    def record(self) -> EmbedderRecord:
        """As the API tells it."""
        told: dict[str, Any] = self._asdict()
        return EmbedderRecord(**{name: told[name] for name in EmbedderRecord.__struct_fields__})


def lock(connection: Connection) -> None:
    """Until the transaction ends, nobody else makes, fills, indexes or replaces an embedder."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])


def current(connection: Connection) -> tuple[Embedder | None, Embedder | None]:
    """The embedder that answers, and the one being filled."""
    found = {e.state: e for e in _rows(connection, "state IN ('ready', 'filling')")}
    return found.get("ready"), found.get("filling")


def get(connection: Connection, number: int) -> Embedder | None:
    """The embedder of this id."""
    return next(iter(_rows(connection, "id = %s", number)), None)


def retired(connection: Connection) -> list[Embedder]:
    """Those that had their time and of which something is left: see `forget`."""
    return _rows(connection, "state = 'retired' AND (indexed OR done > 0 OR blob IS NOT NULL)")


def _rows(connection: Connection, condition: LiteralString, *values: Any) -> list[Embedder]:
    with connection.cursor(row_factory=class_row(Embedder)) as cursor:
        return cursor.execute(f"SELECT {_COLUMNS} FROM embedder WHERE {condition} ORDER BY id", values).fetchall()


def begin(
    connection: Connection,
    *,
    kind: EmbedderKind,
    model: str,
    place: str,
    dims: int,
    blob: bytes | None,
    texts: int,
    now: datetime,
) -> int:
    """A new embedder to be filled, in the place of any other that is; returns its id. Within `lock`."""
    connection.execute("UPDATE embedder SET state = 'retired' WHERE state = 'filling'")
    return one(
        connection.execute(
            """INSERT INTO embedder (kind, model, place, dims, blob, texts, state, created)
               VALUES (%s, %s, %s, %s, %s, %s, 'filling', %s) RETURNING id""",
            [kind, model, place, dims, blob, texts, now],
        )
    )[0]


def retire(connection: Connection, number: int) -> None:
    """Give an embedder up that was being filled. Within `lock`."""
    connection.execute("UPDATE embedder SET state = 'retired' WHERE id = %s AND state = 'filling'", [number])


def forget(database: Database, number: int) -> None:
    """Note that nothing is left of an embedder that is retired: no index, no vector, no model."""
    with database.transaction() as connection:
        connection.execute(
            "UPDATE embedder SET indexed = false, done = 0, blob = NULL WHERE id = %s AND state = 'retired'", [number]
        )


def switch(database: Database, number: int, seen: datetime | None, now: datetime) -> None:
    """Have the embedder answer from now on; what answered before is retired. All changes until `seen` are in it."""
    with database.transaction() as connection:
        lock(connection)
        found = get(connection, number)
        if found is None or found.state == "retired":
            return
        if found.state == "filling":
            connection.execute("UPDATE embedder SET state = 'retired' WHERE state = 'ready'")
        connection.execute(
            """UPDATE embedder SET state = 'ready', ready = coalesce(ready, %s), seen = greatest(seen, %s),
               total = (SELECT count(*) FROM vuln WHERE status <> 'rejected'),
               done = (SELECT count(*) FROM vuln_vector WHERE embedder = %s) WHERE id = %s""",
            [now, seen, number, number],
        )


def is_used(connection: Connection, blob: bytes) -> bool:
    """Whether an embedder that is not retired has this model."""
    query = "SELECT EXISTS (SELECT FROM embedder WHERE blob = %s AND state <> 'retired')"
    return one(connection.execute(query, [blob]))[0]
