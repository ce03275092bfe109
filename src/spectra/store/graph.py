"""Writing observations into the graph: the one piece of code behind the fast path and the workflows.

A `GraphWriter` lives inside the caller's transaction. Records are gathered into batches of hosts; for each batch the
host rows are upserted first, which locks everything below those hosts and tells which of them are

- new: their endpoints are inserted,
- newer than anything known: one step of the timeline fold, in SQL,
- late (another observation of that host is as new or newer): folded again from the log by `store.history`.

So a late or out-of-order observation lands in its place, and the order of arrival does not change the graph.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import datetime
from typing import Final, LiteralString

import msgspec

from spectra.model.envelope import Counts
from spectra.model.facts import HostFacts
from spectra.model.lifetimes import Lifetimes
from spectra.model.observation import EndpointSeen, Evidence, HostSeen, NameSeen, Silent, Swept
from spectra.store import history
from spectra.store.content import Content, Known, NameCpe, no_cpe
from spectra.store.database import Connection, Database, one
from spectra.store.freshness import Freshness
from spectra.store.rows import (
    Digest,
    EndpointRow,
    EvidenceRow,
    Extra,
    HostnameRow,
    HostRow,
    NameSightingRow,
    SightingRow,
    SilenceRow,
    SweptRow,
    canonical_ip,
    claim_id,
    encode,
    letter,
    packed_port,
)
from spectra.store.timeline import HOLD, OPEN, PROTOCOL_NUMBER, TRUSTED

BATCH_HOSTS: Final = 2000
# Endpoints, names and remarks of the hosts in a batch: a firewall that answers on every port makes 65,535 a host.
BATCH_ROWS: Final = 40_000
LOCK: Final = 0x5EC7_0003
"""Held shared by whoever locks hosts: a writer that works alone holds it whole."""
_BATCH_SILENT: Final = 65536

_HOSTS = """
INSERT INTO host AS h (ip, first_seen, last_seen, os, os_at, mac, vendor, mac_at, place, feeds)
SELECT ip, at, at, coalesce(os, ''), CASE WHEN os <> '' THEN at END,
       coalesce(mac, ''), coalesce(vendor, ''), CASE WHEN mac <> '' THEN at END, place, feeds
FROM json_to_recordset(%s::json) AS r
  (ip inet, at timestamptz, os text, mac text, vendor text, place uuid, feeds int4)
ORDER BY ip
ON CONFLICT (ip) DO UPDATE SET
  previous_seen = h.last_seen,
  first_seen = least(h.first_seen, excluded.first_seen),
  last_seen = greatest(h.last_seen, excluded.last_seen),
  os = CASE WHEN (excluded.os_at, excluded.os COLLATE "C") > (h.os_at, h.os) OR h.os_at IS NULL
            THEN excluded.os ELSE h.os END,
  os_at = greatest(h.os_at, excluded.os_at),
  mac = CASE WHEN (excluded.mac_at, excluded.mac COLLATE "C", excluded.vendor COLLATE "C")
                  > (h.mac_at, h.mac, h.vendor) OR h.mac_at IS NULL THEN excluded.mac ELSE h.mac END,
  vendor = CASE WHEN (excluded.mac_at, excluded.mac COLLATE "C", excluded.vendor COLLATE "C")
                     > (h.mac_at, h.mac, h.vendor) OR h.mac_at IS NULL THEN excluded.vendor ELSE h.vendor END,
  mac_at = greatest(h.mac_at, excluded.mac_at),
  place = CASE WHEN excluded.feeds >= h.feeds OR h.feeds IS NULL THEN excluded.place ELSE h.place END,
  feeds = greatest(h.feeds, excluded.feeds)
