"""What the formats have no words for, written and read."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.intel.vex.marks import Mark, mark, place_id, read_mark, read_place
from spectra.model.triage import Target, Verdict
from tests.intel.vex.documents import TARGETS, VERDICTS

CVE = "CVE-2024-6387"


@given(TARGETS)
def test_a_place_comes_back(target: Target) -> None:
    """Whatever its scope and software; the URN has no space or control character."""
    text = place_id(target)
    assert read_place(text, CVE) == target._replace(cve=CVE)
    assert text.isascii()
    assert not any(c.isspace() for c in text)


@given(VERDICTS)
def test_a_decision_comes_back(verdict: Verdict) -> None:
    """But for the document that it was read from."""
    assert read_mark(mark(verdict)) == Mark(verdict._replace(origin=""))


def test_nobody_decided() -> None:
    """Is said too."""
    assert read_mark(mark(None)) == Mark(None)
    until = datetime(2027, 3, 1, tzinfo=UTC)
    line = mark(Verdict("not_affected", "no such module", "code_not_present", until))
    assert line == "spectra not_affected (code_not_present) until 2027-03-01T00:00:00Z: no such module"


@pytest.mark.parametrize(
    "text",
    [
        "", "spectra", "spectra forgotten", "spectra accepted until", "spectra accepted until soon",
        "spectra accepted until 2027-03-01T00:00:00", "spectra accepted (code_not_present)",
        "spectra not_affected (because)", "spectra acceptedx", "Not affected.",
    ],
)  # fmt: skip
def test_other_lines(text: str) -> None:
    """Are none of ours."""
    assert read_mark(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "urn:spectra:", "urn:spectra:host:", "urn:spectra:host:x", "urn:spectra:everywhere:x",
        "urn:spectra:endpoint:1.2.3.4",
        "urn:spectra:endpoint:192.0.2.7~22", "urn:spectra:host:192.0.2.7~22~tcp",
        "urn:spectra:endpoint:192.0.2.7~99999~tcp",
        "urn:spectra:everywhere#openssh", "urn:spectra:everywhere#cpe:2.3:a:x:y:1.*",
        "urn:uuid:x", "192.0.2.7", "",
        "urn:spectra:endpoint:192.0.2.7~22~tcp~CVE-2024-0001",
    ],
)  # fmt: skip
def test_other_places(text: str) -> None:
    """Are none of ours."""
    assert read_place(text, CVE) is None


@given(
    st.text(max_size=40),
    st.sampled_from(["", "spectra ", "urn:spectra:", "urn:spectra:host:", "urn:spectra:everywhere#"]),
)
def test_any_text(text: str, start: str) -> None:
    """Never raises; a place that is read is written as one that reads the same."""
    read_mark(start + text)
    found = read_place(start + text, CVE)
    assert found is None or read_place(place_id(found), CVE) == found
