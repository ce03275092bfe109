"""What an auditor reads: rows as they stand now, to be held against what provenance says they were."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, LiteralString, NamedTuple

import msgspec

from spectra.model.envelope import Counts, Problem, canonical, sha256_hex
from spectra.model.observation import Banner, Evidence, ScanFacts, Service
from spectra.store.database import Connection, Database, one
from spectra.store.history import lives
from spectra.store.rows import Digest, Extra, NameSightingRow, SightingRow, SilenceRow, content_id, remark_id
from spectra.store.timeline import Version

_PAGE = 500


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
                      o.problems, o.error, k.public_key, o.nonce, o.scan_id, o.scan_type
               FROM observation o JOIN key k ON k.keyid = o.keyid WHERE o.observation_id = ANY(%s)""",
            [[bytes.fromhex(i) for i in ids]],
        ).fetchall()
    return {row[1]: _stored(row) for row in rows}


def _stored(row: tuple[Any, ...]) -> Stored:
    seq, observation_id, header, contributor, keyid, signature, received, trust, output, blob, *settled = row
    status, form, facts, counts, problems, error, public_key, nonce, scan_id, scan_type = settled
    said = json.loads(header)
    copies = (said["nonce"], said["scan_id"], said["scan_type"], said["contributor"], said["output"]["sha256"])
    true_to_header = copies == (nonce, scan_id, scan_type, contributor, output)
    accepted: dict[str, Any] = {
        "observation_id": observation_id,
        "header": sha256_hex(header.encode()) if true_to_header else "columns differ from the header",
        "contributor": contributor,
        "keyid": keyid,
        "signature": signature,
        "received": received,
        "trust": f"{trust:.6g}",
        "output": output,
        "blob": blob.hex(),
    }
    kept = msgspec.convert(problems, tuple[Problem, ...])
    outcome: dict[str, Any] = {
        "observation_id": observation_id,
        "status": status,
        "format": form,
        "facts": msgspec.convert(facts, ScanFacts, strict=False),
        "counts": msgspec.convert(counts, Counts),
        "problems": sha256_hex(canonical(kept)),
        "error": error,
    }
    return Stored(seq, plain(accepted), plain(outcome), header, blob, public_key, signature)


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
    """The digest over all rows of the log that observation `observation` (seq) wrote, as they are now."""
    digest = Digest()
    with database.connection() as connection:
        rows = connection.execute(
            """SELECT host(ip), seen_at, ports, states, rest, services, certificates, banners, extra
               FROM sighting WHERE observation = %s""",
            [observation],
        )
        digest.add(_sighting(row) for row in rows)
        names = connection.execute(
            "SELECT name, seen_at, remarks FROM name_sighting WHERE observation = %s", [observation]
        )
        digest.add(NameSightingRow(name, at, [r.hex for r in remarks]) for name, at, remarks in names)
        nets = connection.execute("SELECT net::text, seen_at FROM silence WHERE observation = %s", [observation])
        digest.add(SilenceRow(net, at) for net, at in nets)
    return digest.hexdigest()


def _sighting(row: tuple[Any, ...]) -> SightingRow:
    ip, at, ports, states, rest, *ids, extra = row
    services, certificates, banners = ([u and u.hex for u in column] if column else None for column in ids)
    return SightingRow(ip, at, ports, states, _letter(rest), services, certificates, banners, extra)


def _letter(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value or "")


def altered_content(database: Database) -> str:
    """The first service, banner or remark whose id is not the hash of what it says; empty when there is none."""
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
    return ""


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
                    """SELECT host(ip) FROM (SELECT ip FROM host UNION SELECT ip FROM endpoint UNION
                         SELECT ip FROM hostname UNION SELECT ip FROM evidence) every
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
    for (ip, protocol, port), versions in lives(connection, ips):
        for version, following in zip(versions, [*versions[1:], None], strict=True):
            told.add((ip, protocol, port, *version, following and following.since))
    return told


def _stored_versions(connection: Connection, ips: list[str]) -> set[tuple[Any, ...]]:
    rows = connection.execute(
        """SELECT host(ip), protocol, port, state, service, certificate, banner, since, confirmed, NULL
           FROM endpoint WHERE ip = ANY(%(ips)s::inet[])
           UNION ALL
           SELECT host(ip), protocol, port, state, service, certificate, banner, since, confirmed, until
           FROM endpoint_version WHERE ip = ANY(%(ips)s::inet[])""",
        {"ips": ips},
    )
    return {(*row[:3], *Version(_letter(row[3]), *row[4:9]), row[9]) for row in rows}


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
    facts = {(*key, *value[1:]) for key, value in newest.items()}
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
        "SELECT host(ip), os, mac, vendor FROM host WHERE ip = ANY(%s::inet[]) AND (os <> '' OR mac <> '')", [ips]
    ).fetchall()
    systems = {(ip, "os", os) for ip, os, _, _ in facts if os}
    cards = {(ip, "mac", mac, vendor) for ip, _, mac, vendor in facts if mac}
    return {*names, *evidence, *systems, *cards}


def _told_hosts(connection: Connection, ips: list[str]) -> set[tuple[Any, ...]]:
    rows = connection.execute(
        "SELECT host(ip), min(seen_at), max(seen_at) FROM sighting WHERE ip = ANY(%s::inet[]) GROUP BY ip", [ips]
    )
    return set(rows.fetchall())


def _stored_hosts(connection: Connection, ips: list[str]) -> set[tuple[Any, ...]]:
    rows = connection.execute("SELECT host(ip), first_seen, last_seen FROM host WHERE ip = ANY(%s::inet[])", [ips])
    return set(rows.fetchall())


def key_details(database: Database) -> dict[str, dict[str, str]]:
    """What each key's newest provenance entry has to say, by keyid: (contributor, role, public key, revoked)."""
    with database.connection() as connection:
        rows = connection.execute(
            """SELECT k.keyid, k.contributor, c.role, encode(k.public_key, 'base64'), k.revoked IS NOT NULL
               FROM key k JOIN contributor c ON c.name = k.contributor"""
        ).fetchall()
    return {
        keyid: {"contributor": name, "role": role, "public_key": public.replace("\n", ""), "revoked": str(revoked)}
        for keyid, name, role, public, revoked in rows
    }


def subjects_after(database: Database, seq: int) -> set[str]:
    """What entries after `seq` tell of: they were appended while an audit ran."""
    with database.connection() as connection:
        rows = connection.execute("SELECT subject FROM provenance WHERE seq > %s", [seq]).fetchall()
    return {row[0] for row in rows}


def chain_length(database: Database) -> int:
    """The number of entries."""
    with database.connection() as connection:
        return one(connection.execute("SELECT coalesce(max(seq), 0) FROM provenance"))[0]
