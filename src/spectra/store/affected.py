"""Which weaknesses stored software has (`AFFECTED_BY`): what evaluating it needs, and keeping what came of it.

Rules are read by family: of all products that are one software under several names. What an evaluation finds is held
against the rows that are open, and only what differs is written: a row that is new, one that ends, one whose reason
changed and which therefore keeps its date. All of it inside the transaction of `store.software.alone`.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import LiteralString, NamedTuple

import msgspec

from spectra.model.vulns import Product, Rule
from spectra.store.database import Connection, one
from spectra.store.rows import encode
from spectra.store.vulnrules import unpack_configurations

# In order: of two rules of one CVE that are as sure as each other the first counts, whatever else is looked at.
_RULES: LiteralString = """
SELECT p.family, r.num, p.id, p.part, p.vendor, p.product, v.cve, v.configured, v.status, r.body
FROM product p JOIN vuln_rule r ON r.product = p.id JOIN vuln v ON v.num = r.num
WHERE v.status <> 'rejected' AND """
_ORDER: LiteralString = " ORDER BY p.family, r.num, p.id"

# A row that a sync holds at this moment is left for later: what that sync writes cannot be seen yet.
_NEWS: LiteralString = """
DELETE FROM vuln_news WHERE num IN (SELECT num FROM vuln_news ORDER BY num LIMIT %s FOR UPDATE SKIP LOCKED)
RETURNING num"""

# Software that the new rules of these CVEs may concern, or that the old ones did. What waits to be matched is left out.
_TOUCHED: LiteralString = """
WITH family AS MATERIALIZED (
  SELECT DISTINCT p.family FROM vuln_rule r JOIN product p ON p.id = r.product WHERE r.num = ANY(%(nums)s)),
touched AS MATERIALIZED (
  SELECT sp.software FROM family JOIN product p ON p.family = family.family
    JOIN software_product sp ON sp.product = p.id
  UNION SELECT a.software FROM affected a WHERE a.vuln = ANY(%(nums)s) AND a.until IS NULL)"""

_UPDATE: LiteralString = """
UPDATE affected a SET reason = r.reason, confidence = r.confidence, identity = r.identity, patched = r.patched
FROM json_to_recordset(%s::json) AS r
  (software int4, vuln int4, reason int8, confidence real, identity int2, patched text)
WHERE a.software = r.software AND a.vuln = r.vuln AND a.until IS NULL"""
_CLOSE: LiteralString = """
UPDATE affected a SET until = greatest(%s, a.since)
FROM json_to_recordset(%s::json) AS r (software int4, vuln int4)
WHERE a.software = r.software AND a.vuln = r.vuln AND a.until IS NULL"""
_REASONS: LiteralString = """
INSERT INTO reason (id, product, criterion, range, source, requires)
SELECT id, product, criterion, range, source, requires FROM json_to_recordset(%s::json)
  AS r (id int8, product int4, criterion text, range text, source text, requires text[])
ON CONFLICT DO NOTHING"""


class StoredRule(NamedTuple):
    """A rule, with the numbers of its CVE and its product."""

    num: int
    product: int
    rule: Rule


class Finding(NamedTuple):
    """One open row, without what it is about: the id of its reason, how sure, which of the names, `patched`."""

    reason: int
    confidence: float
    identity: int
    patched: str


class Reason(msgspec.Struct, frozen=True, array_like=True):
    """Why: what is equal for all software that a criterion holds for. `product` is a product's id."""

    product: int
    criterion: str
    range: str
    source: str
    requires: tuple[str, ...]

    @property
    def id(self) -> int:
        """Its address: 63 bits of the hash of all of it."""
        return int.from_bytes(hashlib.blake2b(msgspec.json.encode(self), digest_size=8).digest()) >> 1


class Differences:
    """What an evaluation found to be otherwise than it is stored."""

    def __init__(self) -> None:
        self.opened: list[tuple[int, int, Finding]] = []
        self.changed: list[tuple[int, int, Finding]] = []
        self.closed: list[tuple[int, int]] = []
        self.reasons: dict[int, Reason] = {}

    def compare(self, software: int, found: Mapping[int, Finding], stored: Mapping[int, Finding]) -> None:
        """Note how what was found of a software differs from its open rows; both by the CVE's number."""
        for num, finding in found.items():
            known = stored.get(num)
            if known is None:
                self.opened.append((software, num, finding))
            elif known != finding:
                self.changed.append((software, num, finding))
        self.closed += [(software, num) for num in stored if num not in found]


class Stored(NamedTuple):
    """Software as it is stored."""

    id: int
    body: str


def waiting(connection: Connection, limit: int, *, fresh: bool = False) -> list[Stored]:
    """Software that waits to be matched, what never was first and what is alike together; `fresh`: only the former."""
    rows = connection.execute(
        """SELECT id, body FROM software WHERE pending <= %s ORDER BY pending, product, id LIMIT %s""",
        [0 if fresh else 1, limit],
    )
    return [Stored(*row) for row in rows]


def matched(connection: Connection, ids: Sequence[int], now: datetime) -> None:
    """Note that the findings of these software are up to date."""
    connection.execute("UPDATE software SET pending = NULL, matched = %s WHERE id = ANY(%s)", [now, list(ids)])


def families(connection: Connection, ids: Sequence[int]) -> dict[Product, int]:
    """The family of each product that one of these software is named by."""
    rows = connection.execute(
        """SELECT DISTINCT p.part, p.vendor, p.product, p.family
           FROM software_product sp JOIN product p ON p.id = sp.product WHERE sp.software = ANY(%s)""",
        [list(ids)],
    )
    return {Product(part, vendor, product): family for part, vendor, product, family in rows}


