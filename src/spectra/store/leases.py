"""Leases: one attempt of one machine at one target.

A target is given by `FOR UPDATE SKIP LOCKED`, in the transaction that holds the locks of its machine and of its network
and counts what both have already: neither two machines for one target nor more than a limit allows, whoever asks.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid4

import msgspec

from spectra.errors import NotFound
from spectra.model.presets import Preset, ScanTool
from spectra.model.work import MAX_KNOWN, Endpoint, Permission, TargetState
from spectra.store import attempts, jobrows, jobs
from spectra.store.attempts import Attempt, Terms
from spectra.store.database import Connection, Database
from spectra.store.jobs import Held
from spectra.store.targetrows import lease_id

__all__ = ["Asker", "Attempt", "Leased", "Said", "Terms", "end", "lease"]

end = attempts.end

_NODE_LOCK: Final = 0x5EC7_0017
_NETWORK_LOCK: Final = 0x5EC7_0018
MAX_TRIES: Final = 32
"""Networks that others may fill while we ask, before a machine is told that there is nothing."""

# The plan is made once a connection and is the same however much waits: all that it reads lies in the order it is
# wanted in. Planning would cost more than reading.
_BEGIN: Final = """
SELECT set_config('plan_cache_mode', 'force_generic_plan', true), set_config('enable_seqscan', 'off', true),
       set_config('enable_bitmapscan', 'off', true), set_config('enable_sort', 'off', true),
       pg_advisory_xact_lock(%s, hashtext(%s))"""

# Jobs in their turn; of each the first target that may be given and is not locked by others. Targets without a network
# have no limit. The others are looked for network by network, with a probe each: a job may have any number of targets
# where there is no room. Where the first 256 networks all have none, or only targets that have to wait after a failure,
# targets are looked at in the order of their time: those that never failed wait since -infinity. 32 may be tried: as
# many as leases are taken at once, and more; `state || ''` has them found by number, not by an index of what waits.
_PICK: Final = """
WITH busy AS MATERIALIZED (
  SELECT network FROM lease WHERE ended IS NULL AND network <> ''
  GROUP BY network HAVING count(*) >= %(per_network)s
  UNION SELECT unnest(%(avoid)s::text[])),
may AS MATERIALIZED (
  SELECT EXISTS (SELECT FROM node WHERE name = %(node)s AND standing = 'active')
    AND NOT EXISTS (SELECT FROM worker_drain WHERE node = %(node)s AND draining)
    AND NOT EXISTS (SELECT FROM work_state WHERE paused)
    AND (SELECT count(*) FROM lease WHERE node = %(node)s AND ended IS NULL) < %(per_node)s AS so),
turn AS MATERIALIZED (
  SELECT num FROM job WHERE decision = 'running' AND ended IS NULL AND (SELECT so FROM may)
    AND node IN ('', %(node)s) AND region IN ('', %(region)s) AND (NOT relay OR %(relay)s) AND (NOT raw OR %(raw)s)
    AND tools && %(tools)s::text[] AND id <> ALL(%(shut)s::text[])
  ORDER BY priority DESC, served, num)
SELECT t.num, t.network FROM turn CROSS JOIN LATERAL (
  SELECT num, network FROM target WHERE num = ANY(ARRAY(
    WITH RECURSIVE walk AS (
      (SELECT network, 1 AS step FROM target WHERE job = turn.num AND state = 'waiting' AND network > ''
       ORDER BY network LIMIT 1)
      UNION ALL
      SELECT n.network, step + 1 FROM walk w CROSS JOIN LATERAL (
        SELECT network FROM target WHERE job = turn.num AND state = 'waiting' AND network > w.network
        ORDER BY network LIMIT 1) n WHERE step < 256),
    able AS MATERIALIZED (
      (SELECT num FROM target WHERE job = turn.num AND state = 'waiting' AND network = '' AND not_before <= %(now)s
         AND %(node)s <> ALL(excluded) AND (node <> %(node)s OR not_before <= %(before)s)
       ORDER BY not_before, num LIMIT 32)
      UNION ALL
      (SELECT f.num FROM walk w CROSS JOIN LATERAL (
         SELECT num FROM target WHERE job = turn.num AND state = 'waiting' AND network = w.network
           AND not_before <= %(now)s AND %(node)s <> ALL(excluded)
           AND (node <> %(node)s OR not_before <= %(before)s) ORDER BY not_before, num LIMIT 4) f
       WHERE w.network NOT IN (SELECT network FROM busy))
      LIMIT 32)
    SELECT num FROM able
    UNION ALL
    (SELECT num FROM (
       SELECT num, network, node, excluded, not_before FROM target
       WHERE job = turn.num AND state = 'waiting' AND not_before <= %(now)s
       ORDER BY not_before, num LIMIT 256) look
     WHERE NOT EXISTS (SELECT FROM able) AND (SELECT count(*) FROM walk) >= 256
       AND network NOT IN (SELECT network FROM busy) AND %(node)s <> ALL(excluded)
       AND (node <> %(node)s OR not_before <= %(before)s) LIMIT 32))) AND state || '' = 'waiting'
  ORDER BY not_before, num LIMIT 1 FOR UPDATE SKIP LOCKED) t LIMIT 1"""

# A statement of its own, after the lock of the network: it counts what was committed until then.
_GIVE: Final = """
WITH given AS (
  UPDATE target SET state = 'leased', since = %(now)s, lease = %(lease)s, node = %(node)s, leases = leases + 1
  WHERE num = %(target)s AND (network = '' OR (
    SELECT count(*) FROM lease WHERE network = %(network)s AND ended IS NULL) < %(per_network)s)
  RETURNING *),
