"""Feeds and feed sets: which versions of which feeds are in use, and which set of them each host rests on."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from spectra.errors import NotFound
from spectra.model.envelope import canonical
from spectra.model.feeds import FeedSet, FeedVersion, public_source
from spectra.store.database import Connection, Database, one
from spectra.store.rows import encode

_LOCK: Final = 0x5EC7_0005


class Version(msgspec.Struct, frozen=True):
    """One version of a feed. `sha256` (of the original) and `compiled` (the table in the blob store) are hex."""

    source: str
    kind: str
    format: str
    provider: str
    version: str
    sha256: str
    size: int
    networks: int
    compiled: str
    updated: datetime
    taken_by: str
    built: datetime | None = None


class Feed(NamedTuple):
    """A feed: the version in use, the one before, and how the last attempt to get another went."""

    name: str
    held: Version
    previous: Version | None
    checked: datetime
    error: str
    etag: str
    modified: str
    lease: datetime | None


class Validators(NamedTuple):
    """What a server said by which it can tell later whether it has something new (RFC 9110 section 8.8)."""

    etag: str = ""
    modified: str = ""


class Current(NamedTuple):
    """The newest feed set (0: none) and the compiled table (hex) of each feed in it, by name."""

    feed_set: int
    compiled: dict[str, str]


_FIELDS: Final = "source, kind, format, provider, version, sha256, size, networks, compiled, updated, taken_by, built"
_SELECT = f"SELECT name, {_FIELDS}, previous, checked, error, etag, modified, lease FROM feed"


def lock(connection: Connection) -> None:
    """Until the transaction ends, nobody else changes a feed: a set is made of all of them."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


def find(connection: Connection, name: str) -> Feed | None:
    """The feed of this name."""
    row = connection.execute(f"{_SELECT} WHERE name = %s", [name]).fetchone()
    return _feed(row) if row else None


def get(connection: Connection, name: str) -> Feed:
    """The feed of this name; raises `NotFound`."""
    found = find(connection, name)
    if found is None:
        raise NotFound(f"There is no feed {name[:80]}.", hint="`spectra feeds status` shows all.")
    return found


def every(database: Database) -> list[Feed]:
    """All feeds by name."""
    with database.connection() as connection:
        return [_feed(row) for row in connection.execute(f"{_SELECT} ORDER BY name")]


def current(connection: Connection) -> Current:
    """What new hosts are to be looked up in, in one statement so that it is of one moment."""
    feed_set, compiled = one(
        connection.execute(
            """SELECT (SELECT coalesce(max(id), 0) FROM feed_set),
                      (SELECT coalesce(json_object_agg(name, encode(compiled, 'hex') ORDER BY name), '{}') FROM feed)"""
        )
    )
    return Current(feed_set, compiled)


def take(connection: Connection, name: str, new: Version, validators: Validators) -> None:
    """Put `new` in use; what was in use becomes the version before."""
    connection.execute(
        f"""INSERT INTO feed AS f (name, {_FIELDS}, checked, etag, modified)
            VALUES (%(name)s, {_VALUES}, %(updated)s, %(etag)s, %(modified)s)
            ON CONFLICT (name) DO UPDATE SET
              previous = %(previous)s, checked = excluded.checked, error = '', etag = excluded.etag,
              modified = excluded.modified, lease = NULL, {_REPLACED}""",
        _parameters(connection, name, new) | validators._asdict(),
    )


def swap(connection: Connection, name: str, new: Version) -> None:
    """Put `new`, an earlier version, in use again; what was in use becomes the version before.

    The server's validators stay: what was just turned down is not to be fetched again.
    """
    connection.execute(
        f"""UPDATE feed AS f SET (name, {_FIELDS}, previous) = (%(name)s, {_VALUES}, %(previous)s)
            WHERE name = %(name)s""",
        _parameters(connection, name, new),
    )


_VALUES: Final = """%(source)s, %(kind)s, %(format)s, %(provider)s, %(version)s, decode(%(sha256)s, 'hex'), %(size)s,
  %(networks)s, decode(%(compiled)s, 'hex'), %(updated)s, %(taken_by)s, %(built)s"""
