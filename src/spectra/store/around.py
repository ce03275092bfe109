"""The hosts around a host: those that share a certificate, a key, a card, a name, a banner or a network with it.

Everything is bounded: so many things of a host are followed, each over so many endpoints, so that a host with the
default page of a web server costs no more than any other.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any, Final, LiteralString, NamedTuple

from spectra.errors import NotFound
from spectra.model.around import REACH, RELATIONS, Around, AroundHost, Relation, Tie
from spectra.store.database import Connection, Database
from spectra.store.timeline import PROTOCOL_NAME

MAX_PORTS: Final = 8
_FOLLOWED: Final = 8  # certificates, keys, names and banners of the host, each
_KEYS: Final = ["nse:ssh-hostkey"]  # remarks that name a key
_LABEL: Final = 200  # characters

# Of each tie: what it is, its label, endpoints of the host as arrays of ports and protocols, and the hosts that share
# it: how many, the first of them, and whether all were looked at.
_SHARED: Final[LiteralString] = """
CROSS JOIN LATERAL (
  SELECT count(*) FILTER (WHERE d.ip <> %(ip)s::inet) AS total, max(d.looked) <= %(reach)s AS exact,
         (array_agg(host(d.ip) ORDER BY d.ip) FILTER (WHERE d.ip <> %(ip)s::inet))[1:%(most)s::int] AS ips
  FROM (SELECT x.ip, sum(count(*)) OVER () AS looked FROM """
_BOUND: Final[LiteralString] = " LIMIT %(reach)s + 1) x GROUP BY x.ip) d) o"

_CERTIFICATE: Final[LiteralString] = f"""
SELECT encode(c.sha256, 'hex'), coalesce(nullif(c.subject_cn, ''), nullif(c.subject, ''), encode(c.sha256, 'hex')),
       m.ports, m.protocols, o.total, o.exact, o.ips
FROM (SELECT certificate, array_agg(port ORDER BY port, protocol) AS ports,
             array_agg(protocol::int4 ORDER BY port, protocol) AS protocols
      FROM endpoint WHERE ip = %(ip)s::inet AND state = 'o' AND certificate IS NOT NULL
      GROUP BY certificate ORDER BY min(port), certificate LIMIT %(followed)s) m
JOIN certificate c ON c.id = m.certificate
{_SHARED} (SELECT e.ip FROM endpoint e WHERE e.certificate = m.certificate AND e.state = 'o'{_BOUND}"""
_BANNER: Final[LiteralString] = f"""
SELECT b.id::text, coalesce(nullif(b.title, ''), left(b.text, %(label)s)), m.ports, m.protocols, o.total, o.exact, o.ips
FROM (SELECT banner, array_agg(port ORDER BY port, protocol) AS ports,
             array_agg(protocol::int4 ORDER BY port, protocol) AS protocols
      FROM endpoint WHERE ip = %(ip)s::inet AND state = 'o' AND banner IS NOT NULL
      GROUP BY banner ORDER BY min(port), banner LIMIT %(followed)s) m
JOIN banner b ON b.id = m.banner
{_SHARED} (SELECT e.ip FROM endpoint e WHERE e.banner = m.banner AND e.state = 'o'{_BOUND}"""
_KEY: Final[LiteralString] = f"""
SELECT r.id::text, left(r.data, %(label)s), m.ports, m.protocols, o.total, o.exact, o.ips
FROM (SELECT v.remark, array_agg(v.port ORDER BY v.port, v.protocol) AS ports,
             array_agg(v.protocol::int4 ORDER BY v.port, v.protocol) AS protocols
      FROM evidence v JOIN remark k ON k.id = v.remark
      WHERE v.ip = %(ip)s::inet AND k.kind = ANY(%(keys)s)
      GROUP BY v.remark ORDER BY max(v.last_seen) DESC, v.remark LIMIT %(followed)s) m
JOIN remark r ON r.id = m.remark
{_SHARED} (SELECT v.ip FROM evidence v WHERE v.remark = m.remark{_BOUND}"""
_NAME: Final[LiteralString] = f"""
SELECT m.name, m.name, '{{}}'::int4[], '{{}}'::int4[], o.total, o.exact, o.ips
FROM (SELECT DISTINCT name FROM hostname WHERE ip = %(ip)s::inet ORDER BY name LIMIT %(followed)s) m
{_SHARED} (SELECT n.ip FROM hostname n WHERE reverse(n.name) = reverse(m.name){_BOUND}"""
_MAC: Final[LiteralString] = f"""
SELECT m.mac, concat_ws(' ', m.mac, nullif(m.vendor, '')), '{{}}'::int4[], '{{}}'::int4[], o.total, o.exact, o.ips
FROM (SELECT mac, vendor FROM host WHERE ip = %(ip)s::inet AND mac <> '') m
{_SHARED} (SELECT h.ip FROM host h WHERE h.mac = m.mac AND h.mac <> ''{_BOUND}"""
# By the key's index: the addresses of the network are a range of it.
_NETWORK: Final[LiteralString] = f"""
SELECT %(net)s, %(net)s, '{{}}'::int4[], '{{}}'::int4[], o.total, o.exact, o.ips
FROM (SELECT 1) m
{_SHARED} (SELECT h.ip FROM host h WHERE h.ip BETWEEN %(first)s::inet AND %(last)s::inet ORDER BY h.ip{_BOUND}"""
_ASN: Final[LiteralString] = f"""
SELECT m.asn::text, concat_ws(' ', 'AS' || m.asn, nullif(m.org, '')), '{{}}'::int4[], '{{}}'::int4[],
       o.total, o.exact, o.ips
FROM (SELECT p.asn, p.org FROM host h JOIN place p ON p.id = h.place WHERE h.ip = %(ip)s::inet AND p.asn <> 0) m
{_SHARED} (SELECT h.ip FROM place p CROSS JOIN LATERAL (
             SELECT n.ip FROM host n WHERE n.place = p.id LIMIT %(reach)s + 1) h WHERE p.asn = m.asn{_BOUND}"""
_STATEMENTS: Final[dict[Relation, LiteralString]] = {
    "certificate": _CERTIFICATE,
    "key": _KEY,
    "mac": _MAC,
    "name": _NAME,
    "banner": _BANNER,
    "network": _NETWORK,
    "asn": _ASN,
}
_QUERIES: Final[dict[Relation, str]] = {
    "certificate": "cert.sha256:{}",
    "mac": "mac:{}",
    "name": "hostname:{}",
    "network": "net:{}",
    "asn": "asn:{}",
}
_KNOWN: Final[LiteralString] = "SELECT 1 FROM host WHERE ip = %(ip)s::inet"
_DETAILS: Final[LiteralString] = """
SELECT host(h.ip), h.last_seen, coalesce(n.name, ''), h.os, coalesce(p.country, ''), ARRAY(
  SELECT DISTINCT e.port FROM endpoint e WHERE e.ip = h.ip AND e.state = 'o' ORDER BY e.port LIMIT %(ports)s)
FROM host h LEFT JOIN place p ON p.id = h.place
LEFT JOIN LATERAL (SELECT name FROM hostname WHERE ip = h.ip ORDER BY name LIMIT 1) n ON true
WHERE h.ip = ANY(%(ips)s::inet[])"""


class _Found(NamedTuple):
    what: str
    label: str
    ports: list[int]
    protocols: list[int]
    total: int
    exact: bool | None
    ips: list[str] | None


def around(database: Database, ip: str, *, relation: Relation | None = None, most: int = 12) -> Around:
    """What ties the host `ip` (canonical) to others, of each tie the first `most` hosts; of one `relation` or all.

    Raises `NotFound` for a host that was never seen.
    """
    address = ipaddress.ip_address(ip)
    net = ipaddress.ip_network((address, 24 if address.version == 4 else 64), strict=False)
    params: dict[str, Any] = {"ip": ip, "reach": REACH, "most": most, "followed": _FOLLOWED, "keys": _KEYS}
    params |= {"label": _LABEL, "net": str(net), "first": str(net[0]), "last": str(net[-1])}
    wanted: tuple[Relation, ...] = (relation,) if relation else RELATIONS
    with database.connection() as connection:
        with connection.pipeline():
            known = connection.execute(_KNOWN, params)
            cursors = [connection.execute(_STATEMENTS[one], params) for one in wanted]
            if not known.fetchall():
                raise NotFound(f"No host {ip} is known.", hint=f"Scan it: spectra scan {ip} --submit")
            found: dict[Relation, list[_Found]] = {
                one: _shared(cursor.fetchall()) for one, cursor in zip(wanted, cursors, strict=True)
            }
        hosts = _hosts(connection, {other for rows in found.values() for row in rows for other in row.ips or ()})
    ties = (_tie(one, row, hosts) for one, rows in found.items() for row in rows)
    return Around(ip, tuple(ties))


def _shared(rows: Iterable[tuple[Any, ...]]) -> list[_Found]:
    """Those that another host has too, the rarest first."""
    found = (_Found(*row) for row in rows)
    return sorted((one for one in found if one.total), key=lambda one: (one.total, one.label, one.what))


def _hosts(connection: Connection, ips: set[str]) -> dict[str, AroundHost]:
    if not ips:
        return {}
    rows = connection.execute(_DETAILS, {"ips": sorted(ips), "ports": MAX_PORTS})
    return {
        ip: AroundHost(ip=ip, last_seen=seen, hostname=name, os=system, country=country, ports=tuple(ports))
        for ip, seen, name, system, country, ports in rows
    }


def _tie(relation: Relation, row: _Found, hosts: dict[str, AroundHost]) -> Tie:
    endpoints = (f"{p}/{PROTOCOL_NAME[t]}" if p else "" for p, t in zip(row.ports, row.protocols, strict=True))
    return Tie(
        relation=relation,
        what=row.what,
        label=" ".join(row.label.split())[:_LABEL] or row.what,
        total=row.total,
        exact=bool(row.exact),
        endpoints=tuple(one for one in endpoints if one),
        hosts=tuple(hosts[ip] for ip in row.ips or () if ip in hosts),
        query=_QUERIES.get(relation, "").format(row.what),
    )
