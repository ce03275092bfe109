"""CVE ids, times and texts as feeds write them."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.intel.vulns import texts
from spectra.model.vulns import Reference


def test_only_cve_ids_are_cve_ids() -> None:
    """In either case and with blanks around it; digits of other scripts are none."""
    assert texts.cve_id(" cve-2024-12345 ") == "CVE-2024-12345"
    for bad in ("", "CVE-2024-1", "GHSA-1", "CVE-2024-12345678901", "CVE-2024-١٢٣٤", "CVE-2024-1234\n5"):
        with pytest.raises(ValueError):
            texts.cve_id(bad)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-12T06:00:02.4492019", datetime(2026, 3, 12, 6, 0, 2, 449201, UTC)),
        ("2026-08-21T17:46:43.6019Z", datetime(2026, 8, 21, 17, 46, 43, 601900, UTC)),
        ("2021-08-31T00:00:00+0000", datetime(2021, 8, 31, tzinfo=UTC)),
        ("2024-01-01T01:00:00+02:00", datetime(2023, 12, 31, 23, tzinfo=UTC)),
        ("1999-09-29", datetime(1999, 9, 29, tzinfo=UTC)),
        ("0001-01-01T00:00:00+10:00", None),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_times_are_utc(text: str | None, expected: datetime | None) -> None:
    """In all the forms that feeds use; what is none is none."""
    assert texts.moment(text) == expected


def test_a_date_is_that_of_a_time_too() -> None:
    """KEV has both."""
    assert texts.day(" 2025-08-25 ") == texts.day("2025-08-25T12:00:00Z") == date(2025, 8, 25)
    assert texts.day("soon") is None


@given(st.text(max_size=300), st.integers(0, 50))
def test_a_cleaned_text_is_safe_to_keep(text: str, limit: int) -> None:
    """Bounded, and without what no database takes."""
    cleaned = texts.clean(text, limit)
    assert len(cleaned) <= limit
    assert not any((c < " " and c not in "\t\n") or c == "\x7f" for c in cleaned)
    cleaned.encode()


def test_the_english_text_is_taken() -> None:
    """Wherever it stands; the first where there is none."""
    assert texts.english([("es", "hola"), ("en-US", "hello"), ("en", "hi")]) == "hello"
    assert texts.english([("fr", "salut"), ("es", "hola")]) == "salut"
    assert texts.english([]) == ""


def test_only_pages_are_references() -> None:
    """Each once; scripts, relative addresses and what is not printable are left out."""
    given_pages = [
        ("https://example.com/a", ["Patch"]),
        ("https://example.com/a", ["Exploit"]),
        ("javascript:alert(1)", []),
        ("/relative", []),
        ("https://example.com/\x1b[31m", []),
        ("ftp://example.com/b", []),
        ("https://example.com/" + "x" * 3000, []),
    ]
    assert texts.references(given_pages) == (
        Reference("https://example.com/a", ("Patch",)),
        Reference("ftp://example.com/b"),
    )


def test_only_cwe_ids_are_weaknesses() -> None:
    """The NVD's `noinfo` tells nothing."""
    assert texts.cwes(["NVD-CWE-noinfo", "CWE-79", "CWE-79", "CWE-79 XSS", "CWE-89"]) == ("CWE-79", "CWE-89")