kept AS (
  INSERT INTO lease (id, target, attempt, node, network, leased, heard)
  SELECT lease, num, leases, node, network, since, since FROM given),
turned AS (
  UPDATE job SET served = %(now)s WHERE num = (
    SELECT num FROM job WHERE num = (SELECT job FROM given) AND served < %(now)s FOR NO KEY UPDATE SKIP LOCKED))
SELECT g.lease, g.node, j.id, g.num, g.leases, j.scan_id, g.targets, coalesce(nullif(g.ports, ''), j.ports), j.preset,
       j.permission, j.rate, g.network, j.windows, g.since
FROM given g JOIN job j ON j.num = g.job"""
_ORDER: Final = """
SELECT t.lease, t.node, j.id, t.num, t.leases, j.scan_id, t.targets, coalesce(nullif(t.ports, ''), j.ports), j.preset,
       j.permission, j.rate, t.network, j.windows, l.leased
FROM lease l JOIN target t ON t.num = l.target JOIN job j ON j.num = t.job WHERE l.id = %s AND l.ended IS NULL"""
_RENEW: Final = """
WITH mine AS MATERIALIZED (
  SELECT id FROM lease WHERE id = ANY(%(ids)s::uuid[]) AND node = %(node)s AND ended IS NULL ORDER BY id FOR UPDATE)
UPDATE lease l SET heard = greatest(heard, %(now)s) FROM mine WHERE l.id = mine.id RETURNING l.id"""
_PROGRESS: Final = """
WITH said AS MATERIALIZED (
  SELECT * FROM unnest(%(ids)s::uuid[], %(fractions)s::real[], %(found)s::int8[], %(notes)s::text[])
    AS s (id, fraction, found, note)),
mine AS MATERIALIZED (
  SELECT id FROM lease WHERE id IN (SELECT id FROM said) AND node = %(node)s AND ended IS NULL ORDER BY id FOR UPDATE)
UPDATE lease l SET heard = greatest(heard, %(now)s), fraction = s.fraction, found = s.found, note = s.note
FROM said s WHERE l.id = s.id AND l.id IN (SELECT id FROM mine)"""
_KNOWN: Final = """
SELECT host(e.ip), e.port, e.protocol FROM unnest(%(lows)s::inet[], %(highs)s::inet[]) AS r (low, high)
CROSS JOIN LATERAL (
  SELECT ip, port, protocol, last_seen FROM endpoint
  WHERE ip BETWEEN r.low AND r.high AND state = 'o' AND protocol IN (6, 17) LIMIT %(most)s) e
ORDER BY e.last_seen DESC, e.ip, e.port, e.protocol LIMIT %(limit)s"""
_MOST_KNOWN: Final = 10_000


class Asker(NamedTuple):
    """A machine that wants work, and what it can do. `raw`: it may open raw sockets."""

    node: str
    tools: tuple[ScanTool, ...]
    region: str = ""
    relay: bool = False
    raw: bool = False


class Leased(NamedTuple):
    """A lease with all that its order says. `rate` is this lease's share of what its network bears."""

    lease: str
    node: str
    job: str
    target: int
    attempt: int
    scan_id: str
    targets: tuple[str, ...]
    ports: str
    preset: Preset
    permission: Permission
    rate: int
    network: str
    windows: tuple[str, ...]
    leased: datetime


