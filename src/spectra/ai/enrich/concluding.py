"""What was looked up about a CVE as an insight: by rules alone, with a model's note beside it where there is one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

import msgspec

from spectra.ai.enrich.asking import Note
from spectra.ai.enrich.fetching import Page
from spectra.ai.enrich.lookups import Told
from spectra.model.ai import Label
from spectra.model.enrichment import RefusedCall
from spectra.model.insights import MAX_NOTE, Insight, Severity, evidence, feature, insight, line
from spectra.model.vulnrecords import VulnDetail
from spectra.model.vulns import Kev, VulnRecord

KIND: Final = "enrichment"
_SEVERE: Final[tuple[tuple[float, Severity], ...]] = ((9.0, "critical"), (7.0, "high"), (4.0, "medium"), (0.1, "low"))


def concluded(
    cve: str,
    told: Sequence[Told],
    *,
    pages: Iterable[Page],
    known: VulnDetail | None,
    findings: Sequence[str],
    at: datetime,
) -> Insight:
    """The insight about a CVE. Its score is ten times the highest CVSS told, or known here, and at least 80 where it is
    exploited.

    `pages` are all that were read; `known` is what this node knew; `findings` the ids that it concerns.
    """
    records = [one.says for one in told if isinstance(one.says, VulnRecord)]
    exploited = next((one.says for one in told if isinstance(one.says, Kev)), None)
    scores = [metric.score for record in records for metric in record.metrics]
    highest = max([*scores, (known.cvss if known else None) or 0.0])
    exploits = exploit_pages(records)
    return insight(
        "enrichment",
        KIND,
        severity=_severity(highest),
        title=f"{cve}: {_headline(records, exploited)}",
        what=" ".join(_sentences(records, exploited, known, highest)),
        subjects=[f"cve:{cve}", *(f"finding:{one}" for one in findings)],
        at=at,
        score=max(highest * 10, 80 if exploited else 0),
        label=Label.LOCAL_ONLY if findings else Label.CLOUD_DIRECT,
        evidence=[evidence(_says(one), one.page.record) for one in told],
        features=[
            feature("cvss_highest", highest),
            feature("known_exploited", "yes" if exploited else "no"),
            feature("exploit_pages", len(exploits)),
            feature("places_that_answered", len(told)),
        ],
        sources=[page.source for page in {page.url: page for page in pages}.values()],
        advice=exploited.action if exploited else _repair(records),
        key=cve,
    )


def with_note(one: Insight, note: Note) -> Insight:
    """The insight with a model's words beside it; nothing else of it changes."""
    return msgspec.structs.replace(one, note=line(note.text, MAX_NOTE), note_by=line(note.provider, 60))


def suspicious(cve: str, refused: Sequence[RefusedCall], pages: Iterable[Page], at: datetime) -> Insight:
    """A model asked for what it may not have: something that it read may have told it to."""
    reasons = ", ".join(sorted({f"{call.tool} ({call.reason})" for call in refused}))
    return insight(
        "enrichment",
        "refused_call",
        severity="medium",
        title=f"{cve}: a model asked for what it may not have",
        what=f"{len(refused)} calls were refused: {reasons}. A page or banner that it read may have told it to.",
        subjects=[f"cve:{cve}"],
        at=at,
        score=40,
        label=Label.CLOUD_DIRECT,
        features=[feature("refused_calls", len(refused), 1)],
        sources=[page.source for page in {page.url: page for page in pages}.values()],
        advice="Read the stored pages before you trust the note beside this CVE.",
        key=cve,
    )


def exploit_pages(records: Iterable[VulnRecord]) -> list[str]:
    """Pages that a source says have an exploit."""
    found = (r.url for record in records for r in record.references if "exploit" in " ".join(r.tags).lower())
    return list(dict.fromkeys(found))


def _severity(score: float) -> Severity:
    for least, name in _SEVERE:
        if score >= least:
            return name
    return "info"


def _headline(records: Sequence[VulnRecord], exploited: Kev | None) -> str:
    if exploited:
        return f"known to be exploited since {exploited.added:%Y-%m-%d}"
    return next((record.title for record in records if record.title), "what others say of it" if records else "unknown")


def _sentences(
    records: Sequence[VulnRecord], exploited: Kev | None, known: VulnDetail | None, highest: float
) -> Iterable[str]:
    if text := next((record.description for record in records if record.description), ""):
        yield line(text, 900)
    if highest:
        yield f"The highest CVSS score is {highest}."
    if exploited:
        yield f"CISA lists it as exploited since {exploited.added:%Y-%m-%d}" + (
            ", by ransomware too." if exploited.ransomware else "."
        )
    if exploited and (known is None or known.kev is None):
        yield "This node's own feeds do not say so yet."
    if not records and not exploited:
        yield "No place that was asked knows it."


def _repair(records: Iterable[VulnRecord]) -> str:
    """Pages that have a repair, of what the records name."""
    words = ("patch", "vendor advisory", "vendor-advisory", "fix")
    found = [
        r.url
        for record in records
        for r in record.references
        if any(word in " ".join(r.tags).lower() for word in words)
    ]
    return f"Repairs: {', '.join(list(dict.fromkeys(found))[:5])}" if found else ""


def _says(one: Told) -> str:
    if isinstance(one.says, Kev):
        return f"{one.place}: known to be exploited since {one.says.added:%Y-%m-%d}"
    if one.says is None:
        return f"{one.place} does not list it"
    return f"{one.place}: {one.says.title or one.says.description or one.says.status or 'a record'}"
