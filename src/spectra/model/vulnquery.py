"""Questions about CVEs: what they select, and how words, products and statuses are written in them.

    text        = alternative *("or" alternative)
    alternative = 1*([ "-" ] (id / word / DQUOTE phrase DQUOTE))
    id          = "CVE-2024-6387" / "CVE-2024-63*" / "CVE-2024"

All of an alternative has to hold, but of several ids one is enough. An id in quotes is looked for in texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Final, Literal, NamedTuple, cast

import msgspec

from spectra.errors import BadRequest
from spectra.model.fields import suggest
from spectra.model.vulns import Severity, Status

MAX_TEXT: Final = 400
"""Characters of a text that is looked for."""
MAX_VALUES: Final = 50
"""Values of one filter."""

StatusWord = Literal["published", "awaiting", "deferred", "disputed", "rejected"]
SEVERITIES: Final[tuple[Severity, ...]] = ("none", "low", "medium", "high", "critical")
STATUSES: Final[dict[StatusWord, Status]] = {
    "published": "",
    "awaiting": "awaiting",
    "deferred": "deferred",
    "disputed": "disputed",
    "rejected": "rejected",
}
SORTS: Final = ("relevance", "risk", "cvss", "epss", "published", "modified", "cve")

_PIECE: Final = re.compile(r'-?"[^"]*"?|\S+')
_ID: Final = re.compile(r"(-?)(CVE-(?:\d{4}(?:-(?:\d{0,9}\*|\d{1,9})?|\*)?|\d{0,3}\*))", re.IGNORECASE | re.ASCII)
_WHOLE: Final = 4
"""Digits from which on the number of an id is a whole one (the CVE program pads to four)."""


class Id(NamedTuple):
    """Ids from `low` on, and below `high`, as text is compared byte by byte."""

    low: str
    high: str


class Alternative(NamedTuple):
    """Ids of which one is meant, ids that are not, and words as `websearch_to_tsquery` reads them.

    `weighed` are those of the words that are wanted: how well a text matches does not depend on what it lacks.
    """

    ids: tuple[Id, ...] = ()
    without: tuple[Id, ...] = ()
    words: str = ""
    weighed: str = ""


class ProductName(NamedTuple):
    """A product by the words of CPE names, empty where any will do; `word` is the normal form of `product`."""

    part: str
    vendor: str
    product: str
    word: str = ""


class VulnQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which CVEs; all has to hold. Of values in a tuple one is enough, and an empty one says nothing.

    Scores are inclusive; times are from `..._since` on and before `..._before`. `products` are of whole families of
    names. `affecting`: only those that concern a service of now, or only the others.
    """

    text: tuple[Alternative, ...] = ()
    severities: tuple[Severity, ...] = ()
    min_cvss: float | None = None
    max_cvss: float | None = None
    min_epss: float | None = None
    kev: bool | None = None
    ransomware: bool | None = None
    published_since: datetime | None = None
    published_before: datetime | None = None
    modified_since: datetime | None = None
    modified_before: datetime | None = None
    years: tuple[int, ...] = ()
    statuses: tuple[Status, ...] = ("", "awaiting", "deferred", "disputed")
    products: tuple[ProductName, ...] = ()
    weaknesses: tuple[str, ...] = ()
    affecting: bool | None = None

    @property
    def words(self) -> str:
        """The words of all alternatives; empty where only ids are asked for."""
        return " or ".join(one.words for one in self.text if one.words)

    @property
    def weighed(self) -> str:
        """The wanted words of all alternatives: those by which a text matches well or less well."""
        return " or ".join(one.weighed for one in self.text if one.weighed)


# Text ----------------------------------------------------------------------------------------------------------------


def read_text(text: str) -> tuple[Alternative, ...]:
    """The alternatives that `text` holds, none where it is empty; raises `BadRequest` naming `text`."""
    if len(text) > MAX_TEXT:
        raise BadRequest(f"The text has {len(text)} characters; {MAX_TEXT} are looked for.", field="text")
    if "\0" in text:
        raise BadRequest("The text has a NUL character.", field="text")
    return tuple(_alternative(pieces) for pieces in _split(_PIECE.findall(text)))


def _split(pieces: list[str]) -> Iterator[list[str]]:
    """The pieces between the words `or`."""
    held: list[str] = []
    for piece in pieces:
        if piece.lower() != "or":
            held.append(piece)
        elif held:
            yield held
            held = []
    if held:
        yield held


def _alternative(pieces: list[str]) -> Alternative:
    ids: list[Id] = []
    without: list[Id] = []
    words: list[str] = []
    for piece in pieces:
        if found := _ID.fullmatch(piece):
            (without if found[1] else ids).append(_id(found[2].upper()))
        else:
            words.append(piece)
    weighed = [word for word in words if not word.startswith("-")]
    return Alternative(tuple(ids), tuple(without), " ".join(words), " ".join(weighed))


