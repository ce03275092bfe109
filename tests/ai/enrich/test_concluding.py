"""What was looked up, as insights."""

from __future__ import annotations

from datetime import UTC, date, datetime

import msgspec
import pytest

from spectra.ai.enrich.asking import Note
from spectra.ai.enrich.concluding import concluded, exploit_pages, suspicious, with_note
from spectra.ai.enrich.fetching import Page
from spectra.ai.enrich.lookups import Told
from spectra.model.enrichment import RefusedCall
from spectra.model.insights import Insight
from spectra.model.vulnrecords import VulnDetail
from spectra.model.vulns import Kev, Metric, Reference, VulnRecord

CVE = "CVE-2024-6387"
AT = datetime(2026, 11, 28, tzinfo=UTC)
PAGE = Page("https://example.org/a", b"{}", "application/json", "ab" * 32, AT)
LISTED = Kev(cve=CVE, added=date(2024, 7, 8), ransomware=True, action="Apply the update.")


def record(score: float = 0.0, *pages: Reference, title: str = "Race in sshd") -> VulnRecord:
    """What a place says."""
    metrics = (Metric("3.1", score, "high"),) if score else ()
    return VulnRecord(CVE, "nvd", title=title, description="A race.\x1b[2J", metrics=metrics, references=pages)


def made(*says: VulnRecord | Kev | None, findings: tuple[str, ...] = (), known: VulnDetail | None = None) -> Insight:
    """The insight."""
    told = [Told(f"P{number}", PAGE, one) for number, one in enumerate(says)]
    return concluded(CVE, told, pages=[PAGE, PAGE], known=known, findings=findings, at=AT)


@pytest.mark.parametrize(
    ("score", "severity"),
    [(9.8, "critical"), (9.0, "critical"), (8.9, "high"), (4.0, "medium"), (0.1, "low"), (0, "info")],
)
def test_severity_is_that_of_the_highest_score(score: float, severity: str) -> None:
    """By CVSS's own scale; the score is ten times that."""
    one = made(record(score), record(min(score, 1.0)))
    assert (one.severity, one.score) == (severity, round(score * 10))


def test_what_is_known_here_counts() -> None:
    """Where the place that knows the score does not answer, the conclusion is no milder."""
    one = made(LISTED, known=VulnDetail(cve=CVE, cvss=9.8))
    assert (one.severity, one.score) == ("critical", 98)


def test_what_is_exploited_is_urgent() -> None:
    """It comes first in the title and says what to do; what our own feeds do not know is told of."""
    one = made(record(5.0), LISTED)
    assert one.title == f"{CVE}: known to be exploited since 2024-07-08"
    assert (one.score, one.severity, one.advice) == (80, "medium", "Apply the update.")
    assert "by ransomware too. This node's own feeds do not say so yet." in one.what
    assert "yet" not in made(LISTED, known=VulnDetail(cve=CVE, kev=LISTED)).what


def test_what_it_rests_on_is_cited() -> None:
    """The CVE and its findings, a line for each place, each page once; raw once it is about findings of ours."""
    repair = Reference("https://example.org/fix", ("Patch",))
    one = made(record(8.1, repair), None, findings=("192.0.2.1~22~tcp~CVE-2024-6387",))
    assert one.subjects == (f"cve:{CVE}", "finding:192.0.2.1~22~tcp~CVE-2024-6387")
    assert [told.says for told in one.evidence] == ["P0: Race in sshd", "P1 does not list it"]
    assert {told.record for told in one.evidence} == {PAGE.record}
    assert one.sources == (PAGE.source,)
    assert (one.label, made(record()).label) == ("LOCAL_ONLY", "CLOUD_DIRECT")
    assert one.advice == "Repairs: https://example.org/fix"
    assert "\x1b" not in one.what


def test_nothing_is_known() -> None:
    """Said so."""
    one = made()
    assert (one.title, one.severity, one.score) == (f"{CVE}: unknown", "info", 0)
    assert one.what == "No place that was asked knows it."


def test_a_note_changes_nothing_else() -> None:
    """It is beside what the rules concluded, made plain."""
    one = made(record(8.1))
    noted = with_note(one, Note("All is\x1b[2J well.\n" + "x" * 3000, "local", ("D1",)))
    assert msgspec.structs.replace(noted, note="", note_by="") == one
    assert (noted.by, noted.note_by, "\x1b" in noted.note) == ("rules", "local", False)


def test_attempts_are_told_of() -> None:
    """What was asked for in vain, without what was written."""
    one = suspicious(CVE, [RefusedCall("fetch", "unknown_url"), RefusedCall("fetch", "unknown_url")], [PAGE], AT)
    assert (one.kind, one.severity) == ("refused_call", "medium")
    assert "2 calls were refused: fetch (unknown_url)." in one.what


def test_pages_with_exploits() -> None:
    """By the words of their source, each once."""
    pages = (
        Reference("https://a", ("Exploit", "Third Party")),
        Reference("https://a", ("exploit",)),
        Reference("https://b"),
    )
    assert exploit_pages([record(1.0, *pages)]) == ["https://a"]