RETURNING host(ip), previous_seen"""

_SIGHTINGS = """
INSERT INTO sighting (ip, seen_at, observation, rest, ports, states, services, certificates, banners, extra)
SELECT ip, seen_at, %s, nullif(rest, '')::"char", ports, states, services, certificates, banners, coalesce(extra, '')
FROM json_to_recordset(%s::json) AS r (ip inet, seen_at timestamptz, rest text, ports int4[], states text,
  services uuid[], certificates uuid[], banners uuid[], extra text)"""

_LOOKS = """
json_to_recordset(%s::json) AS r (ip inet, port int4, protocol int2, state "char", at timestamptz,
  service uuid, certificate uuid, banner uuid, place uuid, life int4)"""

# How far this observation is trusted, and by whom it is: the same for all its looks.
_TRUST = "%s::real AS trust, %s::text AS sole, %s::bool AS untrusted"
_NEW_ENDPOINTS = f"""
INSERT INTO endpoint (ip, port, protocol, state, service, certificate, banner, since, confirmed, first_seen, last_seen,
  place, trust, sole, untrusted)
SELECT ip, port, protocol, state, service, certificate, banner, at, at, at, at, place, {_TRUST} FROM {_LOOKS}
WHERE state = 'o'"""

# A host that was known may lie elsewhere by newer feeds: its endpoints follow it.
_MOVE_ENDPOINTS = """
UPDATE endpoint e SET place = h.place FROM host h
WHERE h.ip = e.ip AND e.ip = ANY(%s::inet[]) AND e.place IS DISTINCT FROM h.place"""

# One step of timeline.step for endpoints of known hosts: `stepped` pairs each stored version with what it becomes.
# Answers how many became fresh (store/freshness.py).
_STEP_ENDPOINTS = f"""
WITH said_by AS (SELECT {_TRUST}, %s::text AS by, %s::interval AS hold),
look AS MATERIALIZED (SELECT * FROM {_LOOKS}),
swept AS MATERIALIZED (
  SELECT * FROM json_to_recordset(%s::json) AS r (ip inet, at timestamptz, rest "char") WHERE rest IS NOT NULL),
said AS (
  SELECT ip, port, protocol, state, at, service, certificate, banner, life FROM look
  UNION ALL
  SELECT e.ip, e.port, e.protocol, s.rest, s.at, NULL, NULL, NULL, NULL
  FROM swept s JOIN endpoint e ON e.ip = s.ip
  WHERE (e.protocol::int4 << 16 | e.port) <@ %s::int4multirange
    AND NOT EXISTS (SELECT FROM look l WHERE (l.ip, l.port, l.protocol) = (e.ip, e.port, e.protocol))),
stepped AS MATERIALIZED (
  SELECT e.ip, e.port, e.protocol, s.at, s.state AS new_state, s.banner AS new_banner, s.life, e.last_seen,
         e.state, e.service, e.certificate, e.banner, e.since, e.confirmed, e.trust, e.sole, e.doubt,
         CASE WHEN s.state = 'o' AND e.state = 'o' THEN coalesce(s.service, e.service) ELSE s.service END
           AS new_service,
         CASE WHEN s.state = 'o' AND e.state = 'o' THEN coalesce(s.certificate, e.certificate) ELSE s.certificate END
           AS new_certificate
  FROM said s JOIN endpoint e USING (ip, port, protocol)),
compared AS (
  SELECT *, (new_state, new_service, new_certificate) IS DISTINCT FROM (state, service, certificate) AS differs
  FROM stepped),
judged AS MATERIALIZED (
  SELECT c.*, differs AND NOT held AS fresh, differs AND held AS held
  FROM compared c CROSS JOIN said_by b CROSS JOIN LATERAL (
    SELECT b.untrusted AND b.trust < c.trust AND c.at - c.confirmed <= b.hold AND c.doubt IN ('', b.by) AS held) h),
archived AS (
  INSERT INTO endpoint_version
    (ip, port, protocol, state, service, certificate, banner, since, confirmed, until, trust, sole, doubt)
  SELECT ip, port, protocol, state, service, certificate, banner, since, confirmed, at, trust, sole, doubt
  FROM judged WHERE fresh),
doubted AS (
  UPDATE endpoint e SET doubt = b.by, untrusted = true
  FROM judged j, said_by b WHERE (e.ip, e.port, e.protocol) = (j.ip, j.port, j.protocol) AND j.held),
