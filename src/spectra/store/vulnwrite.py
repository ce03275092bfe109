"""Writing what sources say of CVEs: a batch of records in one transaction, skipping what is known already.

One writer at a time (an advisory lock), so a batch reads, decides and writes without another one in between; the same
batch a second time changes nothing. What to make of records is the intelligence's business and injected: `Knowledge`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from spectra.model.vulns import CVE_ID, Kev, Rule, Vuln, VulnRecord
from spectra.store import packing
from spectra.store.database import Connection
from spectra.store.rows import encode
from spectra.store.vulnrules import write_rules
from spectra.store.vulns import Details, unpack_record

_LOCK: Final = 0x5EC7_0012
_MAX_TEXT: Final = 100_000  # characters of a description that are stored: a tsvector has at most 1 MiB
# PostgreSQL's text holds no NUL; what is escaped in JSON that is itself in JSON stays.
_NUL: Final = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")

Merge = Callable[[Sequence[VulnRecord]], Vuln]
"""One or more records of one CVE to what they say together."""
RulesOf = Callable[[Vuln], Sequence[Rule]]
"""The rules of a CVE, one a product."""
Risk = Callable[[float | None, str, float | None, bool, bool, str], float]
"""Priority (0..100) by CVSS score, severity, EPSS score, whether in KEV, used by ransomware, and SSVC exploitation."""


class Knowledge(NamedTuple):
    """What is made of records: see `intel.vulns.merge`, `intel.correlate` and `intel.priority`."""

    merge: Merge
    rules_of: RulesOf
    word: Callable[[str], str]
    risk: Risk


class Outcome(NamedTuple):
    """What became of a batch: of `done` records `added` are of CVEs that this source had not told of, `changed` say
    something else than before, `older` are of an earlier time than what is stored. `news` CVEs have other rules now.
    """

    done: int = 0
    added: int = 0
    changed: int = 0
    older: int = 0
    news: int = 0


class _Known(NamedTuple):
    """What is stored of a CVE; `digest` and `modified` of this source's record."""

    num: int
    status: str
    configured: str
    digest: bytes | None
    modified: datetime | None


class Scores(NamedTuple):
    """What the score and the catalogue say of a CVE."""

    epss: float | None = None
    percentile: float | None = None
    kev: Kev | None = None