def rules(connection: Connection, families: Sequence[int]) -> dict[int, list[StoredRule]]:
    """The rules of each of these families, in order of CVE and product."""
    found: dict[int, list[StoredRule]] = {family: [] for family in families}
    _read(connection, "p.family = ANY(%s)", list(families), found)
    return found


def rules_of(connection: Connection, nums: Sequence[int]) -> dict[int, list[StoredRule]]:
    """The rules of these CVEs by family, in the same order."""
    found: dict[int, list[StoredRule]] = {}
    _read(connection, "r.num = ANY(%s)", list(nums), found)
    return found


def _read(connection: Connection, where: LiteralString, of: list[int], found: dict[int, list[StoredRule]]) -> None:
    rows = connection.execute(_RULES + where + _ORDER, [of], binary=True)
    for family, num, key, part, vendor, product, cve, source, status, body in rows:
        rule = Rule(cve, source, Product(part, vendor, product), unpack_configurations(body), status)
        found.setdefault(family, []).append(StoredRule(num, key, rule))


def members(connection: Connection, families: Sequence[int]) -> dict[Product, int]:
    """All products of these families, and which of them each is of."""
    rows = connection.execute(
        "SELECT part, vendor, product, family FROM product WHERE family = ANY(%s)", [list(families)]
    )
    return {Product(part, vendor, product): family for part, vendor, product, family in rows.fetchall()}


def findings_of(connection: Connection, nums: Sequence[int], limit: int) -> dict[int, dict[int, Finding]] | None:
    """The open rows of these CVEs, by software and CVE; None where there are more than `limit`."""
    rows = connection.execute(
        """SELECT software, vuln, reason, confidence, identity, patched FROM affected
           WHERE vuln = ANY(%s) AND until IS NULL LIMIT %s""",
        [list(nums), limit + 1],
    ).fetchall()
    if len(rows) > limit:
        return None
    found: dict[int, dict[int, Finding]] = defaultdict(dict)
    for software, vuln, reason, confidence, identity, patched in rows:
        found[software][vuln] = Finding(reason, confidence, identity, patched)
    return found


def findings(
    connection: Connection, ids: Sequence[int], nums: Sequence[int] | None = None
) -> dict[int, dict[int, Finding]]:
    """The open rows of these software, by software and CVE; of these CVEs only, if that is asked for."""
    params = {"ids": list(ids), "nums": None if nums is None else list(nums)}
    query: LiteralString = """SELECT software, vuln, reason, confidence, identity, patched FROM affected
                              WHERE software = ANY(%(ids)s) AND until IS NULL"""
    if nums is not None:
        query += " AND vuln = ANY(%(nums)s)"
    found: dict[int, dict[int, Finding]] = {key: {} for key in ids}
    for software, vuln, reason, confidence, identity, patched in connection.execute(query, params).fetchall():
        found[software][vuln] = Finding(reason, confidence, identity, patched)
    return found


def write(connection: Connection, differences: Differences, now: datetime) -> None:
    """Make the open rows what was found."""
    d = differences
    used = {finding.reason for _, _, finding in (*d.opened, *d.changed)}
    if used:
        reasons = [{"id": key, **msgspec.structs.asdict(d.reasons[key])} for key in sorted(used)]
        connection.execute(_REASONS, [encode(reasons).decode()])
    if d.closed:
        closed = [{"software": software, "vuln": num} for software, num in d.closed]
        connection.execute(_CLOSE, [now, encode(closed).decode()])
    if d.changed:
        changed = [{"software": s, "vuln": num, **finding._asdict()} for s, num, finding in d.changed]
        connection.execute(_UPDATE, [encode(changed).decode()])
    if d.opened:
        _copy(connection, d.opened, now)


def _copy(connection: Connection, opened: Iterable[tuple[int, int, Finding]], now: datetime) -> None:
    at = now.isoformat()
    text = "".join([f"{s}\t{num}\t{at}\t{f[0]}\t{f[1]}\t{f[2]}\t{f[3]}\n" for s, num, f in opened])
    statement = "COPY affected (software, vuln, since, reason, confidence, identity, patched) FROM STDIN"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(text)


def news(connection: Connection, limit: int | None) -> list[int]:
    """Take the next CVEs whose rules changed off the list, together with what is made of them: in one transaction."""
    return [num for (num,) in connection.execute(_NEWS, [limit])]


def has_more_news(connection: Connection, than: int) -> bool:
    """Whether more CVEs have news than that."""
    return bool(one(connection.execute("SELECT EXISTS (SELECT FROM vuln_news OFFSET %s)", [than]))[0])


def touched(connection: Connection, nums: Sequence[int], batch: int) -> Iterator[list[Stored]]:
    """Software that what changed about these CVEs may concern, in batches."""
    query = (
        _TOUCHED
        + """
      SELECT s.id, s.body FROM touched JOIN software s ON s.id = touched.software WHERE s.pending IS NULL"""
    )
    with connection.cursor("touched") as cursor:
        cursor.execute(query, {"nums": list(nums)})
        while rows := cursor.fetchmany(batch):
            yield [Stored(*row) for row in rows]


def touch(connection: Connection, nums: Sequence[int]) -> None:
    """Have all of it matched again with all rules: for more CVEs than can be looked at one by one."""
    connection.execute(
        _TOUCHED
        + """
        UPDATE software s SET pending = 1 FROM touched WHERE s.id = touched.software AND s.pending IS NULL""",
        {"nums": list(nums)},
    )
