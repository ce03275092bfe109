"""Whether there is anything that a decision would be about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import LiteralString

from spectra.errors import NotFound
from spectra.model.findingrecords import FindingKey
from spectra.model.triage import Target
from spectra.store.database import Connection, Database
from spectra.store.timeline import PROTOCOL_NUMBER

# Now or at any time before: a decision may be about what is closed, or was taken back. In parts, for the indexes.
_FOUND: LiteralString = """
SELECT k.n FROM unnest(%s::inet[], %s::int4[], %s::int2[], %s::text[]) WITH ORDINALITY AS k (ip, port, protocol, cve, n)
JOIN vuln v ON v.cve = k.cve
WHERE EXISTS (
  SELECT FROM (
    SELECT e.service FROM endpoint e
    WHERE (e.ip, e.port, e.protocol) = (k.ip, k.port, k.protocol) AND e.state = 'o'
    UNION ALL
    SELECT p.service FROM endpoint_version p
    WHERE (p.ip, p.port, p.protocol) = (k.ip, k.port, k.protocol) AND p.state = 'o') x
  JOIN service s ON s.id = x.service
  WHERE EXISTS (SELECT FROM affected a WHERE a.software = s.software AND a.vuln = v.num AND a.until IS NULL)
    OR EXISTS (SELECT FROM affected a WHERE a.software = s.software AND a.vuln = v.num AND a.until IS NOT NULL))"""
_CVES: LiteralString = "SELECT cve FROM vuln WHERE cve = ANY(%s::text[])"
_HOSTS: LiteralString = "SELECT host(ip) FROM host WHERE ip = ANY(%s::inet[])"


def require_findings(database: Database, keys: Sequence[FindingKey]) -> None:
    """Raises `NotFound` naming the first of `keys` that is no finding and never was one."""
    columns = [
        [key.ip for key in keys],
        [key.port for key in keys],
        [PROTOCOL_NUMBER[key.protocol] for key in keys],
        [key.cve for key in keys],
    ]
    with database.connection() as connection:
        found = {row[0] for row in connection.execute(_FOUND, columns)}
    for number, key in enumerate(keys, 1):
        if number not in found:
            raise NotFound(
                f"{key.cve} was never found at {key.ip} {key.port}/{key.protocol}.",
                hint=f"Its findings: spectra host {key.ip}",
            )


def require_targets(database: Database, targets: Sequence[Target]) -> None:
    """Raises `NotFound` naming the first of `targets` whose CVE or host nobody knows."""
    with database.connection() as connection:
        cves = {row[0] for row in connection.execute(_CVES, [list({t.cve for t in targets})])}
        hosts = known_hosts(connection, {t.ip for t in targets if t.ip})
    for target in targets:
        if target.cve not in cves:
            raise NotFound(f"{target.cve} is not known.", hint="Take the feeds of weaknesses: spectra feeds --help")
        if target.ip and target.ip not in hosts:
            raise NotFound(f"{target.ip} is not known.", hint="Hosts are known by scans: spectra scan --help")


def known_hosts(connection: Connection, ips: set[str]) -> set[str]:
    """Those of these addresses that were ever seen."""
    return {row[0] for row in connection.execute(_HOSTS, [list(ips)])}
