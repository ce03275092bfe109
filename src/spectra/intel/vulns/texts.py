"""The small things that every feed has: CVE ids, times, texts of bounded length."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Final

from spectra.model.vulns import CVE_ID, Reference

MAX_TITLE: Final = 500
MAX_TEXT: Final = 20_000
"""Characters of a description. The CVE list allows 4,096, OSV's Markdown anything."""
MAX_REFERENCES: Final = 500
MAX_CRITERIA: Final = 20_000
"""Criteria of one CVE. The largest known, CVE-2021-3942, has 5,821."""

_MAX_URL: Final = 2000
_MAX_TAGS: Final = 20
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_CWE: Final = re.compile(r"CWE-\d{1,6}")
_SCHEMES: Final = ("https://", "http://", "ftp://")


def cve_id(text: str) -> str:
    """A CVE id in upper case. Raises `ValueError` for anything else."""
    cve = text.strip().upper()
    if not CVE_ID.fullmatch(cve) or not cve.isascii():
        raise ValueError(f"{text[:40]!r} is no CVE id")
    return cve


def clean(text: str, limit: int) -> str:
    """`text` without control characters and white space around it, at most `limit` characters."""
    return _CONTROL.sub(" ", text[: limit + 100]).strip()[:limit]


def moment(text: str | None) -> datetime | None:
    """An ISO 8601 time in UTC, which it is in where it names no zone; None for what is none."""
    if not text:
        return None
    try:
        when = datetime.fromisoformat(text)
        return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def day(text: str) -> date | None:
    """An ISO 8601 date, also that of a time; None for what is none."""
    when = moment(text.strip())
    return when.date() if when else None


@lru_cache(maxsize=4096)
def word(text: str) -> str:
    """A tag or a name as it is kept."""
    return clean(text, 100)


def cwes(values: Iterable[str]) -> tuple[str, ...]:
    """The CWE ids among `values`, each once: the NVD's `NVD-CWE-noinfo` and prose are none."""
    return tuple(dict.fromkeys(value for value in values if _CWE.fullmatch(value)))


def references(pairs: Iterable[tuple[str, Sequence[str]]]) -> tuple[Reference, ...]:
    """Pages with their tags, each once, in their order. What is no address of a page is left out."""
    found: dict[str, Reference] = {}
    for url, tags in pairs:
        if url in found or len(url) > _MAX_URL or not url.startswith(_SCHEMES) or not url.isprintable():
            continue
        found[url] = Reference(url, tuple(word(tag) for tag in tags[:_MAX_TAGS]))
        if len(found) == MAX_REFERENCES:
            break
    return tuple(found.values())


def english(texts: Iterable[tuple[str, str]]) -> str:
    """Of pairs of language and text the first that is English, else the first."""
    first = ""
    for language, text in texts:
        if language[:2].lower() == "en":
            return clean(text, MAX_TEXT)
        first = first or text
    return clean(first, MAX_TEXT)