def lock(connection: Connection) -> None:
    """Until the transaction ends, nobody else writes weaknesses."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


class Writer:
    """Writes within one transaction of the caller's."""

    def __init__(self, connection: Connection, intel: Knowledge, now: datetime) -> None:
        self._connection = connection
        self._intel = intel
        self._now = now

    def write(self, told: Sequence[VulnRecord]) -> Outcome:
        """Store what one source tells. Any number of records of one CVE: the newest counts.

        A record that was modified before the one that is stored of the same source is not taken: sources have mirrors,
        and mirrors are late.
        """
        records = _newest(told)
        if not records:
            return Outcome(len(told))
        lock(self._connection)
        source = told[0].source
        known = self._known(source, list(records))
        fresh: dict[str, tuple[VulnRecord, bytes]] = {}
        older = added = 0
        for cve, record in records.items():
            plain = packing.canonical(record)
            before = known.get(cve)
            if before is not None and before.digest == packing.sha256(plain):
                continue
            if before is not None and _is_older(record.modified, before.modified):
                older += 1
                continue
            added += before is None or before.digest is None
            fresh[cve] = record, plain
        news = self._settle(source, fresh, known) if fresh else 0
        return Outcome(len(told), added, len(fresh) - added, older, news)

    def forget(self, source: str, after: int, limit: int) -> tuple[int, int]:
        """Take back what `source` told of the next CVEs after the number `after`; returns the last number and how many.

        A CVE that nobody tells of any more goes, unless findings refer to it: then it stays without text and rules.
        """
        lock(self._connection)
        rows = self._connection.execute(
            """SELECT v.num, v.cve, v.status, v.configured FROM vuln_record r JOIN vuln v USING (num)
               WHERE r.source = %s AND r.num > %s ORDER BY r.num LIMIT %s""",
            [source, after, limit],
        ).fetchall()
        if not rows:
            return after, 0
        numbers = [num for num, *_ in rows]
        others = self._others(source, numbers)
        self._connection.execute("DELETE FROM vuln_record WHERE source = %s AND num = ANY(%s)", [source, numbers])
        vulns = {cve: self._intel.merge(others[num]) if num in others else Vuln(cve) for num, cve, *_ in rows}
        nums = self._write_vulns(vulns)
        self._write_rules(nums, vulns, {cve: (status, configured) for _, cve, status, configured in rows})
        self._connection.execute(_BARE, [[num for num in numbers if num not in others]])
        return numbers[-1], len(numbers)

    def _settle(self, source: str, fresh: Mapping[str, tuple[VulnRecord, bytes]], known: Mapping[str, _Known]) -> int:
        """Write what is new; returns how many CVEs have other rules now."""
        others = self._others(source, [known[cve].num for cve in fresh if cve in known])
        vulns = {
            cve: self._intel.merge([record, *others.get(known[cve].num, ())] if cve in known else [record])
            for cve, (record, _) in fresh.items()
        }
        nums = self._write_vulns(vulns)
        rows = [_record_row(nums[cve], record, plain, self._now) for cve, (record, plain) in fresh.items()]
        self._connection.execute(_RECORD, [json(rows)])
        before = {cve: (known[cve].status, known[cve].configured) for cve in fresh if cve in known}
        return self._write_rules(nums, vulns, before)

    def _known(self, source: str, cves: list[str]) -> dict[str, _Known]:
        rows = self._connection.execute(
            """SELECT v.cve, v.num, v.status, v.configured, r.digest, r.modified FROM vuln v
               LEFT JOIN vuln_record r ON r.num = v.num AND r.source = %s WHERE v.cve = ANY(%s)""",
            [source, cves],
            binary=True,
        )
        return {cve: _Known(*rest) for cve, *rest in rows}

    def _others(self, source: str, nums: list[int]) -> dict[int, list[VulnRecord]]:
        """What the other sources say of these CVEs."""
        found: dict[int, list[VulnRecord]] = {}
        if nums:
            query = "SELECT num, body FROM vuln_record WHERE num = ANY(%s) AND source <> %s"
            for num, body in self._connection.execute(query, [nums, source], binary=True):
                found.setdefault(num, []).append(unpack_record(body))
        return found

    def _write_vulns(self, vulns: Mapping[str, Vuln]) -> dict[str, int]:
        """Insert or replace what is asked for by; returns the numbers."""
        scores = scores_of(self._connection, list(vulns))
        rows = [_row(vuln, scores.get(cve, Scores()), self._intel.risk, self._now) for cve, vuln in vulns.items()]
        nums: dict[str, int] = dict(self._connection.execute(_VULN, [json(rows)], binary=True).fetchall())
        self._connection.execute(_TEXT, [json([_text(nums[cve], vuln) for cve, vuln in vulns.items()])])
        return nums

    def _write_rules(
        self, nums: Mapping[str, int], vulns: Mapping[str, Vuln], before: Mapping[str, tuple[str, str]]
    ) -> int:
        """Replace the rules, and note the CVEs that services have to be held against again; returns how many.

        `before` are status and source of the rules of those CVEs that were known.
        """
        rules = {nums[cve]: self._intel.rules_of(vuln) for cve, vuln in vulns.items()}
        changed = write_rules(self._connection, rules, [nums[cve] for cve in before], self._intel.word)
        told = {nums[cve] for cve, was in before.items() if was != (vulns[cve].status, vulns[cve].configured)}
        news = changed | {num for num in told if rules[num]}
        if news:
            self._connection.execute(_NEWS, {"nums": sorted(news), "now": self._now})
        return len(news)


def _newest(told: Iterable[VulnRecord]) -> dict[str, VulnRecord]:
    found: dict[str, VulnRecord] = {}
    for record in told:
        held = found.get(record.cve)
        if CVE_ID.fullmatch(record.cve) and not (held and _is_older(record.modified, held.modified)):
            found[record.cve] = record
    return found


def _is_older(modified: datetime | None, held: datetime | None) -> bool:
    return modified is not None and held is not None and modified < held


def scores_of(connection: Connection, cves: Sequence[str]) -> dict[str, Scores]:
    """What the score and the catalogue say of these CVEs, where they say anything."""
    rows = connection.execute(
        """SELECT t.cve, e.score, e.percentile, k.entry FROM unnest(%s::text[]) AS t (cve)
           LEFT JOIN epss e ON e.cve = t.cve LEFT JOIN kev k ON k.cve = t.cve
           WHERE e.cve IS NOT NULL OR k.cve IS NOT NULL""",
        [list(cves)],
    )
    return {cve: Scores(score, percentile, _kev(entry)) for cve, score, percentile, entry in rows}


def _kev(entry: str | None) -> Kev | None:
    return msgspec.json.decode(entry, type=Kev) if entry else None


# --- rows ---