class Said(NamedTuple):
    """How far a lease is: `fraction` 0..1, endpoints `found` so far, `note` in the tool's own words."""

    lease: str
    fraction: float
    found: int
    note: str


def lease(
    database: Database, asker: Asker, terms: Terms, now: datetime, *, shut: Sequence[str] = (), count: int = 1
) -> list[Leased]:
    """Give a machine up to `count` targets, one job after the other; nothing of the jobs `shut` (by their windows).

    Nothing while all is paused, for a machine that drains or is not active, or where a limit is reached.
    """
    given: list[Leased] = []
    avoid: list[str] = []
    for _ in range(count + MAX_TRIES):
        if len(given) == count:
            break
        with database.transaction() as connection:
            connection.execute(_BEGIN, [_NODE_LOCK, asker.node])
            picked = _pick(connection, asker, terms, now, (shut, avoid))
            if picked is None:
                break
            target, network = picked
            if network:
                connection.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [_NETWORK_LOCK, network])
            row = connection.execute(
                _GIVE,
                {
                    "now": now,
                    "lease": uuid4(),
                    "node": asker.node,
                    "target": target,
                    "network": network,
                    "per_network": terms.per_network,
                },
            ).fetchone()
        if row is None:  # others filled the network meanwhile; the transaction has let both locks go
            avoid.append(network)
        else:
            given.append(_leased(row, terms))
    return given


def _pick(
    connection: Connection, asker: Asker, terms: Terms, now: datetime, without: tuple[Sequence[str], Sequence[str]]
) -> tuple[int, str] | None:
    """A target and its network, held from now on; `without` these jobs and networks."""
    return connection.execute(
        _PICK,
        {
            "node": asker.node,
            "region": asker.region,
            "relay": asker.relay,
            "raw": asker.raw,
            "tools": list(asker.tools),
            "shut": list(without[0]),
            "avoid": list(without[1]),
            "per_network": terms.per_network,
            "per_node": terms.per_node,
            "now": now,
            # Others come first where a machine has tried already.
            "before": now - timedelta(seconds=terms.lease_s),
        },
    ).fetchone()


def order_of(database: Database, lease: str, terms: Terms) -> Leased:
    """A lease that has not ended, to be said again; raises `NotFound("unknown_lease")`."""
    with database.connection() as connection:
        row = connection.execute(_ORDER, [lease_id(lease)]).fetchone()
    if row is None:
        raise unknown(lease)
    return _leased(row, terms)


def unknown(lease: str) -> NotFound:
    """There is no such lease, or none any more."""
    return NotFound(f"There is no lease {lease[:40]}.", reason="unknown_lease")


def renew(database: Database, node: str, leases: Sequence[str], now: datetime) -> list[str]:
    """Keep leases alive that the node says it holds. Returns those that are not its any more, or never were."""
    wanted = [found for text in leases if (found := lease_id(text))]
    kept: set[str] = set()
    if wanted:
        with database.transaction() as connection:
            connection.execute("SET LOCAL synchronous_commit = off")
            rows = connection.execute(_RENEW, {"ids": wanted, "node": node, "now": now})
            kept = {row[0].hex for row in rows}
    return [text for text in leases if text not in kept]


def progress(database: Database, node: str, said: Sequence[Said], now: datetime) -> None:
    """Take in how far leases of a node are, which keeps them alive; what is not its is left out."""
    last: dict[UUID, Said] = {found: one for one in said if (found := lease_id(one.lease))}
    if not last:
        return
    with database.transaction() as connection:
        connection.execute("SET LOCAL synchronous_commit = off")
        connection.execute(
            _PROGRESS,
            {
                "ids": list(last),
                "fractions": [one.fraction for one in last.values()],
                "found": [one.found for one in last.values()],
                "notes": [one.note for one in last.values()],
                "node": node,
                "now": now,
            },
        )


def held(database: Database, node: str = "") -> list[Held]:
    """The leases of a node (or of all) that have not ended, oldest first."""
    with database.connection() as connection:
        rows = connection.execute(
            "SELECT node, id, leased FROM lease WHERE ended IS NULL AND (%(node)s = '' OR node = %(node)s)"
            " ORDER BY leased, id",
            {"node": node},
        ).fetchall()
    return [Held(node, found.hex, leased) for node, found, leased in rows]


