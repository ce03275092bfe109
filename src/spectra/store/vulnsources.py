"""The feeds of weaknesses that this node keeps, and how much of all CVEs each kind of them covers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from spectra.errors import NotFound
from spectra.model.vulnfeeds import NVD_API, Unread, VulnTotals
from spectra.store.database import Connection, Database, one
from spectra.store.feeds import Validators
from spectra.store.rows import encode


class Source(NamedTuple):
    """A feed: what was last taken of it (`sha256` hex), and how the last attempt to get more went."""

    name: str
    kind: str
    source: str
    version: str
    built: datetime | None
    sha256: str
    size: int
    records: int
    unread: Unread
    updated: datetime | None
    taken_by: str
    checked: datetime
    error: str
    etag: str
    modified: str
    since: datetime | None
    running: str
    lease: datetime | None

    @property
    def tells(self) -> str:
        """The source that its records are of."""
        return record_source(self.kind)


class Taken(NamedTuple):
    """What was taken in whole."""

    kind: str
    version: str = ""
    built: datetime | None = None
    sha256: str = ""
    size: int = 0
    records: int = 0
    by: str = ""
    validators: Validators = Validators()
    since: datetime | None = None


class Coverage(NamedTuple):
    """Of how many CVEs a source tells, with what is affected, and with a CVSS score."""

    cves: int = 0
    configured: int = 0
    scored: int = 0


_COLUMNS: Final = """name, kind, source, version, built, coalesce(encode(sha256, 'hex'), ''), size, records, problems,
  updated, taken_by, checked, error, etag, modified, since, running, lease"""


def record_source(kind: str) -> str:
    """The source (model/vulns.py SOURCES) of the records in feeds of this kind; the kind itself for scores."""
    return "nvd" if kind == NVD_API else kind


def every(database: Database) -> list[Source]:
    """All feeds by name."""
    with database.connection() as connection:
        return [_source(row) for row in connection.execute(f"SELECT {_COLUMNS} FROM vuln_source ORDER BY name")]


def find(connection: Connection, name: str) -> Source | None:
    """The feed of this name."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM vuln_source WHERE name = %s", [name]).fetchone()
    return _source(row) if row else None


def get(connection: Connection, name: str) -> Source:
    """The feed of this name; raises `NotFound`."""
    found = find(connection, name)
    if found is None:
        raise NotFound(f"There is no feed of weaknesses {name[:80]}.", hint="`spectra feeds status` shows all.")
    return found


def _source(row: tuple[Any, ...]) -> Source:
    told = list(row)
    told[8] = msgspec.json.decode(told[8], type=Unread)
    return Source(*told)


def expect(connection: Connection, name: str, kind: str, source: str, now: datetime) -> None:
    """There is to be a feed of this name, from `source`. What a server said of another source is forgotten."""
    connection.execute(
        """INSERT INTO vuln_source AS s (name, kind, source, checked) VALUES (%s, %s, %s, %s)
           ON CONFLICT (name) DO UPDATE SET source = excluded.source,
             etag = CASE WHEN s.source = excluded.source THEN s.etag ELSE '' END,
             modified = CASE WHEN s.source = excluded.source THEN s.modified ELSE '' END,
             kind = CASE WHEN excluded.kind = '' THEN s.kind ELSE excluded.kind END""",
        [name, kind, source, now],
    )


def begin(connection: Connection, name: str, workflow_id: str) -> None:
    """A workflow is at this feed."""
    connection.execute("UPDATE vuln_source SET running = %s WHERE name = %s", [workflow_id, name])