_REPLACED: Final = ", ".join(f"{field} = excluded.{field}" for field in _FIELDS.split(", "))


def _parameters(connection: Connection, name: str, new: Version) -> dict[str, Any]:
    old = find(connection, name)
    previous = encode(old.held).decode() if old else None
    return {"name": name, "previous": previous, **msgspec.structs.asdict(new)}


def remove(connection: Connection, name: str) -> None:
    """Forget a feed."""
    connection.execute("DELETE FROM feed WHERE name = %s", [name])


def new_set(connection: Connection, now: datetime) -> int:
    """Make the versions now in use the current set; returns its number.

    Versions that come again make a new set, too, so that a host that rests on a higher number never rests on older
    knowledge. The caller holds the lock.
    """
    rows = connection.execute("SELECT name, version, encode(sha256, 'hex'), updated FROM feed ORDER BY name")
    feeds = {name: {"version": v, "sha256": sha256, "updated": at} for name, v, sha256, at in rows}
    after = current(connection).feed_set
    digest = hashlib.sha256(canonical({"after": after, "created": now, "feeds": feeds})).digest()
    row = one(
        connection.execute(
            "INSERT INTO feed_set (digest, feeds, created) VALUES (%s, %s, %s) RETURNING id",
            [digest, encode(feeds).decode(), now],
        )
    )
    return row[0]


def note_attempt(database: Database, name: str, now: datetime, error: str = "") -> None:
    """Another version was looked for and there is none, or it could not be taken: `error` says why."""
    with database.connection() as connection:
        connection.execute(
            "UPDATE feed SET checked = %s, error = %s, lease = NULL WHERE name = %s", [now, error[:1000], name]
        )


def claim(database: Database, feed: Feed, now: datetime, until: datetime) -> bool:
    """Whether the caller is the one coordinator to look for another version of `feed`, as it was read."""
    with database.connection() as connection:
        done = connection.execute(
            "UPDATE feed SET lease = %s WHERE name = %s AND checked = %s AND (lease IS NULL OR lease < %s)",
            [until, feed.name, feed.checked, now],
        )
    return done.rowcount == 1


def is_used(connection: Connection, compiled: str) -> bool:
    """Whether any feed has this table in use or as the version before."""
    query = (
        "SELECT EXISTS (SELECT FROM feed WHERE compiled = decode(%(hex)s, 'hex') OR previous->>'compiled' = %(hex)s)"
    )
    return one(connection.execute(query, {"hex": compiled}))[0]


def hosts_by_set(database: Database) -> dict[int, int]:
    """How many hosts rest on each feed set; 0 stands for those that were never looked up. Reads every host."""
    with database.connection() as connection:
        return dict(connection.execute("SELECT coalesce(feeds, 0), count(*) FROM host GROUP BY 1").fetchall())


def sets(database: Database, ids: Collection[int]) -> dict[int, FeedSet]:
    """The feed sets of these numbers, as far as they exist."""
    with database.connection() as connection:
        rows = connection.execute("SELECT id, created, feeds FROM feed_set WHERE id = ANY(%s)", [list(ids)]).fetchall()
    return {row[0]: FeedSet(row[0], row[1], msgspec.convert(row[2], dict[str, FeedVersion])) for row in rows}


def subject(name: str) -> str:
    """What the chain's entries about a feed are about."""
    return f"feed:{name}"


def details(database: Database) -> dict[str, dict[str, object]]:
    """What the newest provenance entry of each feed has to say, by its subject: as the rows are now."""
    return {subject(feed.name): detail(feed.name, feed.held) for feed in every(database)}


def detail(name: str, held: Version) -> dict[str, object]:
    """What provenance keeps of a feed. Chains are for ever, so nothing in it may be secret."""
    return {"name": name, **msgspec.structs.asdict(held), "source": public_source(held.source)}


def _feed(row: tuple[Any, ...]) -> Feed:
    name, *fields, previous, checked, error, etag, modified, lease = row
    told = dict(zip(_FIELDS.split(", "), fields, strict=True))
    held = Version(**told | {"sha256": told["sha256"].hex(), "compiled": told["compiled"].hex()})
    before = msgspec.convert(previous, Version) if previous else None
    return Feed(name, held, before, checked, error, etag, modified, lease)