def give_back(
    database: Database, node: str, lease: str, *, reason: str, message: str, terms: Terms, now: datetime
) -> TargetState | None:
    """End a lease of which nothing was scanned. `no_tool` and `not_here` keep this machine from the target and are no
    attempt, `law_unknown`, `busy`, `leaving` and `window` are none either.

    Returns what the target is then; None: no such lease.
    """
    with database.transaction() as connection:
        return end(connection, lease, Attempt("refused", reason, message), terms, now, node=node)


def expire(database: Database, terms: Terms, now: datetime, *, limit: int = 1000) -> list[Held]:
    """End the leases that nothing was heard of for `terms.lease_s`; jobs with nothing open end, too. Returns which."""
    cutoff = now - timedelta(seconds=terms.lease_s)
    with database.connection() as connection:
        stale = connection.execute(
            "SELECT node, id, leased FROM lease WHERE ended IS NULL AND heard < %s ORDER BY heard LIMIT %s",
            [cutoff, limit],
        ).fetchall()
    silent = Attempt("expired", "expired", f"Nothing was heard of it for {terms.lease_s:g} s.")
    gone: list[Held] = []
    for node, found, leased in stale:  # each by itself: whoever holds several leases holds them in another order
        with database.transaction() as connection:
            if end(connection, found.hex, silent, terms, now, cutoff=cutoff):
                gone.append(Held(node, found.hex, leased))
    jobs.finish(database, now)
    return gone


def cut(database: Database, target: int, targets: Sequence[str], reason: str, now: datetime) -> bool:
    """Leave only `targets` of a target that waits or was just leased, for `reason`; none: it is cancelled, its lease
    ends. False where the target is past that.
    """
    with database.transaction() as connection:
        row = connection.execute(
            "SELECT job, lease FROM target WHERE num = %s AND state IN ('waiting', 'leased') FOR UPDATE", [target]
        ).fetchone()
        if row is None:
            return False
        if targets:
            connection.execute(
                "UPDATE target SET targets = %s, reason = %s WHERE num = %s", [list(targets), reason, target]
            )
            return True
        connection.execute(
            "UPDATE target SET state = 'cancelled', since = %s, reason = %s WHERE num = %s", [now, reason, target]
        )
        connection.execute(
            "UPDATE lease SET ended = %s, \"end\" = 'cancelled', reason = 'cancelled', message = %s"
            " WHERE id = %s AND ended IS NULL",
            [now, reason, row[1]],
        )
        jobrows.finish(connection, now, [row[0]])
    return True


def known(database: Database, targets: Sequence[str], limit: int = MAX_KNOWN) -> tuple[Endpoint, ...]:
    """Endpoints in these addresses and networks that were open when last looked at, the last seen first."""
    bounds = list(_bounds(targets))
    if not bounds:
        return ()
    with database.connection() as connection:
        rows = connection.execute(
            _KNOWN,
            {
                "lows": [low for low, _ in bounds],
                "highs": [high for _, high in bounds],
                "most": _MOST_KNOWN,
                "limit": limit,
            },
        ).fetchall()
    return tuple(Endpoint(ip, port, "tcp" if protocol == 6 else "udp") for ip, port, protocol in rows)  # IANA


def _bounds(targets: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The first and last address of each target that is an address, a network or a range (`a-b`); names have none."""
    for text in targets:
        first, _, last = text.partition("-")
        try:
            if last:
                yield str(ipaddress.ip_address(first)), str(ipaddress.ip_address(last))
            else:
                network = ipaddress.ip_network(text, strict=False)
                yield str(network[0]), str(network[-1])
        except ValueError:
            continue


def _leased(row: tuple[Any, ...], terms: Terms) -> Leased:
    found, node, job, target, attempt, scan_id, targets, ports, preset, permission, rate, *others = row
    network, windows, leased = others
    how = jobrows.preset(preset)
    share = max(1, terms.network_rate // terms.per_network) if network else terms.network_rate
    return Leased(
        lease=found.hex,
        node=node,
        job=job,
        target=target,
        attempt=attempt,
        scan_id=scan_id,
        targets=tuple(targets),
        ports=ports,
        preset=how,
        permission=msgspec.json.decode(permission, type=Permission),
        rate=min(bound for bound in (rate, how.rate, share) if bound),
        network=network,
        windows=tuple(windows),
        leased=leased,
    )
