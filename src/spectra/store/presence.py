"""What is heard from nodes: heartbeats and changes of presence, a batch in one statement.

None of it is put on record, and none waits for the disk: the next heartbeat says it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import msgspec
from psycopg.types.json import Jsonb

from spectra.model.nodes import Capabilities, Load, Presence, Standing, Transport
from spectra.store.database import Connection, Database

_BEATS: Final = """
INSERT INTO node_beat (node, at, cpu, memory_free_mb, tasks, skew_s)
SELECT h.* FROM unnest(%s::text[], %s::timestamptz[], %s::float8[], %s::int8[], %s::int8[], %s::float8[])
  AS h (node, at, cpu, memory_free_mb, tasks, skew_s)
JOIN node n ON n.name = h.node AND n.standing <> 'revoked' ORDER BY h.node
ON CONFLICT (node) DO UPDATE SET at = excluded.at, cpu = excluded.cpu, memory_free_mb = excluded.memory_free_mb,
  tasks = excluded.tasks, skew_s = excluded.skew_s
WHERE node_beat.at <= excluded.at"""
_ABILITIES: Final = """
INSERT INTO node_presence AS p (node, presence, transport, capabilities)
SELECT h.node, 'never', h.transport, h.capabilities
FROM unnest(%s::text[], %s::text[], %s::jsonb[]) AS h (node, transport, capabilities)
JOIN node n ON n.name = h.node AND n.standing <> 'revoked' ORDER BY h.node
ON CONFLICT (node) DO UPDATE SET transport = coalesce(excluded.transport, p.transport),
  capabilities = coalesce(excluded.capabilities, p.capabilities)
WHERE (p.transport, p.capabilities) IS DISTINCT FROM
  (coalesce(excluded.transport, p.transport), coalesce(excluded.capabilities, p.capabilities))"""
# Who takes a node for lost has to have heard it last: another coordinator may hear it still.
_PRESENCE: Final = """
WITH said AS (
  SELECT h.*, greatest(p.last_seen, b.at) AS heard, coalesce(p.presence, 'never') AS before,
         h.presence NOT IN ('suspect', 'dead') OR greatest(p.last_seen, b.at) IS NULL
           OR coalesce(greatest(p.last_seen, b.at) <= h.at, false) AS holds
  FROM unnest(%s::text[], %s::text[], %s::timestamptz[]) AS h (node, presence, at)
  JOIN node n ON n.name = h.node AND (n.standing <> 'revoked' OR h.presence NOT IN ('never', 'alive'))
  LEFT JOIN node_presence p ON p.node = h.node LEFT JOIN node_beat b ON b.node = h.node),
written AS (
  INSERT INTO node_presence AS p (node, presence, last_seen)
  SELECT node, presence, greatest(at, heard) FROM said WHERE holds ORDER BY node
  ON CONFLICT (node) DO UPDATE SET presence = excluded.presence, last_seen = excluded.last_seen
  WHERE (p.presence, p.last_seen) IS DISTINCT FROM (excluded.presence, excluded.last_seen))
SELECT node, before, heard FROM said WHERE NOT holds ORDER BY node"""


class Beat(NamedTuple):
    """A heartbeat heard at `at` by our clock; `skew_s` is the node's clock less ours. What is None stays as it was."""

    name: str
    at: datetime
    load: Load
    skew_s: float | None = None
    capabilities: Capabilities | None = None
    transport: Transport | None = None


class Seen(NamedTuple):
    """What a coordinator makes of a node that it heard last at `at`; None: never."""

    name: str
    presence: Presence
    at: datetime | None


class Known(NamedTuple):
    """What is stored of a node's presence."""

    name: str
    standing: Standing
    presence: Presence
    last_seen: datetime | None


def heartbeats(database: Database, beats: Sequence[Beat]) -> None:
    """Take in what was heard; of two from one node the later counts. Unknown and revoked names are left out."""
    newest = _newest(beats)
    if not newest:
        return
    told = [_told(told) for told in _abilities(beats)]
    with database.transaction() as connection:
        connection.execute("SET LOCAL synchronous_commit = off")
        connection.execute(
            _BEATS,
            _columns((b.name, b.at, float(b.load.cpu), b.load.memory_free_mb, b.load.tasks, b.skew_s) for b in newest),
        )
        if told:
            connection.execute(_ABILITIES, _columns(told))


def set_presence(database: Database, changes: Sequence[Seen]) -> tuple[Seen, ...]:
    """Take in what became of nodes, of two changes of one node the last. Unknown names are left out, and revoked ones
    that are said to be there.

    Nobody is made `suspect` or `dead` whom another coordinator heard later than we: those are returned as they are
    stored, with when they were heard.
    """
    if not changes:
        return ()
    last = {seen.name: seen for seen in changes}
    with database.transaction() as connection:
        connection.execute("SET LOCAL synchronous_commit = off")
        return tuple(Seen(*row) for row in connection.execute(_PRESENCE, _columns(last.values())))


def every(database: Database) -> tuple[Known, ...]:
    """All nodes that ever joined, by name, also the revoked."""
    with database.connection() as connection:
        rows = connection.execute(
            "SELECT n.name, n.standing, coalesce(p.presence, 'never'), greatest(b.at, p.last_seen) FROM node n"
            " LEFT JOIN node_presence p ON p.node = n.name LEFT JOIN node_beat b ON b.node = n.name"
            " WHERE n.standing <> 'invited' ORDER BY n.name"
        ).fetchall()
    return tuple(Known(*row) for row in rows)


def put_capabilities(connection: Connection, name: str, capabilities: Capabilities, transport: Transport) -> None:
    """What a node says of itself when it joins."""
    connection.execute(_ABILITIES, _columns([(name, transport, Jsonb(msgspec.to_builtins(capabilities)))]))


def _newest(beats: Sequence[Beat]) -> list[Beat]:
    """The last of each node: a statement may touch a row once."""
    return list({beat.name: beat for beat in sorted(beats, key=lambda beat: beat.at)}.values())


def _abilities(beats: Sequence[Beat]) -> list[Beat]:
    """What each node said last of its abilities and its link, whichever of its heartbeats said it."""
    found: dict[str, Beat] = {}
    for beat in sorted(beats, key=lambda one: one.at):
        if beat.capabilities is not None or beat.transport is not None:
            before = found.get(beat.name, beat)
            found[beat.name] = beat._replace(
                capabilities=beat.capabilities or before.capabilities, transport=beat.transport or before.transport
            )
    return list(found.values())


def _told(beat: Beat) -> tuple[object, ...]:
    abilities = None if beat.capabilities is None else Jsonb(msgspec.to_builtins(beat.capabilities))
    return beat.name, beat.transport, abilities


def _columns(rows: Iterable[tuple[object, ...]]) -> list[list[object]]:
    """Rows as one array a column."""
    return [list(column) for column in zip(*rows, strict=True)]