_VULN: Final = """
INSERT INTO vuln AS v (cve, sort, status, severity, cvss, cvss_version, epss, epss_percentile, kev, ransomware,
  exploitation, risk, published, modified, configured, changed)
SELECT cve, sort, status, severity, cvss, cvss_version, epss, epss_percentile, kev, ransomware, exploitation, risk,
  published, modified, configured, changed
FROM json_to_recordset(%s::json) AS r (cve text, sort int8, status text, severity text, cvss real, cvss_version text,
  epss real, epss_percentile real, kev date, ransomware boolean, exploitation text, risk real, published timestamptz,
  modified timestamptz, configured text, changed timestamptz)
ORDER BY sort
ON CONFLICT (cve) DO UPDATE SET status = excluded.status, severity = excluded.severity, cvss = excluded.cvss,
  cvss_version = excluded.cvss_version, epss = excluded.epss, epss_percentile = excluded.epss_percentile,
  kev = excluded.kev, ransomware = excluded.ransomware, exploitation = excluded.exploitation, risk = excluded.risk,
  published = excluded.published, modified = excluded.modified, configured = excluded.configured,
  changed = excluded.changed
RETURNING cve, num"""

_TEXT: Final = """
INSERT INTO vuln_text AS t (num, title, description, details, weaknesses)
SELECT num, title, description, details, weaknesses
FROM json_to_recordset(%s::json) AS r (num int4, title text, description text, details text, weaknesses text[])
ORDER BY num
ON CONFLICT (num) DO UPDATE SET title = excluded.title, description = excluded.description,
  details = excluded.details, weaknesses = excluded.weaknesses
WHERE (t.title, t.description, t.details, t.weaknesses)
  IS DISTINCT FROM (excluded.title, excluded.description, excluded.details, excluded.weaknesses)"""

_RECORD: Final = """
INSERT INTO vuln_record (num, source, digest, modified, taken, configured, scored, body)
SELECT num, source, decode(digest, 'base64'), modified, taken, configured, scored, decode(body, 'base64')
FROM json_to_recordset(%s::json) AS r (num int4, source text, digest text, modified timestamptz, taken timestamptz,
  configured boolean, scored boolean, body text)
ORDER BY num
ON CONFLICT (num, source) DO UPDATE SET digest = excluded.digest, modified = excluded.modified,
  taken = excluded.taken, configured = excluded.configured, scored = excluded.scored, body = excluded.body"""

_NEWS: Final = """
INSERT INTO vuln_news (num, at) SELECT num, %(now)s FROM unnest(%(nums)s::int4[]) AS t (num) ORDER BY num
ON CONFLICT (num) DO UPDATE SET at = excluded.at"""

_BARE: Final = """
DELETE FROM vuln v WHERE num = ANY(%s::int4[])
  AND NOT EXISTS (SELECT FROM affected a WHERE a.vuln = v.num AND a.until IS NULL)
  AND NOT EXISTS (SELECT FROM affected a WHERE a.vuln = v.num AND a.until IS NOT NULL)
  AND NOT EXISTS (SELECT FROM vuln_record r WHERE r.num = v.num)"""


def _row(vuln: Vuln, scores: Scores, risk: Risk, now: datetime) -> dict[str, Any]:
    year, number = vuln.cve.removeprefix("CVE-").split("-")
    metric, kev = vuln.metric, scores.kev
    score, severity = (metric.score, metric.severity) if metric else (None, "")
    exploitation = vuln.ssvc.exploitation if vuln.ssvc else ""
    ransomware = kev is not None and kev.ransomware
    return {
        "cve": vuln.cve,
        "sort": int(year) * 10**9 + int(number),
        "status": vuln.status,
        "severity": severity,
        "cvss": score,
        "cvss_version": metric.version if metric else "",
        "epss": scores.epss,
        "epss_percentile": scores.percentile,
        "kev": kev.added if kev else None,
        "ransomware": ransomware,
        "exploitation": exploitation,
        "risk": risk(score, severity, scores.epss, kev is not None, ransomware, exploitation),
        "published": vuln.published,
        "modified": vuln.modified,
        "configured": vuln.configured,
        "changed": now,
    }


def _text(num: int, vuln: Vuln) -> dict[str, Any]:
    return {
        "num": num,
        "title": vuln.title,
        "description": vuln.description[:_MAX_TEXT],
        "details": encode(Details.of(vuln)).decode(),
        "weaknesses": vuln.weaknesses,
    }


def _record_row(num: int, record: VulnRecord, plain: bytes, now: datetime) -> dict[str, Any]:
    return {
        "num": num,
        "source": record.source,
        "digest": packing.sha256(plain),
        "modified": record.modified,
        "taken": now,
        "configured": bool(record.configurations),
        "scored": bool(record.metrics),
        "body": packing.packed(plain),
    }


def json(rows: Sequence[Any]) -> str:
    """Rows for `json_to_recordset`, without what no text in PostgreSQL can hold."""
    text = encode(rows)
    if b"\\u0000" in text:
        text = _NUL.sub(rb"\1", text)
    return text.decode()