def _id(text: str) -> Id:
    """The stretch of ids that `text` stands for: a whole id, or what it begins."""
    stem = text.removesuffix("*")
    number = stem.rpartition("-")[2] if stem.count("-") == 2 else ""
    if text == stem and len(number) >= _WHOLE:
        return Id(stem, stem + "\x01")
    if re.fullmatch(r"CVE-\d{4}", stem):
        stem += "-"
    return Id(stem, stem[:-1] + chr(ord(stem[-1]) + 1))


# Values --------------------------------------------------------------------------------------------------------------


def _values(text: str, field: str) -> list[str]:
    found = list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    if len(found) > MAX_VALUES:
        raise BadRequest(f"{field} has {len(found)} values; {MAX_VALUES} are allowed.", field=field)
    return found


def _word(word: str, known: tuple[str, ...], field: str) -> str:
    if word.lower() in known:
        return word.lower()
    near = suggest(word[:40], known)
    hint = f"Did you mean {near}?" if near else f"Known are {', '.join(known)}."
    raise BadRequest(f"There is no {field} {word[:40]!r}.", field=field, hint=hint)


def read_severities(text: str) -> tuple[Severity, ...]:
    """Severities between commas; raises `BadRequest` naming `severity`."""
    return tuple(cast("Severity", _word(word, SEVERITIES, "severity")) for word in _values(text, "severity"))


def read_statuses(text: str) -> tuple[Status, ...]:
    """Statuses between commas, `all` for every one; without any all but the rejected. Raises `BadRequest`."""
    if not text.strip():
        return tuple(status for status in STATUSES.values() if status != "rejected")
    if text.strip().lower() == "all":
        return ()
    words = [_word(word, tuple(STATUSES), "status") for word in _values(text, "status")]
    return tuple(STATUSES[cast("StatusWord", word)] for word in words)


def read_years(text: str) -> tuple[int, ...]:
    """Years of CVE ids between commas, also `2019-2021`; raises `BadRequest` naming `year`."""
    years: list[int] = []
    for word in _values(text, "year"):
        found = re.fullmatch(r"(\d{4})(?:-(\d{4}))?", word, re.ASCII)
        if not found or int(found[2] or found[1]) < int(found[1]):
            raise BadRequest(f"{word[:40]!r} is not a year.", field="year", hint="Write 2024, or 2019-2021.")
        years += range(int(found[1]), min(int(found[2] or found[1]), int(found[1]) + MAX_VALUES) + 1)
    return tuple(dict.fromkeys(years))


def read_weaknesses(text: str) -> tuple[str, ...]:
    """CWE ids between commas, with or without `CWE-`; raises `BadRequest` naming `cwe`."""
    found: list[str] = []
    for word in _values(text, "cwe"):
        number = word.upper().removeprefix("CWE-")
        if not re.fullmatch(r"\d{1,5}", number, re.ASCII):
            raise BadRequest(f"{word[:40]!r} is not the id of a weakness.", field="cwe", hint="Write CWE-79, or 79.")
        found.append(f"CWE-{int(number)}")
    return tuple(found)


def read_products(text: str) -> tuple[ProductName, ...]:
    """Products between commas: `openssh`, `openbsd:openssh`, `a:openbsd:openssh` or a CPE name.

    Raises `BadRequest` naming `product`.
    """
    if len(text) > MAX_TEXT or "\0" in text:
        raise BadRequest("product is too long, or has a NUL character.", field="product")
    return tuple(_product(word) for word in _values(text, "product"))


_PREFIX: Final = re.compile(r"cpe:(?:2\.3:|/)(?=[aoh]:)", re.IGNORECASE)


def _product(text: str) -> ProductName:
    name = _PREFIX.sub("", text)
    parts = [cpe_word(part) for part in re.split(r"(?<!\\):", name)]
    if len(parts) == 1:
        return ProductName("", "", parts[0])
    if len(parts) >= 3 and parts[0] in ("a", "o", "h"):
        found = ProductName(parts[0], parts[1], parts[2])
    elif len(parts) == 2:
        found = ProductName("", parts[0], parts[1])
    else:
        found = ProductName("", "", "")
    if not found.product or not found.vendor:
        raise BadRequest(f"{text[:80]!r} is not a product.", field="product", hint="Write openssh, or openbsd:openssh.")
    return found._replace(vendor=found.vendor if found.vendor != "*" else "")


def cpe_word(text: str) -> str:
    """`text` as the vendor or product of a CPE 2.3 name: `Apache HTTP Server` as `apache_http_server`.

    Punctuation that a formatted string has after a backslash (NISTIR 7695, 6.2) gets one.
    """
    word = re.sub(r"\s+", "_", text.strip().lower())
    return word if "\\" in word else re.sub(r"([^\w.*~-])", r"\\\1", word)
