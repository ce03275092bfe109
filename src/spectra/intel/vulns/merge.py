"""What all sources say of one CVE, put together by how much each is believed (`model.vulns.SOURCES`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from spectra.intel.vulns.cvss import VERSIONS
from spectra.intel.vulns.texts import MAX_REFERENCES
from spectra.model.vulns import SOURCES, Metric, Reference, Status, Vuln, VulnRecord

_MAX_ALIASES: Final = 100
_RANK: Final = {source: rank for rank, source in enumerate(SOURCES)}
_NEVER: Final = datetime.min.replace(tzinfo=UTC)
_UNSEEN: Final = frozenset({"awaiting", "deferred"})


def merge(records: Sequence[VulnRecord]) -> Vuln:
    """One CVE of the records of its sources; of each property what the most believed source says that has it.

    Raises `ValueError` for no records, or those of several CVEs. A rejected CVE has no configurations.
    """
    if len({record.cve for record in records}) != 1:
        raise ValueError("records of exactly one CVE are merged")
    ranked = sorted(records, key=lambda record: record.modified or _NEVER, reverse=True)
    ranked.sort(key=lambda record: _RANK.get(record.source, len(_RANK)))
    status = _status(ranked)
    configured = _configured(ranked) if status != "rejected" else None
    return Vuln(
        cve=ranked[0].cve,
        status=status,
        title=next((record.title for record in ranked if record.title), ""),
        description=next((record.description for record in ranked if record.description), ""),
        published=next((record.published for record in ranked if record.published), None),
        modified=next((record.modified for record in ranked if record.modified), None),
        metrics=_metrics(ranked),
        weaknesses=next((record.weaknesses for record in ranked if record.weaknesses), ()),
        references=_references(ranked),
        configured=configured.source if configured else "",
        configurations=configured.configurations if configured else (),
        ssvc=next((record.ssvc for record in ranked if record.ssvc), None),
        aliases=tuple(dict.fromkeys(alias for record in ranked for alias in record.aliases))[:_MAX_ALIASES],
    )


def _status(ranked: Sequence[VulnRecord]) -> Status:
    """Rejected by the NVD is rejected; by the CVE list alone it is so unless the NVD has looked at it since."""
    first = {record.source: record for record in reversed(ranked)}
    nvd, cve = first.get("nvd"), first.get("cve")
    if nvd and nvd.status == "rejected":
        return "rejected"
    if cve and cve.status == "rejected" and (nvd is None or (cve.modified or _NEVER) >= (nvd.modified or _NEVER)):
        return "rejected"
    if any(record.status == "disputed" for record in ranked):
        return "disputed"
    return nvd.status if nvd else ""


def _configured(ranked: Sequence[VulnRecord]) -> VulnRecord | None:
    """The record whose configurations count. Those in a record that the NVD has not looked at are only passed on from
    the assigner (`nvd`), without the names that CISA or others have looked up: they come last."""
    having = [record for record in ranked if record.configurations]
    looked_at = [record for record in having if not (record.source == "nvd" and record.status in _UNSEEN)]
    return next(iter(looked_at or having), None)


def _metrics(ranked: Sequence[VulnRecord]) -> tuple[Metric, ...]:
    """For each version of CVSS the first that is its source's own, else the first at all; the newest version first."""
    given = [metric for record in ranked for metric in sorted(record.metrics, key=lambda metric: not metric.primary)]
    first: dict[str, Metric] = {}
    for metric in given:
        first.setdefault(metric.version, metric)
    return tuple(first[version] for version in VERSIONS if version in first)


def _references(ranked: Iterable[VulnRecord]) -> tuple[Reference, ...]:
    """Each page once, with the tags of all sources."""
    tags: dict[str, dict[str, None]] = {}
    for record in ranked:
        for page in record.references:
            tags.setdefault(page.url, {}).update(dict.fromkeys(page.tags))
    return tuple(Reference(url, tuple(words)) for url, words in tags.items())[:MAX_REFERENCES]
