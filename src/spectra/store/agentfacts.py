"""What agents ask of the store: who saw which host when, which addresses are hosts, and how the estate is set up.

Every list is bounded; a count beside it tells how many there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, LiteralString, NamedTuple

import msgspec

from spectra.store.database import Connection, Database, one
from spectra.store.provenance import Link
from spectra.store.rows import Extra
from spectra.store.timeline import OPEN, PROTOCOL_NAME

MAX_SEEN: Final = 300_000
"""Rows of the log that are read for one run, the newest."""
LISTED: Final = 40
MONTH: Final = timedelta(days=30)

_SEEN: LiteralString = """
SELECT * FROM (
  SELECT host(s.ip), s.seen_at, s.observation::text, s.rest IS NOT NULL, s.ports, s.states, s.extra, o.swept
  FROM sighting s JOIN observation o ON o.seq = s.observation
  WHERE s.seen_at > %(since)s AND s.seen_at <= %(until)s
  UNION ALL
  SELECT host(h.ip), q.seen_at, q.observation::text, true, NULL, NULL, '', o.swept
  FROM silence q JOIN observation o ON o.seq = q.observation JOIN host h ON h.ip <<= q.net
  WHERE q.seen_at > %(since)s AND q.seen_at <= %(until)s) AS r
ORDER BY 2 DESC LIMIT %(limit)s"""


class Seen(NamedTuple):
    """What one scan saw of one host. `ports` are the open ones (`protocol << 16 | port`), None: no answer.

    `swept`: ranges (first, last) of the ports that it asked every host for; None where it does not say.
    """

    ip: str
    at: datetime
    scan: str
    ports: frozenset[int] | None
    mac: str
    swept: tuple[tuple[int, int], ...] | None


def seen(database: Database, since: datetime, until: datetime, *, limit: int = MAX_SEEN) -> list[Seen]:
    """What was seen of every host, and what was silent, the newest first: at most `limit`."""
    with database.connection() as connection:
        rows = connection.execute(_SEEN, {"since": since, "until": until, "limit": limit}).fetchall()
    swept: dict[str, tuple[tuple[int, int], ...]] = {}
    return [_seen(row, swept) for row in rows]


def _seen(row: tuple[Any, ...], known: dict[str, tuple[tuple[int, int], ...]]) -> Seen:
    ip, at, scan, tells, ports, states, extra, swept = row
    if scan not in known:
        known[scan] = tuple((piece.lower, piece.upper - 1) for piece in swept or ())
    open_ = None if ports is None else frozenset(p for p, s in zip(ports, states, strict=False) if s == OPEN)
    mac = msgspec.json.decode(extra, type=Extra).mac if extra else ""
    return Seen(ip, at, scan, open_, mac, known[scan] if tells and known[scan] else None)


def hosts_among(database: Database, ips: Sequence[str]) -> frozenset[str]:
    """Which of these addresses are hosts that scans have seen."""
    with database.connection() as connection:
        rows = connection.execute("SELECT host(ip) FROM host WHERE ip = ANY(%s::inet[])", [list(ips)]).fetchall()
    return frozenset(row[0] for row in rows)


# Posture -------------------------------------------------------------------------------------------------------------


class Place(NamedTuple):
    """An endpoint that is told of, and why."""

    record: str
    says: str


class Told(NamedTuple):
    """How many there are, and the first of them."""

    number: int
    places: tuple[Place, ...] = ()


class Source(NamedTuple):
    """A feed of weaknesses: when it was last brought up to date."""

    name: str
    updated: datetime | None
    error: str


class Account(NamedTuple):
    """A person or machine that may use the API."""

    name: str
    role: str
    created: datetime
    password: bool
    keys: int
    oldest_key: datetime | None
    used: datetime | None


class Posture(NamedTuple):
    """How the estate stands, as far as it was scanned, and how this node is set up."""

    hosts: int
    endpoints: int
    seen_lately: int
    """Hosts that were seen within 30 days."""
    stale: Told
    clear: Told
    """Services that carry passwords or data in clear."""
    web_in_clear: Told
    """Web pages without TLS at addresses of the Internet."""
    admin: Told
    """Services for administration, and databases, at addresses of the Internet."""
    expired: Told
    expiring: Told
    weak_keys: Told
    old_tls: Told
    defaults: Told
    """Default passwords and anonymous access that a tool found."""
    obsolete: Told
    """Hosts whose system gets no updates any more, by its name."""
    scans: int
    """Days of the last 30 on which something was submitted."""
    last_scan: datetime | None
    schedules: int
    sources: tuple[Source, ...]
    accounts: tuple[Account, ...]
    nodes: int
    attested: int
    decisions: int
    """Decisions about findings that hold."""
    entries: int
    chain: str
    """What does not hold in the newest entries of the chain; empty: nothing."""


_INTERNET: LiteralString = """
  NOT e.ip <<= ANY (ARRAY['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '127.0.0.0/8', '169.254.0.0/16',
    '100.64.0.0/10', 'fc00::/7', 'fe80::/10', '::1/128', '192.0.2.0/24', '198.51.100.0/24', '203.0.113.0/24',
    '198.18.0.0/15', '2001:db8::/32']::inet[])"""
_ENDPOINT: LiteralString = "host(e.ip), e.protocol, e.port"

_CLEAR: Final = (
    "telnet",
    "ftp",
    "login",
    "shell",
    "exec",
    "rlogin",
    "tftp",
    "pop3",
    "imap",
    "ldap",
    "snmp",
    "vnc",
    "nntp",
)
_ADMIN_PORTS: Final = (
    *(22, 23, 135, 445, 512, 513, 514, 1433, 1521, 2049, 2375, 2379, 3306, 3389, 5432, 5900, 5985, 6379, 9200, 11211),
    27017,
)
_OBSOLETE: Final = (
    r"windows (95|98|2000|xp|vista|7|8)\M|windows (nt|server 2003|server 2008|server 2012)|centos( linux)? [4-7]\M"
    r"|debian( linux)? ([4-9]|10)\M|ubuntu( linux)? (1[0-8])\.|linux (2\.[46]|3\.)|freebsd ([4-9]|1[0-2])\M"
)

_QUERIES: Final[dict[str, tuple[LiteralString, LiteralString]]] = {
    "stale": (
        "FROM endpoint e LEFT JOIN service s ON s.id = e.service WHERE e.state = 'o' AND e.last_seen < %(month)s",
        "'last seen ' || to_char(e.last_seen, 'YYYY-MM-DD')",
    ),
    "clear": (
        "FROM endpoint e JOIN service s ON s.id = e.service WHERE e.state = 'o' AND s.tunnel = ''"
        " AND lower(s.name) = ANY(%(clear)s)",
        "s.name || ' in clear'",
    ),
    "web_in_clear": (
        "FROM endpoint e JOIN service s ON s.id = e.service WHERE e.state = 'o' AND s.tunnel = ''"
        f" AND lower(s.name) IN ('http', 'http-proxy', 'http-alt') AND {_INTERNET}",
        "s.name || ' without TLS'",
    ),
    "admin": (
        "FROM endpoint e LEFT JOIN service s ON s.id = e.service WHERE e.state = 'o' AND e.port = ANY(%(admin)s)"
        f" AND e.protocol = 6 AND {_INTERNET}",
        "coalesce(nullif(s.name, ''), 'open') || ' to the Internet'",
    ),
    "expired": (
        "FROM endpoint e JOIN certificate s ON s.id = e.certificate WHERE e.state = 'o' AND s.not_after < %(now)s",
        "'certificate of ' || s.subject_cn || ' ended ' || to_char(s.not_after, 'YYYY-MM-DD')",
    ),
    "expiring": (
        "FROM endpoint e JOIN certificate s ON s.id = e.certificate WHERE e.state = 'o'"
        " AND s.not_after >= %(now)s AND s.not_after < %(soon)s",
        "'certificate of ' || s.subject_cn || ' ends ' || to_char(s.not_after, 'YYYY-MM-DD')",
    ),
    "weak_keys": (
        "FROM endpoint e JOIN certificate s ON s.id = e.certificate WHERE e.state = 'o'"
        " AND s.key ~* '^(rsa|dsa) (512|768|1024|1536)$'",
        "'certificate with the key ' || s.key",
    ),
    "old_tls": (
        "FROM evidence e JOIN remark s ON s.id = e.remark WHERE (s.kind = 'nse:ssl-enum-ciphers'"
        " AND s.data ~ 'SSLv[23]|TLSv1\\.[01]')"
        " OR s.kind IN ('nse:sslv2', 'nuclei:deprecated-tls', 'nuclei:weak-cipher-suites')",
        "'offers old TLS: ' || s.kind",
    ),
    "defaults": (
        "FROM evidence e JOIN remark s ON s.id = e.remark WHERE (s.kind = 'nse:ftp-anon' AND s.data ~* 'login allowed')"
        " OR s.kind IN ('nse:http-default-accounts', 'nse:mysql-empty-password')"
        " OR s.kind ~ '^nuclei:.*default-(login|credential)'",
        "'default or no password: ' || s.kind",
    ),
}  # fmt: skip


def posture(database: Database, now: datetime) -> Posture:
    """All of it, as of now."""
    values = {
        "now": now,
        "month": now - MONTH,
        "soon": now + MONTH,
        "clear": list(_CLEAR),
        "admin": list(_ADMIN_PORTS),
        "obsolete": _OBSOLETE,
        "listed": LISTED,
    }
    with database.connection() as connection:
        fields = _numbers(connection, values)
        fields |= {name: _told(connection, *query, values) for name, query in _QUERIES.items()}
        return Posture(
            **fields,
            obsolete=_obsolete(connection, values),
            sources=_sources(connection),
            accounts=_accounts(connection),
            chain=_chain(connection),
        )


def _told(connection: Connection, rows: LiteralString, says: LiteralString, values: dict[str, Any]) -> Told:
    count = one(connection.execute(f"SELECT count(*) {rows}", values))[0]
    found = connection.execute(
        f"SELECT {_ENDPOINT}, {says} {rows} ORDER BY e.ip, e.port, e.protocol LIMIT %(listed)s", values
    )
    return Told(count, tuple(Place(_record(*row[:3]), f"{row[0]} {row[2]}: {row[3]}") for row in found))


def _record(ip: str, protocol: int, port: int) -> str:
    return f"endpoint:{ip}/{PROTOCOL_NAME.get(protocol, str(protocol))}/{port}" if port else f"host:{ip}"


def _obsolete(connection: Connection, values: dict[str, Any]) -> Told:
    rows: LiteralString = "FROM host e WHERE e.os ~* %(obsolete)s"
    count = one(connection.execute(f"SELECT count(*) {rows}", values))[0]
    found = connection.execute(f"SELECT host(e.ip), e.os {rows} ORDER BY e.ip LIMIT %(listed)s", values)
    return Told(count, tuple(Place(f"host:{ip}", f"{ip}: {os}") for ip, os in found))


def _numbers(connection: Connection, values: dict[str, Any]) -> dict[str, Any]:
    row = one(
        connection.execute(
            """SELECT (SELECT count(*) FROM host), (SELECT count(*) FROM endpoint WHERE state = 'o'),
              (SELECT count(*) FROM host WHERE last_seen >= %(month)s),
              (SELECT count(DISTINCT date_trunc('day', received)) FROM observation WHERE received >= %(month)s),
              (SELECT max(received) FROM observation), (SELECT count(*) FROM schedule),
              (SELECT count(*) FROM node WHERE standing = 'active'),
              (SELECT count(*) FROM attestation WHERE ok AND held),
              (SELECT count(*) FROM triage WHERE removed IS NULL AND (until IS NULL OR until > %(now)s)),
              (SELECT coalesce(max(seq), 0) FROM provenance)""",
            values,
        )
    )
    names = ("hosts", "endpoints", "seen_lately", "scans", "last_scan", "schedules", "nodes", "attested", "decisions")
    return dict(zip((*names, "entries"), row, strict=True))


def _sources(connection: Connection) -> tuple[Source, ...]:
    rows = connection.execute("SELECT name, updated, error FROM vuln_source ORDER BY name").fetchall()
    return tuple(Source(*row) for row in rows)


def _accounts(connection: Connection) -> tuple[Account, ...]:
    """Whoever may sign in or has a key that is not revoked, but for machines."""
    rows = connection.execute(
        """SELECT c.name, c.role, c.created, coalesce(a.password <> '', false), count(k.keyid)::int, min(k.created),
             (SELECT max(used) FROM session s WHERE s.contributor = c.name)
           FROM contributor c LEFT JOIN account a ON a.name = c.name
           LEFT JOIN key k ON k.contributor = c.name AND k.revoked IS NULL
           WHERE a.disabled IS NULL AND c.role <> 'module' GROUP BY c.name, c.role, c.created, a.password
           HAVING count(k.keyid) > 0 OR a.password <> '' ORDER BY c.name LIMIT 1000"""
    ).fetchall()
    return tuple(Account(*row) for row in rows)


def _chain(connection: Connection) -> str:
    rows = connection.execute(
        "SELECT seq, hash, previous, at, kind, subject, entry FROM provenance ORDER BY seq DESC LIMIT 500"
    ).fetchall()
    newer: Link | None = None
    for row in rows:
        link = Link(*row)
        if link.hash != link.expected_hash() or (newer is not None and newer.previous != link.hash):
            return f"entry {link.seq} does not hold"
        newer = link
    return ""
