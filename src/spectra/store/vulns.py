"""Reading weaknesses: one CVE with all that is known of it, and the numbers by which tables refer to CVEs."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

import msgspec

from spectra.errors import NotFound
from spectra.model.vulns import Epss, Kev, Metric, Reference, Ssvc, Vuln, VulnRecord
from spectra.store import packing
from spectra.store.database import Connection

unpack_record: Final = packing.unpacker(VulnRecord)
"""`vuln_record.body` to what a source says."""


class Details(msgspec.Struct, frozen=True, omit_defaults=True):
    """What `vuln_text.details` holds: the properties of a `Vuln` that have no column and are in no record."""

    metrics: tuple[Metric, ...] = ()
    weaknesses: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()
    ssvc: Ssvc | None = None
    aliases: tuple[str, ...] = ()

    @classmethod
    def of(cls, vuln: Vuln) -> Details:
        """Those of `vuln`."""
        return cls(vuln.metrics, vuln.weaknesses, vuln.references, vuln.ssvc, vuln.aliases)


_GET: Final = """
SELECT v.status, t.title, t.description, v.published, v.modified, v.configured, t.details, r.body,
  k.entry, e.score, e.percentile
FROM vuln v JOIN vuln_text t USING (num)
LEFT JOIN vuln_record r ON r.num = v.num AND r.source = v.configured
LEFT JOIN kev k ON k.cve = v.cve LEFT JOIN epss e ON e.cve = v.cve
WHERE v.cve = %s"""


class Found(NamedTuple):
    """A CVE, its entry in CISA's catalogue and its EPSS score, where there are any."""

    vuln: Vuln
    kev: Kev | None
    epss: Epss | None


def get(connection: Connection, cve: str) -> Found:
    """All that is known of a CVE; raises `NotFound` where no source tells of it."""
    row = connection.execute(_GET, [cve]).fetchone()
    if row is None:
        raise NotFound(f"No source told of {cve[:40]}.", hint="`spectra feeds status` shows the sources.")
    status, title, description, published, modified, configured, details, body, entry, score, percentile = row
    more = msgspec.json.decode(details, type=Details)
    vuln = Vuln(
        cve,
        status=status,
        title=title,
        description=description,
        published=published,
        modified=modified,
        metrics=more.metrics,
        weaknesses=more.weaknesses,
        references=more.references,
        configured=configured,
        configurations=unpack_record(body).configurations if body else (),
        ssvc=more.ssvc,
        aliases=more.aliases,
    )
    kev = msgspec.json.decode(entry, type=Kev) if entry else None
    return Found(vuln, kev, None if score is None else Epss(cve, score, percentile))


def records(connection: Connection, cve: str) -> list[VulnRecord]:
    """What each source says of a CVE, by the name of the source."""
    rows = connection.execute(
        "SELECT r.body FROM vuln_record r JOIN vuln v USING (num) WHERE v.cve = %s ORDER BY r.source", [cve]
    )
    return [unpack_record(body) for (body,) in rows]


def nums(connection: Connection, cves: Collection[str]) -> dict[str, int]:
    """The numbers of these CVEs, of those that are known."""
    return dict(connection.execute("SELECT cve, num FROM vuln WHERE cve = ANY(%s)", [list(cves)]).fetchall())
