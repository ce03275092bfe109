"""VEX documents that were read: which version of each its decisions are of.

A document is registered before any of its decisions is made, so that an older one never overwrites a newer; each
further transaction of its import looks whether it is still the newest. Killed in between, it is read again from the
start: what it decided before is no change then.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any, Final, NamedTuple

from spectra.errors import BadRequest
from spectra.model.vex import Format
from spectra.store.database import Connection, Database, one
from spectra.store.provenance import Entry, commit

_COLUMNS: Final = "id, format, author, version, issued, sha256, imported, by"


class Source(NamedTuple):
    """A document: what it calls itself, its version and time, and the SHA-256 of its bytes."""

    id: str
    format: Format
    author: str
    version: int
    issued: datetime | None
    sha256: bytes

    @property
    def age(self) -> tuple[int, float]:
        """What is greater is later: the version first, then the time."""
        return self.version, self.issued.timestamp() if self.issued else 0.0


def register(database: Database, source: Source, *, by: str, now: datetime) -> None:
    """Make this the version of the document that counts. `BadRequest` where a later one was read before."""

    def work(connection: Connection) -> tuple[None, list[Entry]]:
        connection.execute("LOCK TABLE vex_document IN SHARE ROW EXCLUSIVE MODE")
        row = connection.execute(f"SELECT {_COLUMNS} FROM vex_document WHERE id = %s", [source.id]).fetchone()
        if row is not None:
            ident, kind, author, version, issued, sha256, imported, _ = row
            known = Source(ident, kind, author, version, issued, bytes(sha256))
            if known == source:
                return None, []
            if known.age > source.age:
                raise _older(known, imported)
        connection.execute(
            f"""INSERT INTO vex_document ({_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
                ON CONFLICT (id) DO UPDATE SET format = excluded.format, author = excluded.author,
                  version = excluded.version, issued = excluded.issued, sha256 = excluded.sha256,
                  imported = excluded.imported, by = excluded.by""",
            [*source, now, by],
        )
        row = one(connection.execute(f"SELECT {_COLUMNS} FROM vex_document WHERE id = %s", [source.id]))
        return None, [Entry("vex.imported", subject_of(source.id), _told(row), now)]

    commit(database, work)


def require_newest(connection: Connection, source: Source) -> None:
    """Raises `BadRequest` unless this version of the document still counts; it does until the transaction ends."""
    row = connection.execute("SELECT sha256 FROM vex_document WHERE id = %s FOR SHARE", [source.id]).fetchone()
    if row is None or bytes(row[0]) != source.sha256:
        raise BadRequest(
            "Another version of this document was read meanwhile.",
            reason="vex_superseded",
            hint="Its decisions stand; read this one again if it is the later one.",
        )


def subject_of(ident: str) -> str:
    """What the chain calls a document: the SHA-256 of its id, which may be long."""
    return hashlib.sha256(ident.encode()).hexdigest()


def details(database: Database) -> dict[str, dict[str, object]]:
    """What the newest provenance entry of each document has to say, by its subject: as the rows are now."""
    with database.connection() as connection:
        return {subject_of(row[0]): _told(row) for row in connection.execute(f"SELECT {_COLUMNS} FROM vex_document")}


def _told(row: tuple[Any, ...]) -> dict[str, object]:
    ident, kind, author, version, issued, sha256, imported, by = row
    return {
        "document": ident,
        "format": kind,
        "author": author,
        "version": version,
        "issued": issued,
        "sha256": bytes(sha256).hex(),
        "imported": imported,
        "by": by,
    }


def _older(known: Source, imported: datetime) -> BadRequest:
    of = f" of {known.issued:%Y-%m-%d %H:%M} UTC" if known.issued else ""
    return BadRequest(
        f"Version {known.version}{of} of this document was read at {imported:%Y-%m-%d %H:%M} UTC; this one is older.",
        reason="vex_older",
        field="version",
        hint="Raise its version, or its timestamp, if it says what holds now.",
    )