updated AS (
  UPDATE endpoint e SET
    state = j.new_state, service = j.new_service, certificate = j.new_certificate,
    banner = CASE WHEN j.fresh THEN j.new_banner ELSE coalesce(j.new_banner, j.banner) END,
    since = CASE WHEN j.fresh THEN j.at ELSE j.since END,
    confirmed = j.at,
    last_seen = CASE WHEN j.new_state = 'o' THEN j.at ELSE e.last_seen END,
    trust = CASE WHEN j.fresh THEN b.trust ELSE greatest(j.trust, b.trust) END,
    sole = CASE WHEN j.fresh OR j.sole = b.sole THEN b.sole ELSE '' END,
    doubt = '',
    untrusted = e.untrusted OR b.untrusted
  FROM judged j, said_by b WHERE (e.ip, e.port, e.protocol) = (j.ip, j.port, j.protocol) AND NOT j.held),
unknown AS MATERIALIZED (
  SELECT * FROM look l WHERE state = 'o'
    AND NOT EXISTS (SELECT FROM endpoint e WHERE (e.ip, e.port, e.protocol) = (l.ip, l.port, l.protocol))),
added AS (
  INSERT INTO endpoint (ip, port, protocol, state, service, certificate, banner, since, confirmed, first_seen,
    last_seen, place, trust, sole, untrusted)
  SELECT ip, port, protocol, state, service, certificate, banner, at, at, at, at,
    (SELECT h.place FROM host h WHERE h.ip = u.ip), b.trust, b.sole, b.untrusted
  FROM unknown u, said_by b)
SELECT (SELECT count(*) FROM unknown, said_by b WHERE life > 0 AND NOT b.untrusted)
  + (SELECT count(*) FROM judged j, said_by b WHERE j.life > 0 AND NOT j.held
       AND j.at - j.last_seen >= make_interval(secs => j.life)
       AND (NOT b.untrusted OR NOT j.fresh AND j.sole <> b.sole))"""

_HOSTNAMES = """
INSERT INTO hostname AS h (ip, name, kind, first_seen, last_seen)
SELECT ip, name, kind, min(at), max(at)
FROM json_to_recordset(%s::json) AS r (ip inet, name text, kind text, at timestamptz)
GROUP BY ip, name, kind ORDER BY ip, name, kind
ON CONFLICT (ip, name, kind) DO UPDATE SET
  first_seen = least(h.first_seen, excluded.first_seen), last_seen = greatest(h.last_seen, excluded.last_seen)"""

_EVIDENCE = """
INSERT INTO evidence AS e (ip, port, protocol, remark, first_seen, last_seen)
SELECT ip, port, protocol, remark, min(at), max(at)
FROM json_to_recordset(%s::json) AS r (ip inet, port int4, protocol int2, remark uuid, at timestamptz)
GROUP BY ip, port, protocol, remark ORDER BY ip, port, protocol, remark
ON CONFLICT (ip, port, protocol, remark) DO UPDATE SET
  first_seen = least(e.first_seen, excluded.first_seen), last_seen = greatest(e.last_seen, excluded.last_seen)"""

_NAMES = """
WITH r AS MATERIALIZED (
  SELECT * FROM json_to_recordset(%(rows)s::json) AS r (name text, seen_at timestamptz, remarks uuid[])),
logged AS (
  INSERT INTO name_sighting (name, seen_at, observation, remarks)
  SELECT name, seen_at, %(observation)s, remarks FROM r)
INSERT INTO name AS n (name, first_seen, last_seen)
SELECT name, min(seen_at), max(seen_at) FROM r GROUP BY name ORDER BY name
ON CONFLICT (name) DO UPDATE SET
  first_seen = least(n.first_seen, excluded.first_seen), last_seen = greatest(n.last_seen, excluded.last_seen)"""

_SILENCES = """
INSERT INTO silence (net, seen_at, observation)
SELECT net, seen_at, %s FROM json_to_recordset(%s::json) AS r (net cidr, seen_at timestamptz)"""

# Few of those who did not answer are known hosts: plans ask for these (store/staleness.py).
_SILENT_HOSTS = """
INSERT INTO silent_host AS s (ip, seen_at)
SELECT h.ip, max(r.seen_at)
FROM json_to_recordset(%s::json) AS r (net cidr, seen_at timestamptz)
  JOIN host h ON h.ip BETWEEN host(network(r.net))::inet AND host(broadcast(r.net))::inet
