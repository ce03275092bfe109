"""What people write of versions: understood, or nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.intel.vulns.spans import Span, series, understood, version


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.2.3", [Span(exact="1.2.3")]),
        ("= 1.2.3", [Span(exact="1.2.3")]),
        ("v1.2.3", [Span(exact="1.2.3")]),
        ("Version 1.2.3", [Span(exact="1.2.3")]),
        ("1.0.2k-fips", [Span(exact="1.0.2k-fips")]),
        (r"12.2\(55\)se", [Span(exact="12.2(55)se")]),
        ("8.8.15 p46", [Span(exact="8.8.15 p46")]),
        ("before 2.3", [Span(below="2.3")]),
        ("Before v2.3", [Span(below="2.3")]),
        ("before version 2.3", [Span(below="2.3")]),
        ("prior to 2.3", [Span(below="2.3")]),
        ("versions prior to Ver.2.3", [Span(below="2.3")]),
        ("All versions prior to 2.3", [Span(below="2.3")]),
        ("All versions < V2.3", [Span(below="2.3")]),
        ("All versions < V2.3 Update 4", [Span(below="2.3 update 4")]),
        ("<2.3", [Span(below="2.3")]),
        ("<= 1.2", [Span(at_most="1.2")]),
        ("≤ 1.2", [Span(at_most="1.2")]),
        ("1.2 and earlier", [Span(at_most="1.2")]),
        ("1.2 and prior versions", [Span(at_most="1.2")]),
        ("firmware version 1.2 and earlier", [Span(at_most="1.2")]),
        ("versions 1.2 and prior", [Span(at_most="1.2")]),
        ("up to and including 1.2", [Span(at_most="1.2")]),
        ("All versions prior to and including 1.2", [Span(at_most="1.2")]),
        ("up to 1.2", [Span(at_most="1.2")]),
        ("1.0 through 1.4", [Span(at_least="1.0", at_most="1.4")]),
        ("versions V1.0 through V1.4", [Span(at_least="1.0", at_most="1.4")]),
        ("from 1.0 to 1.4", [Span(at_least="1.0", at_most="1.4")]),
        ("1.0 – 1.4", [Span(at_least="1.0", at_most="1.4")]),
        ("1.0.0-4.7.1", [Span(at_least="1.0.0", at_most="4.7.1")]),
        ("4.7.1-1.0.0", [Span(exact="4.7.1-1.0.0")]),
        ("1.2.3-4", [Span(exact="1.2.3-4")]),
        ("1.0 before 1.4", [Span(at_least="1.0", below="1.4")]),
        ("from 1.0 before 1.4", [Span(at_least="1.0", below="1.4")]),
        ("1.0 and later", [Span(at_least="1.0")]),
        (">= 1.0", [Span(at_least="1.0")]),
        ("> 1.0", [Span(above="1.0")]),
        (">= 1.0, < 1.4", [Span(at_least="1.0", below="1.4")]),
        (">=1.0 <=1.4", [Span(at_least="1.0", at_most="1.4")]),
        (">= 1.0, < 1.4, >= 2.0, < 2.2", [Span(at_least="1.0", below="1.4"), Span(at_least="2.0", below="2.2")]),
        ("< 1.4 || >= 2.0, < 2.2", [Span(below="1.4"), Span(at_least="2.0", below="2.2")]),
        ("4.2.x", [Span(at_least="4.2", below="4.3")]),
        ("4.*", [Span(at_least="4", below="5")]),
        ("8.10.x.x: 8.10.0.6 and below", [Span(at_least="8.10", at_most="8.10.0.6")]),
        ("1.0, 1.1 and 1.2", [Span(exact="1.0"), Span(exact="1.1"), Span(exact="1.2")]),
        ("1.0, 2.x", [Span(exact="1.0"), Span(at_least="2", below="3")]),
        ("All versions", [Span()]),
        ("all", [Span()]),
        ("*", [Span()]),
        ("vers:all/*", [Span()]),
    ],
)
def test_it_is_understood(text: str, expected: list[Span]) -> None:
    """As a person reads it, `up to and including` too."""
    assert list(understood(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "n/a",
        "N/A",
        "0",
        "-",
        "unspecified",
        "unknown",
        "various",
        "see references",
        "multiple versions",
        "all supported versions of the product before the fix",
        "1.2 and all of the others except 1.1",
        "prior to the May 2023 update",
        "9fbb2f7b1b0b5e8c9d6a2c4b1d3e5f7a9b8c7d6e",
        "https://aka.ms/OfficeSecurityReleases",
        "1.0, all",
        "before",
        "x" * 10_000,
    ],
)
def test_what_is_not_understood_is_nothing(text: str) -> None:
    """Never everything."""
    assert understood(text) == ()


@given(st.text(alphabet="0123456789.xv*<>=,- allbeforandpiut()\\", max_size=40))
def test_everything_is_only_what_says_so(text: str) -> None:
    """Whatever is written, no text but a word for all means all."""
    for span in understood(text):
        if span.everything:
            assert "all" in text.lower() or "*" in text or "any" in text.lower()


def test_a_version_is_one_word_with_a_digit() -> None:
    """Hashes of git, words and long texts are none."""
    assert version("V10.4_SP1") == "10.4_sp1"
    assert version("latest") == version("a" * 40) == version("0" * 40) == version("1" * 90) == ""


def test_the_end_of_a_series_is_the_next_one() -> None:
    """`5.4.*` ends where 5.5 begins."""
    assert series("5.4.*") == ("5.4", "5.5")
    assert series("21.2*") == ("21.2", "21.3")
    assert series("9.x") == ("9", "10")
    assert series("5.4") is None
