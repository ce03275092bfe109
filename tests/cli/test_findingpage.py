"""How findings look: rows, and why each is one."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from rich.text import Text

from spectra.cli.findingpage import explained, page, percent, rows, says, sure
from spectra.cli.layout import lines
from tests.cli.findingsamples import CVE, DECISION, NOW, detail, finding


def told(shown: Iterable[Text]) -> str:
    """All lines as one text with single blanks."""
    return " ".join(" ".join(line.plain for line in shown).split())


def test_why_it_is_one() -> None:
    """The sentence, the names that matched, how sure, what is required, what may be patched, and the priority."""
    one = finding(requires=("cpe:2.3:o:linux:linux_kernel",), patched="possibly", triage=DECISION)
    text = told(explained(one, NOW, 100))
    for part in (
        f"71 {CVE} high 8.1 22/tcp OpenSSH 9.2p1 accepted A signal handler race",
        "why OpenSSH 9.2p1 was seen; the NVD says",
        "matched cpe:2.3:a:openbsd:openssh:9.2:p1",
        "affected cpe:2.3:a:openbsd:openssh:*:*:*:*:*:*:*:* >= 8.5p1, < 9.8p1, by nvd",
        "sure confirmed, 90%",
        "needs beside it, not seen: cpe:2.3:o:linux:linux_kernel",
        "patched possibly",
        "priority 71 of 100 (high). The risk of the CVE alone is 79 of 100. It is reachable.",
        "since new; opened",
        "triage accepted for 192.0.2.7 22/tcp by alice",
        "only cpe:2.3:a:openbsd:openssh; until",
        "until May",
    ):
        assert part in text, part


def test_all_of_it() -> None:
    """The text of the CVE, its scores, exploitation, the past, and the first of many references."""
    text = told(page(detail(), NOW, 100))
    for part in (
        "192.0.2.7",
        "text A race condition in sshd.",
        "cvss 8.1 (3.1) CVSS:3.1/AV:N, 6.0 (2.0)",
        "epss 63.0% within 30 days, above 98.0% of all CVEs",
        "exploited since 2024-07-01; by ransomware; Update.",
        "ids CWE-362, GHSA-1",
        "HISTORY",
        "gone OpenSSH 9.1",
        "now OpenSSH 9.2p1",
        "https://example.org/0 (Patch)",
        "and 2 more; --json prints all",
    ):
        assert part in text, part
    closed = told(page(detail(closed=NOW, closed_why="withdrawn", state="closed", history=(), references=()), NOW, 100))
    assert "(withdrawn)" in closed
    assert "REFERENCES" not in closed


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    """Whatever a source or a banner says."""
    evil = {"title": "\x1b[2J" + "x" * 500, "reason": "y" * 500, "product": "z" * 300, "cpe": "\u202e" * 200}
    shown = [*page(detail(**evil), NOW, width), *explained(finding(**evil), NOW, width)]
    assert max(line.cell_len for line in shown) <= width
    assert not any(set(line.plain) & {"\x1b", "\u202e", "\n"} for line in shown)


def test_rows() -> None:
    """A line each, with what matters first before its title."""
    from spectra.cli.findingpage import SLOTS

    many = [finding(kev=NOW.date()), finding(ransomware=True, kev=NOW.date()), finding(patched="possibly", epss=None)]
    shown = [line.plain for line in lines(SLOTS, rows(many), 100)]
    assert shown[0].split() == ["PRIO", "CVE", "SEVERITY", "PORT", "STATE", "SURE", "EPSS", "SAYS"]
    assert "exploited A signal" in shown[1]
    assert "ransomware A signal" in shown[2]
    assert "90%?" in shown[3]
    assert says(finding(title="", description="text")).plain == "text"
    assert sure(finding()).plain == "90% "


def test_shares() -> None:
    """Small ones keep a digit that tells something."""
    assert [percent(p) for p in (None, 0.5, 0.0004)] == ["", "50.0%", "0.04%"]