GROUP BY h.ip ORDER BY h.ip
ON CONFLICT (ip) DO UPDATE SET seen_at = greatest(s.seen_at, excluded.seen_at)"""


class GraphWriter:
    """Writes one observation's records inside the transaction of `connection`.

    `add` every record, then `finish`. The digest that `finish` gives covers every row of the log that was written
    (empty where none was); provenance keeps it, so that an edited row is found out. Once the transaction is on disk,
    `remember` what content the database has.

    Two writers of several batches each may lock the same hosts in opposite orders; PostgreSQL ends one of them
    (`Unavailable`, reason `conflict`). That one goes on `alone`: it waits for all others and keeps new ones waiting, so
    that it cannot meet anybody again.
    """

    def __init__(
        self,
        database: Database,
        connection: Connection,
        known: Known,
        observation: int,
        *,
        alone: bool = False,
        cpe: NameCpe = no_cpe,
        lifetimes: Lifetimes | None = None,
    ) -> None:
        lock = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
        connection.execute(f"SELECT {lock}(%s)", [LOCK])
        self._database = database
        self._connection = connection
        self._observation = observation
        row = connection.execute(
            "SELECT trust, contributor, received FROM observation WHERE seq = %s", [observation]
        ).fetchone()
        self._trust, self._by, received = row or (1.0, "", None)
        self._freshness = Freshness(lifetimes, received)
        self.fresh = 0
        """How many endpoints became fresh so far."""
        untrusted = self._trust < TRUSTED
        self._said_by = (self._trust, self._by if untrusted else "", untrusted)
        self._content = Content(known, cpe)
        self._digest = Digest()
        self._hosts: dict[str, HostRow] = {}
        self._facts: dict[str, HostFacts] = {}
        self._sightings: list[SightingRow] = []
        self._endpoints: dict[str, list[EndpointRow]] = {}
        self._hostnames: list[HostnameRow] = []
        self._evidence: list[EvidenceRow] = []
        self._names: list[NameSightingRow] = []
        self._silent: dict[str, datetime] = {}
        self._swept: list[tuple[int, int]] = []
        self._sweeps_end = False
        self._rows = 0  # in the batch
        self._n_hosts = self._n_endpoints = self._n_hostnames = self._n_silent = 0

    def add(self, record: HostSeen | NameSeen | Silent | Swept | HostFacts) -> None:
        """Take in one record; writes a batch whenever one is full. Facts come before the host they are about."""
        match record:
            case HostFacts():
                self._facts[record.ip] = record
            case HostSeen():
                if record.ip in self._hosts:
                    self._flush()
                self._add_host(record)
                if len(self._hosts) >= BATCH_HOSTS or self._rows >= BATCH_ROWS:
                    self._flush()
            case Silent():
                self._silent[record.ip] = max(record.seen_at, self._silent.get(record.ip, record.seen_at))
                if len(self._silent) >= _BATCH_SILENT:
                    self._flush_silent()
            case NameSeen():
                remarks = [self._content.remark(e) for e in record.evidence]
                self._names.append(NameSightingRow(record.name, record.seen_at, remarks))
                self._n_hostnames += 1
                self._rows += len(remarks)
                if len(self._names) >= BATCH_HOSTS or self._rows >= BATCH_ROWS:
                    self._flush()
            case Swept():
                self._add_swept(record)

    def finish(self) -> tuple[Counts, str]:
        """Write what is left; returns what was written and the digest of the log rows."""
        self._flush()
        self._flush_silent()
        self._content.write_certificates(self._connection)
        self._note_swept()
        if self._swept:
            self._digest.add([SweptRow(self._swept)])
        counts = Counts(
            hosts=self._n_hosts, endpoints=self._n_endpoints, hostnames=self._n_hostnames, silent=self._n_silent
        )
        return counts, self._digest.hexdigest() if self._digest else ""

    def remember(self) -> None:
        """Note that the content written is durable, so that nobody of this process writes it again."""
        self._content.remember()

    def _add_swept(self, swept: Swept) -> None:
        """What was swept is a fact of the whole observation, because the log keeps it so: it has to be told before
        the first host whose `rest` it explains, and is left out when it comes later.
        """
        if self._sweeps_end:
            return
        self._flush()
        number = swept.protocol
        self._swept += [(packed_port(number, low), packed_port(number, high) + 1) for low, high in swept.ranges]
        self._swept = _merged(self._swept)

    def _add_host(self, host: HostSeen) -> None:
        ip, at = host.ip, host.seen_at
        rest = letter(host.rest) if host.rest else ""
        self._sweeps_end = self._sweeps_end or bool(rest)
        # A vendor is the MAC's: without one it could not be dated.
        facts = self._facts.pop(ip, None)
        place = self._content.place(facts.place) if facts and facts.place.known else None
        self._hosts[ip] = HostRow(
            ip, at, host.os, host.mac, host.vendor if host.mac else "", rest, place, facts and facts.feeds
        )
        age_s = self._freshness.age_s(at)
        rows = self._endpoints[ip] = [self._endpoint(ip, at, e, place, age_s) for e in host.endpoints]
        if len(rows) > 1 and len({(r.port, r.protocol) for r in rows}) < len(rows):
            rows = self._endpoints[ip] = _distinct(rows)
        row = SightingRow(
            ip,
            at,
            [r.protocol << 16 | r.port for r in rows],
            "".join([r.state for r in rows]),
            rest,
            extra=self._extra(host),
        )
        if any(r.service for r in rows):
            row.services = [r.service for r in rows]
        if any(r.certificate for r in rows):
            row.certificates = [r.certificate for r in rows]
        if any(r.banner for r in rows):
            row.banners = [r.banner for r in rows]
        self._sightings.append(row)
        self._n_hosts += 1
        self._n_endpoints += len(rows)
        self._rows += len(rows)

    def _endpoint(self, ip: str, at: datetime, seen: EndpointSeen, place: str | None, age_s: float) -> EndpointRow:
        content = self._content
        return EndpointRow(
            ip,
            seen.port,
            PROTOCOL_NUMBER[seen.protocol],
            letter(seen.state),
            at,
            content.service(seen.service) if seen.service else None,
            content.certificate(seen.certificate) if seen.certificate else None,
            content.banner(seen.banner) if seen.banner else None,
            place,
            self._freshness.life(seen.service.name if seen.service else "", age_s) if seen.state == "open" else 0,
        )

    def _extra(self, host: HostSeen) -> str:
        remarks = [(0, 0, e) for e in host.evidence]
        for seen in host.endpoints:
            if seen.evidence:
                remarks += [(seen.port, PROTOCOL_NUMBER[seen.protocol], e) for e in seen.evidence]
        claims = [e.certificate for e in host.endpoints if e.certificate]
        if not (remarks or claims or host.hostnames or host.os or host.mac):
            return ""
        return encode(
            Extra(
                names=[self._hostname(host, n.name, n.kind) for n in host.hostnames],
                remarks=[self._remark(host, port, protocol, e) for port, protocol, e in remarks],
                certificates=[(self._content.certificate(c), claim_id(c)) for c in claims],
                os=host.os,
                mac=host.mac,
                vendor=host.vendor if host.mac else "",
            )
        ).decode()

    def _hostname(self, host: HostSeen, name: str, kind: str) -> tuple[str, str]:
        self._hostnames.append(HostnameRow(host.ip, name, kind, host.seen_at))
        self._n_hostnames += 1
        self._rows += 1
        return name, kind

    def _remark(self, host: HostSeen, port: int, protocol: int, evidence: Evidence) -> tuple[int, int, str]:
        remark = self._content.remark(evidence)
        self._evidence.append(EvidenceRow(host.ip, port, protocol, remark, host.seen_at))
        self._rows += 1
        return port, protocol, remark

    def _flush(self) -> None:
        self._rows = 0
        self._content.write(self._database)
        if self._content.many_certificates:
            self._content.write_certificates(self._connection)
        if self._hosts:
            self._flush_hosts()
        self._execute(_HOSTNAMES, self._hostnames)
        self._hostnames.clear()
        self._execute(_EVIDENCE, self._evidence)
        self._evidence.clear()
        if self._names:
            named = self._digest.add(self._names)
            self._connection.execute(_NAMES, {"rows": named, "observation": self._observation})
            self._names.clear()

    def _flush_hosts(self) -> None:
        rows = list(self._hosts.values())
        found = self._connection.execute(_HOSTS, [encode(rows).decode()]).fetchall()
        previous: dict[str, datetime | None] = {canonical_ip(ip): seen for ip, seen in found}
        self._connection.execute(_SIGHTINGS, [self._observation, self._digest.add(self._sightings)])

        new = [ip for ip, seen in previous.items() if seen is None]
        newer = [ip for ip, seen in previous.items() if seen is not None and seen < self._hosts[ip].at]
        late = [ip for ip, seen in previous.items() if seen is not None and seen >= self._hosts[ip].at]
        opened = [e for ip in new for e in self._endpoints[ip] if e.state == OPEN]
        if opened:
            self._connection.execute(_NEW_ENDPOINTS, [*self._said_by, encode(opened).decode()])
            self.fresh += 0 if self._said_by[2] else sum(e.life > 0 for e in opened)
        if newer:
            looks = [e for ip in newer for e in self._endpoints[ip]]
            hosts = [self._hosts[ip] for ip in newer if self._hosts[ip].rest]
            words = [*self._said_by, self._by, HOLD, encode(looks).decode(), encode(hosts).decode()]
            self.fresh += one(self._connection.execute(_STEP_ENDPOINTS, [*words, self._multirange()]))[0]
        if late:
            self._note_swept()  # the log is read back: what this observation swept has to be in it
            looks = [e for ip in late for e in self._endpoints[ip]]
            hosts = [self._hosts[ip] for ip in late]
            history.settle(self._connection, hosts, looks, self._multirange(), self._trust)
        moved = [ip for ip in (*newer, *late) if self._hosts[ip].feeds is not None]
        if moved:
            self._connection.execute(_MOVE_ENDPOINTS, [moved])
        self._hosts.clear()
        self._sightings.clear()
        self._endpoints.clear()

    def _flush_silent(self) -> None:
        if not self._silent:
            return
        by_time: dict[datetime, list[str]] = {}
        for ip, at in self._silent.items():
            by_time.setdefault(at, []).append(ip)
        rows = [SilenceRow(net, at) for at, ips in by_time.items() for net in _collapsed(ips)]
        self._connection.execute(_SILENCES, [self._observation, self._digest.add(rows)])
        self._execute(_SILENT_HOSTS, rows)
        self._n_silent += len(self._silent)
        self._silent.clear()

    def _execute(self, statement: LiteralString, rows: Sequence[msgspec.Struct]) -> None:
        if rows:
            self._connection.execute(statement, [encode(rows).decode()])

    def _note_swept(self) -> None:
        if self._swept:
            self._connection.execute(
                "UPDATE observation SET swept = %s::int4multirange WHERE seq = %s",
                [self._multirange(), self._observation],
            )

    def _multirange(self) -> str:
        return "{" + ",".join(f"[{low},{high})" for low, high in self._swept) + "}"


def _collapsed(ips: Sequence[str]) -> list[str]:
    """The fewest networks that cover these addresses and no other."""
    nets = [ipaddress.ip_network(ip) for ip in ips]
    collapsed = (
        *ipaddress.collapse_addresses(n for n in nets if isinstance(n, ipaddress.IPv4Network)),
        *ipaddress.collapse_addresses(n for n in nets if isinstance(n, ipaddress.IPv6Network)),
    )
    return [str(net) for net in collapsed]


def _merged(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Half-open ranges in order, those that meet as one: the form in which PostgreSQL keeps a multirange."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return merged


def _distinct(rows: list[EndpointRow]) -> list[EndpointRow]:
    """One row an endpoint where a tool told of it twice: open outweighs; what one left unsaid the other says."""
    kept: dict[tuple[int, int], EndpointRow] = {}
    for row in sorted(rows, key=lambda r: r.state != OPEN):
        first = kept.setdefault((row.port, row.protocol), row)
        if first is not row and row.state == first.state:
            first.service = first.service or row.service
            first.certificate = first.certificate or row.certificate
            first.banner = first.banner or row.banner
    return list(kept.values())
