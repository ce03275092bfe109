"""One CVE with all that is known of it: what each source says, and which endpoints it concerns."""

from __future__ import annotations

from typing import Any, Final

from spectra.errors import NotFound
from spectra.model.vulnrecords import VulnDetail, VulnHosts, VulnSource, told
from spectra.store import vulnhosts, vulns
from spectra.store.database import Connection, Database, one
from spectra.store.tallies import snapshot

FIRST_HOSTS: Final = 100

_COLUMNS: Final = "severity, cvss, cvss_version, epss, epss_percentile, risk, changed"


def detail(database: Database, cve: str, *, with_hosts: bool = True) -> VulnDetail:
    """All about a CVE (its id in upper case); `with_hosts`: also the first 100 endpoints it concerns.

    Raises `NotFound` saying which feed would tell of it.
    """
    with snapshot(database) as connection:
        num = _number(connection, cve)
        vuln, kev, _ = vulns.get(connection, cve)
        row = one(connection.execute(f"SELECT {_COLUMNS} FROM vuln WHERE num = %s", [num]))
        configurations, criteria = told(vuln.configurations)
        return VulnDetail(
            cve=cve,
            title=vuln.title,
            description=vuln.description,
            status=vuln.status,
            kev=kev,
            ssvc=vuln.ssvc,
            published=vuln.published,
            modified=vuln.modified,
            metrics=vuln.metrics,
            weaknesses=vuln.weaknesses,
            aliases=vuln.aliases,
            references=vuln.references,
            configured=vuln.configured,
            configurations=configurations,
            criteria=criteria,
            sources=_sources(connection, num),
            hosts=vulnhosts.hosts(connection, num, limit=FIRST_HOSTS) if with_hosts else None,
            **dict(zip(_COLUMNS.split(", "), row, strict=True)),
        )


def hosts(database: Database, cve: str, *, cursor: str = "", limit: int = 100) -> VulnHosts:
    """A page of the open endpoints that a CVE concerns, in order of address.

    Raises `NotFound`, and `BadRequest` naming `limit` or `cursor`.
    """
    with snapshot(database) as connection:
        return vulnhosts.hosts(connection, _number(connection, cve), cursor=cursor, limit=limit)


def _sources(connection: Connection, num: int) -> tuple[VulnSource, ...]:
    """What each source says, the one that was changed last first."""
    rows = connection.execute(
        "SELECT source, taken, modified, body FROM vuln_record WHERE num = %s"
        " ORDER BY modified DESC NULLS LAST, source",
        [num],
    )
    return tuple(_source(*row) for row in rows)


def _source(source: str, taken: Any, modified: Any, body: bytes) -> VulnSource:
    record = vulns.unpack_record(body)
    _, criteria = told(record.configurations, 0)
    return VulnSource(
        source,
        taken,
        modified,
        record.status,
        record.title,
        len(record.metrics),
        len(record.references),
        criteria,
    )


# What is not here ----------------------------------------------------------------------------------------------------


def _number(connection: Connection, cve: str) -> int:
    row = connection.execute("SELECT num FROM vuln WHERE cve = %s", [cve]).fetchone()
    if row is None:
        raise NotFound(f"No feed that is loaded tells of {cve}.{_scores(connection, cve)}", hint=_hint(connection))
    return row[0]


def _scores(connection: Connection, cve: str) -> str:
    """What the catalogue and the scores know of a CVE that no source has told of."""
    kev = connection.execute("SELECT added FROM kev WHERE cve = %s", [cve]).fetchone()
    epss = connection.execute("SELECT score FROM epss WHERE cve = %s", [cve]).fetchone()
    said = f" CISA has it in its catalogue of exploited ones since {kev[0]}." if kev else ""
    return said + (f" Its EPSS is {epss[0]:.2%}." if epss else "")


_TELLING: Final = {"nvd": "The NVD", "cve": "the CVE list"}


def _hint(connection: Connection) -> str:
    """Which feed would tell of it: both know nearly every id that was published."""
    kinds = [row[0] for row in connection.execute("SELECT kind FROM vuln_source WHERE updated IS NOT NULL")]
    lacking = [name for kind, name in _TELLING.items() if not any(had.startswith(kind) for had in kinds)]
    if lacking:
        said = " or ".join(lacking)
        return f"{said[0].upper()}{said[1:]} would, once loaded: `spectra feeds status` shows what is."
    return "It may be reserved only, or newer than the feeds: `spectra feeds update` gets what is new."