def finish(connection: Connection, name: str, taken: Taken, unread: Unread, now: datetime) -> None:
    """The feed was taken in whole."""
    connection.execute(
        """UPDATE vuln_source SET kind = %(kind)s, version = %(version)s, built = %(built)s,
             sha256 = decode(nullif(%(sha256)s, ''), 'hex'), size = %(size)s, records = %(records)s,
             problems = %(unread)s, updated = %(now)s, checked = %(now)s, taken_by = %(by)s, error = '',
             etag = %(etag)s, modified = %(seen)s, since = coalesce(%(since)s, since), running = '', lease = NULL
           WHERE name = %(name)s""",
        {
            "name": name,
            "now": now,
            "unread": _json(unread),
            "etag": taken.validators.etag,
            "seen": taken.validators.modified,
            **{k: v for k, v in taken._asdict().items() if k != "validators"},
        },
    )


def attempted(connection: Connection, name: str, now: datetime, error: str = "", unread: Unread | None = None) -> None:
    """More was looked for and there is none, or it could not be taken: `error` says why. What was taken stays."""
    connection.execute(
        """UPDATE vuln_source SET checked = %s, error = %s, problems = coalesce(%s, problems), running = '',
             lease = NULL WHERE name = %s""",
        [now, error[:1000].replace("\x00", ""), None if unread is None else _json(unread), name],
    )


def refuse(connection: Connection, name: str, now: datetime, error: str) -> None:
    """A file came that is not taken; whatever workflow is at the feed goes on."""
    connection.execute(
        "UPDATE vuln_source SET checked = %s, error = %s WHERE name = %s",
        [now, error[:1000].replace("\x00", ""), name],
    )


def _json(unread: Unread) -> str:
    return encode(unread).decode()


def claim(database: Database, source: Source, now: datetime, until: datetime) -> bool:
    """Whether the caller is the one coordinator to look for more of `source`, as it was read."""
    with database.connection() as connection:
        done = connection.execute(
            "UPDATE vuln_source SET lease = %s WHERE name = %s AND checked = %s AND (lease IS NULL OR lease < %s)",
            [until, source.name, source.checked, now],
        )
    return done.rowcount == 1


def remove(connection: Connection, name: str) -> None:
    """Forget a feed."""
    connection.execute("DELETE FROM vuln_source WHERE name = %s", [name])


def built(connection: Connection, kind: str) -> datetime | None:
    """The newest time that a file of this kind, taken by whatever feed, said it was made."""
    return one(connection.execute("SELECT max(built) FROM vuln_source WHERE kind = %s", [kind]))[0]


def date(connection: Connection, name: str, kind: str, at: datetime | None) -> None:
    """What is held of this kind is of this time now, in the transaction that replaces it."""
    connection.execute("UPDATE vuln_source SET kind = %s, built = %s WHERE name = %s", [kind, at, name])


def others_of(connection: Connection, source: Source) -> bool:
    """Whether another feed tells what this one does."""
    names = connection.execute("SELECT kind FROM vuln_source WHERE name <> %s", [source.name]).fetchall()
    return any(record_source(kind) == source.tells for (kind,) in names)


def coverage(database: Database) -> Mapping[str, Coverage]:
    """How much each source of records tells, by its name; entries of the catalogue and the scores as `cves`."""
    with database.connection() as connection:
        rows = connection.execute(
            """SELECT source, count(*), count(*) FILTER (WHERE configured), count(*) FILTER (WHERE scored)
               FROM vuln_record GROUP BY source"""
        )
        found = {source: Coverage(*counts) for source, *counts in rows}
        kev, epss = one(connection.execute("SELECT (SELECT count(*) FROM kev), (SELECT count(*) FROM epss)"))
    return found | {"kev": Coverage(kev), "epss": Coverage(epss)}


def totals(database: Database) -> VulnTotals:
    """The whole corpus, counted."""
    with database.connection() as connection:
        row = one(
            connection.execute(
                """SELECT count(*), count(*) FILTER (WHERE status = 'rejected'),
                          count(*) FILTER (WHERE configured <> ''), count(cvss), count(epss), count(kev),
                          (SELECT count(*) FROM product WHERE vulns > 0) FROM vuln"""
            )
        )
    return VulnTotals(*row)
