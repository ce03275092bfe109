"""The roots of the built-in CA. Every change of them is an entry of the provenance chain; the keys are never here."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Literal, LiteralString, NamedTuple

from spectra.errors import NotFound
from spectra.store.accounts import Act
from spectra.store.database import Connection, Database, one
from spectra.store.provenance import Entry, commit

_SELECT: Final = "SELECT fingerprint, mesh, pem, intermediate, created, retired, by FROM ca_root"


class Root(NamedTuple):
    """A root certificate. `intermediate` is the fingerprint of the certificate that signs now."""

    fingerprint: str
    mesh: str
    pem: str
    intermediate: str


def add(database: Database, root: Root, act: Act, kind: Literal["created", "rotated"] = "created") -> None:
    """Record a root that is trusted from now on; one that is known stays as it is."""

    def work(connection: Connection) -> tuple[None, list[Entry]]:
        added = connection.execute(
            "INSERT INTO ca_root (fingerprint, mesh, pem, intermediate, created, by) VALUES (%s, %s, %s, %s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            [*root, act.now, act.by],
        ).rowcount
        return None, [_entry(connection, f"ca.{kind}", root.fingerprint, act.now)] if added else []

    commit(database, work)


def intermediate(database: Database, fingerprint: str, signs: str, act: Act) -> None:
    """Record that under this root the certificate `signs` (a fingerprint) signs from now on. Raises `NotFound`."""
    _change(database, fingerprint, "intermediate", signs, act)


def retire(database: Database, fingerprint: str, act: Act) -> None:
    """Record that a root is not trusted any more; one that is retired stays so. Raises `NotFound`."""
    _change(database, fingerprint, "retired", act.now, act)


_CHANGES: Final[dict[str, tuple[str, LiteralString, LiteralString]]] = {
    "intermediate": ("ca.renewed", "intermediate = %(what)s", "intermediate <> %(what)s"),
    "retired": ("ca.retired", "retired = %(what)s", "retired IS NULL"),
}


def _change(database: Database, fingerprint: str, column: str, value: object, act: Act) -> None:
    kind, what, where = _CHANGES[column]

    def work(connection: Connection) -> tuple[None, list[Entry]]:
        found = connection.execute("SELECT FROM ca_root WHERE fingerprint = %s FOR UPDATE", [fingerprint])
        if not found.rowcount:
            raise NotFound(f"There is no root {fingerprint[:16]}.", reason="unknown_root")
        changed = connection.execute(
            f"UPDATE ca_root SET {what}, by = %(by)s WHERE fingerprint = %(fingerprint)s AND {where}",
            {"what": value, "by": act.by, "fingerprint": fingerprint},
        ).rowcount
        return None, [_entry(connection, kind, fingerprint, act.now)] if changed else []

    commit(database, work)


def every(database: Database) -> tuple[Root, ...]:
    """The roots that are trusted, the newest first."""
    with database.connection() as connection:
        rows = connection.execute(
            "SELECT fingerprint, mesh, pem, intermediate FROM ca_root WHERE retired IS NULL"
            " ORDER BY created DESC, fingerprint"
        ).fetchall()
    return tuple(Root(*row) for row in rows)


def details(database: Database) -> dict[str, dict[str, object]]:
    """What the newest provenance entry of each root has to say, by its subject: as the rows are now."""
    with database.connection() as connection:
        return {_subject(row[0]): _told(row) for row in connection.execute(_SELECT)}


def _subject(fingerprint: str) -> str:
    return f"ca:{fingerprint}"


def _entry(connection: Connection, kind: str, fingerprint: str, now: datetime) -> Entry:
    row = one(connection.execute(f"{_SELECT} WHERE fingerprint = %s", [fingerprint]))
    return Entry(kind, _subject(fingerprint), _told(row), now)


def _told(row: tuple[Any, ...]) -> dict[str, object]:
    fingerprint, mesh, pem, signs, created, retired, by = row
    return {
        "fingerprint": fingerprint,
        "mesh": mesh,
        "pem": pem,
        "intermediate": signs,
        "created": created,
        "retired": retired,
        "by": by,
    }
