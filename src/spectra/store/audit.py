"""What an auditor reads: rows as they stand now, to be held against what provenance says they were."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, Final, LiteralString, NamedTuple

import msgspec

from spectra.model.envelope import canonical, sha256_hex
from spectra.model.observation import Banner, Certificate, Evidence, Service
from spectra.store.database import Connection, Database, one
from spectra.store.history import lives
from spectra.store.rows import (
    Digest,
    Extra,
    NameSightingRow,
    SightingRow,
    SilenceRow,
    SweptRow,
    canonical_ip,
    claim_id,
    content_id,
    remark_id,
)
from spectra.store.timeline import OPEN, Version

_PAGE = 500
_HEX: Final = re.compile("(?:[0-9a-f]{2})*")

UNTOUCHED: Final[dict[str, Any]] = {
    "status": "accepted",
    "format": "",
    "facts": {},
    "counts": {},
    "problems": sha256_hex(canonical([])),
    "error": "",
}
"""`Stored.settled` of a submission whose content nobody has looked at yet, without its id."""


class Stored(NamedTuple):
    """An observation row, as the details of its two provenance entries would be if they were written now."""

    seq: int
    accepted: dict[str, Any]
    settled: dict[str, Any]  # without `log`
    header: str
    blob_sha256: bytes
    public_key: bytes
    signature: str


def observations(database: Database, ids: Sequence[str]) -> dict[str, Stored]:
    """The stored rows of these observations, by id (hex); a deleted one is left out."""
    with database.connection() as connection:
        rows = connection.execute(
            """SELECT o.seq, encode(o.observation_id, 'hex'), o.header, o.contributor, o.keyid, o.signature, o.received,
                      o.trust, encode(o.output_sha256, 'hex'), o.blob_sha256, o.status, o.format, o.facts, o.counts,
                      o.problems, o.error, k.public_key, o.nonce, o.scan_id, o.scan_type, o.workflow_id, l.fresh
               FROM observation o JOIN key k ON k.keyid = o.keyid LEFT JOIN ledger l ON l.observation = o.seq
               WHERE o.observation_id = ANY(%s)""",
            [[bytes.fromhex(i) for i in ids if _HEX.fullmatch(i)]],
        ).fetchall()
    return {row[1]: _stored(row) for row in rows}


def _stored(row: tuple[Any, ...]) -> Stored:
    seq, observation_id, header, contributor, keyid, signature, received, trust, output, blob, *others = row
    status, form, facts, counts, problems, error, public_key, nonce, scan_id, scan_type, workflow, fresh = others
    copies = (nonce, scan_id, scan_type, contributor, output)
    accepted: dict[str, Any] = {
        "observation_id": observation_id,
        "header": sha256_hex(header.encode()) if _copied(header) == copies else "columns differ from the header",
        "contributor": contributor,
        "keyid": keyid,
        "signature": signature,
        "received": received,
        "trust": f"{trust:.6g}",
        "output": output,
        "blob": blob.hex(),
        "workflow": workflow,
    }
    outcome: dict[str, Any] = {
        "observation_id": observation_id,
        "status": status,
        "format": form,
        "facts": facts,
        "counts": counts,
        "problems": sha256_hex(canonical(problems)),
        "error": error,
    }
    outcome |= {"fresh": fresh} if fresh else {}
    return Stored(seq, plain(accepted), plain(outcome), header, blob, public_key, signature)


def _copied(header: str) -> tuple[Any, ...]:
    """What columns repeat of a header; nothing where it is no header any more."""
    try:
        said = json.loads(header)
        return said["nonce"], said["scan_id"], said["scan_type"], said["contributor"], said["output"]["sha256"]
    except (ValueError, LookupError, TypeError):
        return ()


def plain(detail: object) -> dict[str, Any]:
    """A detail as it reads back from an entry."""
    return json.loads(canonical(detail))


def observation_ids(database: Database) -> Iterator[str]:
    """Every observation id (hex), a page at a time."""
    after = 0
    while True:
        with database.connection() as connection:
            rows = connection.execute(
                "SELECT seq, encode(observation_id, 'hex') FROM observation WHERE seq > %s ORDER BY seq LIMIT 1000",
                [after],
            ).fetchall()
        if not rows:
            return
        yield from (row[1] for row in rows)
        after = rows[-1][0]


def log_digest(database: Database, observation: int) -> str:
    """The digest over all rows of the log that observation `observation` (seq) wrote, as they are now; empty when
    there is none.
    """
    digest = Digest()
    with database.connection() as connection, connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        sightings = """SELECT host(ip), seen_at, ports, states, rest, services, certificates, banners, extra
                       FROM sighting WHERE observation = %s"""
        _take_in(digest, connection, sightings, observation, _sighting)
        names = "SELECT name, seen_at, remarks FROM name_sighting WHERE observation = %s"
        _take_in(digest, connection, names, observation, _name_sighting)
        silences = "SELECT net::text, seen_at FROM silence WHERE observation = %s"
        _take_in(digest, connection, silences, observation, _silence)
        for (swept,) in connection.execute("SELECT swept FROM observation WHERE seq = %s", [observation]):
            if swept:
                digest.add([SweptRow([(r.lower, r.upper) for r in swept])])
    return digest.hexdigest() if digest else ""


def _take_in(
    digest: Digest,
    connection: Connection,
    query: LiteralString,
    observation: int,
    read: Callable[[tuple[Any, ...]], msgspec.Struct],
) -> None:
    """Add the rows of `query` a page at a time: one observation may tell of a million hosts."""
    with connection.cursor(name="audit_log") as cursor:
        cursor.execute(query, [observation])
        while rows := cursor.fetchmany(_PAGE):
            digest.add(read(row) for row in rows)


def altered_log(database: Database) -> str:
    """The first row of the log that no observation wrote; empty when there is none."""
    with database.connection() as connection:
        row = connection.execute(
            """SELECT name, observation FROM (
                 SELECT 'sighting' AS name, observation FROM sighting UNION ALL
                 SELECT 'name_sighting', observation FROM name_sighting UNION ALL
                 SELECT 'silence', observation FROM silence) log
               WHERE NOT EXISTS (SELECT FROM observation o WHERE o.seq = log.observation) LIMIT 1"""
        ).fetchone()
    return f"{row[0]} of observation {row[1]}, which does not exist," if row else ""


def _sighting(row: tuple[Any, ...]) -> SightingRow:
    ip, at, ports, states, rest, *ids, extra = row
    services, certificates, banners = ([u and u.hex for u in column] if column else None for column in ids)
    return SightingRow(canonical_ip(ip), at, ports, states, _letter(rest), services, certificates, banners, extra)


def _name_sighting(row: tuple[Any, ...]) -> NameSightingRow:
    name, at, remarks = row
    return NameSightingRow(name, at, [r.hex for r in remarks])


def _silence(row: tuple[Any, ...]) -> SilenceRow:
    net, at = row
    return SilenceRow(canonical_ip(net), at)


def _letter(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value or "")


def altered_content(database: Database) -> str:
    """The first service, banner or remark that is gone, or whose id is not the hash of what it says; empty when there
    is none.
    """
    queries: dict[str, LiteralString] = {
        "service": "SELECT id, name, product, version, extra, os, device, tunnel, cpe FROM service",
        "banner": "SELECT id, text, title FROM banner",
        "remark": "SELECT id, kind, data, key, severity FROM remark",
    }
    with database.connection() as connection, connection.transaction():
        for table, query in queries.items():
            with connection.cursor(name=f"audit_{table}") as cursor:
                cursor.execute(query)
                for key, *fields in cursor:
                    if _content_key(table, fields) != key.hex:
                        return f"{table} {key}"
        for table, query in _REFERENCES.items():
            if row := connection.execute(query).fetchone():
                return f"{table} {row[0]}"
    return ""


_REFERENCES: Final[dict[str, LiteralString]] = {
    "service": "SELECT id FROM (SELECT DISTINCT unnest(services) AS id FROM sighting) s WHERE id IS NOT NULL"
    " AND NOT EXISTS (SELECT FROM service WHERE id = s.id) LIMIT 1",
    "banner": "SELECT id FROM (SELECT DISTINCT unnest(banners) AS id FROM sighting) s WHERE id IS NOT NULL"
    " AND NOT EXISTS (SELECT FROM banner WHERE id = s.id) LIMIT 1",
    "remark": "SELECT id FROM (SELECT remark AS id FROM evidence UNION SELECT unnest(remarks) FROM name_sighting) s"
    " WHERE NOT EXISTS (SELECT FROM remark WHERE id = s.id) LIMIT 1",
}


def altered_certificate(database: Database) -> str:
    """The first certificate that is gone, or says what no observation said of it; empty when there is none.

    Holds 100 bytes for each certificate of the graph.
    """
    decoder = msgspec.json.Decoder(Extra)
    told: set[bytes] = set()
    ids: set[bytes] = set()
    with database.connection() as connection, connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        with connection.cursor(name="audit_claims") as cursor:
            cursor.execute("SELECT extra FROM sighting WHERE extra LIKE '%\"certificates\"%'")
            for (extra,) in cursor:
                for certificate, claim in decoder.decode(extra).certificates:
                    ids.add(bytes.fromhex(certificate))
                    told.add(bytes.fromhex(certificate + claim))
        with connection.cursor(name="audit_certificates") as cursor:
            cursor.execute(
                """SELECT id, encode(sha256, 'hex'), subject_cn, subject, issuer, sans, not_before, not_after, serial,
                          key FROM certificate"""
            )
            for key, sha256, cn, subject, issuer, sans, *rest in cursor:
                row = Certificate(sha256, cn, subject, issuer, tuple(sans), *rest)
                if content_id(row.fingerprint) != key.hex or key.bytes + bytes.fromhex(claim_id(row)) not in told:
                    return f"certificate {key}"
                ids.discard(key.bytes)
    return f"certificate {min(ids).hex()}" if ids else ""


def _content_key(table: str, fields: list[Any]) -> str:
    if table == "service":
        name, product, version, extra, os, device, tunnel, cpe = fields
        return content_id(Service(name, product, version, extra, os, device, tunnel, tuple(cpe)).fingerprint)
    if table == "banner":
        return content_id(Banner(*fields).fingerprint)
    return remark_id(Evidence(*fields))


def altered_name(database: Database) -> str:
    """The first name without address that is not what the log says; empty when there is none."""
    with database.connection() as connection:
        row = connection.execute(
            """SELECT coalesce(n.name, t.name) FROM name n FULL JOIN
                 (SELECT name, min(seen_at) AS first, max(seen_at) AS last FROM name_sighting GROUP BY name) t
                 ON (n.name, n.first_seen, n.last_seen) = (t.name, t.first, t.last)
               WHERE n.name IS NULL OR t.name IS NULL LIMIT 1"""
        ).fetchone()
    return f"name {row[0]}" if row else ""


def altered_host(database: Database) -> str:
    """The first host whose endpoints, names or evidence are not what the log says; empty when there is none."""
    after = "0.0.0.0/0"
    while True:
        with database.connection() as connection, connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            ips = [
                row[0]
                for row in connection.execute(
                    """SELECT host(ip) FROM (
                         SELECT ip FROM host UNION SELECT ip FROM endpoint UNION SELECT ip FROM endpoint_version UNION
                         SELECT ip FROM hostname UNION SELECT ip FROM evidence UNION SELECT ip FROM sighting) every
                       WHERE ip > %s::inet ORDER BY ip LIMIT %s""",
                    [after, _PAGE],
                )
            ]
            if not ips:
                return ""
            if wrong := _first_difference(connection, ips):
                return wrong
        after = ips[-1]


def _first_difference(connection: Connection, ips: list[str]) -> str:
    for name, told, stored in (
        ("endpoint", _told_versions(connection, ips), _stored_versions(connection, ips)),
        ("hostname or evidence", _told_extras(connection, ips), _stored_extras(connection, ips)),
        ("host", _told_hosts(connection, ips), _stored_hosts(connection, ips)),
    ):
        if different := sorted({str(row[0]) for row in told ^ stored}):
            return f"{name} of {different[0]}"
    return ""


def _told_versions(connection: Connection, ips: list[str]) -> set[tuple[Any, ...]]:
    told: set[tuple[Any, ...]] = set()
    for (ip, protocol, port), versions, untrusted in lives(connection, ips):
        last_open = max(v.confirmed for v in versions if v.state == OPEN)
        for version, following in pairwise(versions):
            told.add((ip, protocol, port, *version, following.since, None, None))
        told.add((ip, protocol, port, *versions[-1], versions[0].since, last_open, untrusted))
    return told


def _stored_versions(connection: Connection, ips: list[str]) -> set[tuple[Any, ...]]:
    """Past versions with their `until` and None, current ones with when they were first and last seen open."""
    rows = connection.execute(
        """SELECT host(ip), protocol, port, state, service, certificate, banner, since, confirmed, trust, sole, doubt,
                  first_seen, last_seen, untrusted FROM endpoint WHERE ip = ANY(%(ips)s::inet[])
           UNION ALL
           SELECT host(ip), protocol, port, state, service, certificate, banner, since, confirmed, trust, sole, doubt,
                  until, NULL, NULL FROM endpoint_version WHERE ip = ANY(%(ips)s::inet[])""",
        {"ips": ips},
    )
    return {(*row[:3], *Version(_letter(row[3]), *row[4:12]), *row[12:]) for row in rows}


Times = tuple[datetime, datetime]


def _told_extras(connection: Connection, ips: list[str]) -> set[tuple[Any, ...]]:
    """Names and evidence by the log: first and last time of each."""
    times: dict[tuple[Any, ...], Times] = {}
    newest: dict[tuple[str, str], tuple[Any, ...]] = {}
    decoder = msgspec.json.Decoder(Extra)
    rows = connection.execute(
        "SELECT host(ip), seen_at, extra FROM sighting WHERE ip = ANY(%s::inet[]) AND extra <> ''", [ips]
    )
    for ip, at, text in rows:
        extra = decoder.decode(text)
        for key in [(ip, *n) for n in extra.names] + [(ip, *r) for r in extra.remarks]:
            first, last = times.get(key, (at, at))
            times[key] = min(first, at), max(last, at)
        if extra.os:
            newest[ip, "os"] = max(newest.get((ip, "os"), (at, "")), (at, extra.os))
        if extra.mac:
            newest[ip, "mac"] = max(newest.get((ip, "mac"), (at, "", "")), (at, extra.mac, extra.vendor))
    facts = {(*key, *value) for key, value in newest.items()}
    return facts | {(*key, *span) for key, span in times.items()}


def _stored_extras(connection: Connection, ips: list[str]) -> set[tuple[Any, ...]]:
    names = connection.execute(
        "SELECT host(ip), name, kind, first_seen, last_seen FROM hostname WHERE ip = ANY(%s::inet[])", [ips]
    ).fetchall()
    evidence = connection.execute(
        """SELECT host(ip), port, protocol, replace(remark::text, '-', ''), first_seen, last_seen
           FROM evidence WHERE ip = ANY(%s::inet[])""",
        [ips],
    ).fetchall()
    facts = connection.execute(
        "SELECT host(ip), os_at, os, mac_at, mac, vendor FROM host WHERE ip = ANY(%s::inet[])", [ips]
    ).fetchall()
    systems = {(ip, "os", at, os) for ip, at, os, *_ in facts if at or os}
    cards = {(ip, "mac", *card) for ip, _, _, *card in facts if any(card)}
    return {*names, *evidence, *systems, *cards}


def _told_hosts(connection: Connection, ips: list[str]) -> set[tuple[Any, ...]]:
    rows = connection.execute(
        "SELECT host(ip), min(seen_at), max(seen_at) FROM sighting WHERE ip = ANY(%s::inet[]) GROUP BY ip", [ips]
    )
    return set(rows.fetchall())


def _stored_hosts(connection: Connection, ips: list[str]) -> set[tuple[Any, ...]]:
    rows = connection.execute("SELECT host(ip), first_seen, last_seen FROM host WHERE ip = ANY(%s::inet[])", [ips])
    return set(rows.fetchall())


def subjects_after(database: Database, seq: int) -> set[str]:
    """What entries after `seq` tell of: they were appended while an audit ran."""
    with database.connection() as connection:
        rows = connection.execute("SELECT subject FROM provenance WHERE seq > %s", [seq]).fetchall()
    return {row[0] for row in rows}


def chain_length(database: Database) -> int:
    """The number of entries."""
    with database.connection() as connection:
        return one(connection.execute("SELECT coalesce(max(seq), 0) FROM provenance"))[0]
