"""What people write of versions, as bounds: `before 2.3`, `>= 1.0, < 1.4`, `1.2 and earlier`, `4.x`, `All versions`.

Nothing here compares versions. What is not understood is None, never everything: a wrong "all" would match every
installation there is.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

MAX_VERSION: Final = 80
_MAX_PROSE: Final = 300
_MAX_LIST: Final = 50
_CACHED: Final = 1 << 13  # texts of at most some KB; an entry repeats them, and so do entries

_UPDATE: Final = r"(?:p|patch|sp|service pack|update|u|hotfix|hf|build|rev|r|cu|tcu|mr|ga|rc|beta|alpha|h|b)"
_X: Final = rf"[0-9][0-9a-z._+~:()-]*(?: {_UPDATE} ?[0-9][0-9a-z._-]*)?"
_TOKEN: Final = re.compile(r"(?=[^0-9]*[0-9])[0-9a-z][0-9a-z._+~:()-]*")
_WHOLE: Final = re.compile(_X)
_HASH: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_WILD: Final = re.compile(r"([0-9]+(?:\.[0-9]+)*)(?:\.(?:x+|\*))+|([0-9]+(?:\.[0-9]+)+)\*")
_ESCAPED: Final = re.compile(r"\\([^0-9a-z\s])", re.IGNORECASE)
_WORDS: Final = re.compile(
    r"\b(?:(?:firmware|software|app|plugin|product|the) )?(?:versions?|ver\.?|releases?|firmware)(?:\b|(?<=\.))[ :]*"
)
_V: Final = re.compile(r"(?<![0-9a-z._-])v\.? ?(?=[0-9])")
_COMPARED: Final = re.compile(rf"(<=|>=|==|=|<|>) ?({_X})(?: ?(?:,|;|&&|and|\|\||or)? ?)")
_NUMBERS: Final = re.compile(r"[0-9]+(?:\.[0-9]+)*")

_ALL: Final = frozenset({"*", "all", "any", "every", "vers:all/*", "all builds", "0 through *", "all of them"})
NOWHERE: Final = frozenset(
    {"", "0", "*", "-", "n/a", "na", "none", "unspecified", "unknown", "any", "all", "0.0", "0.0.0"}
)
"""What stands for no lower bound where an upper one is given beside it."""


class Span(NamedTuple):
    """Versions: one (`exact`), or those between bounds; without any of them, all."""

    exact: str = ""
    at_least: str = ""
    above: str = ""
    at_most: str = ""
    below: str = ""

    @property
    def everything(self) -> bool:
        return self == Span()


def _patterns() -> tuple[tuple[re.Pattern[str], tuple[str, ...]], ...]:
    all_, old, new = (
        r"(?:all |any |anything )?",
        r"prior|earlier|below|older|lower|previous|before|under",
        (r"later|newer|above|higher|up|upwards?|onwards?|greater"),
    )
    prior = rf"(?:,? ?(?:and|or|&) ?(?:all |any )?(?:{old})|\(and (?:{old})\))(?: ones| builds| to that)?"
    listed = (
        (
            rf"{all_}(?:prior to and including|up to and including|up to \(including\)|up to|through|thru) ({_X})",
            "at_most",
        ),
        (
            rf"{all_}(?:before|prior to|earlier than|lower than|older than|less than|below|until|"
            rf"up to but not including|up to \(excluding\)|up to \(but not including\)) ({_X})",
            "below",
        ),
        (rf"({_X}) ?{prior}", "at_most"),
        (rf"({_X}),? ?(?:and|or|&) ?(?:all )?(?:{new})", "at_least"),
        (rf"(?:from|since|starting (?:with|from)) ({_X})(?: on| onwards?)?|({_X})\+", "at_least"),
        (rf"(?:after|later than|newer than|higher than|above) ({_X})", "above"),
        (
            rf"(?:from |between )?({_X}),? (?:to|through|thru|up to|up to and including|and up to|-|until) "
            rf"({_X})(?: inclusive)?",
            "at_least at_most",
        ),
        (rf"between ({_X}) and ({_X})", "at_least at_most"),
        (
            rf"(?:from )?({_X}),? (?:(?:up )?to )?(?:but |and )?(?:before|prior to|not including|\(excluding\)|"
            rf"excluding|below|up to but not including|up to \(but not including\)|up to \(excluding\)) ({_X})",
            "at_least below",
        ),
    )
    return tuple((re.compile(pattern), tuple(fields.split())) for pattern, fields in listed)


_PROSE: Final = _patterns()


def plain(text: str) -> str:
    """A version or what is said of some, in lower case, on one line, without backslashes, `v` and the word version."""
    return _plain(text[: _MAX_PROSE + 1])


@lru_cache(maxsize=_CACHED)
def _plain(text: str) -> str:
    text = _ESCAPED.sub(r"\1", text).lower().translate(_SIGNS)
    text = _V.sub("", _WORDS.sub("", " ".join(text.split())))
    return " ".join(text.split()).rstrip(" .,;")


_SIGNS: Final = str.maketrans(
    {"≤": "<=", "≥": ">=", "–": "-", "—": "-", "\N{MINUS SIGN}": "-", "‑": "-", "“": '"', "”": '"'}
)


def version(text: str) -> str:
    """The one version that `text` is, in lower case; "" where it is none (a hash of git is none)."""
    return _version(plain(text))


@lru_cache(maxsize=_CACHED)
def _version(text: str) -> str:
    text = text.lstrip("=").strip()
    if len(text) > MAX_VERSION or _HASH.fullmatch(text):
        return ""
    return text if _TOKEN.fullmatch(text) or _WHOLE.fullmatch(text) else ""


def series(text: str) -> tuple[str, str] | None:
    """Of `4.2.x` or `4.2.*` the first version and the one behind the last: `4.2` and `4.3`."""
    return _series(plain(text))


@lru_cache(maxsize=_CACHED)
def _series(text: str) -> tuple[str, str] | None:
    found = _WILD.fullmatch(text)
    if not found:
        return None
    start: str = found[1] or found[2]
    head, dot, last = start.rpartition(".")
    return start, f"{head}{dot}{int(last[:18]) + 1}"


def understood(text: str) -> tuple[Span, ...]:
    """The versions that `text` means; none where it is not understood."""
    if len(text) > _MAX_PROSE:
        return ()
    text = plain(text)
    return _one(text) or _list(text)


def _one(text: str) -> tuple[Span, ...]:
    if text.lower() in _ALL:
        return (Span(),)
    wild = series(text)
    if wild:
        return (Span(at_least=wild[0], below=wild[1]),)
    if one := _between(text):
        return (one,)
    if one := version(text):
        return (Span(exact=one),) if one not in NOWHERE else ()
    for pattern, fields in _PROSE:
        found = pattern.fullmatch(text)
        if found:
            return (Span(**dict(zip(fields, [group for group in found.groups() if group], strict=False))),)
    return _compared(text) or _within_series(text)


def _between(text: str) -> Span | None:
    """`1.0.0-4.7.1`: a range, if both are numbers of the same length and the first is smaller; else a revision."""
    first, dash, last = text.partition("-")
    if not dash or not (_NUMBERS.fullmatch(first) and _NUMBERS.fullmatch(last)) or len(text) > MAX_VERSION:
        return None
    low, high = ([int(number) for number in part.split(".")] for part in (first, last))
    return Span(at_least=first, at_most=last) if len(low) == len(high) > 1 and low < high else None


def _compared(text: str) -> tuple[Span, ...]:
    """`>= 1.0, < 1.4, >= 2.0, < 2.2`: a new range begins where the one before has what is said again."""
    text = text.removeprefix("all ")
    made: list[Span] = []
    at = 0
    fresh = True
    while at < len(text):
        found = _COMPARED.match(text, at)
        if not found or len(made) > _MAX_LIST:
            return ()
        bound = {"<": "below", "<=": "at_most", ">": "above", ">=": "at_least"}.get(found[1], "exact")
        last = made[-1] if made else Span()
        ends = bool(last.exact or last.at_most or last.below) or (bound in ("above", "at_least") and not fresh)
        if fresh or ends:
            made.append(Span())
        made[-1] = made[-1]._replace(**{bound: found[2]})
        fresh = False
        at = found.end()
    return tuple(made)


def _within_series(text: str) -> tuple[Span, ...]:
    """`8.10.x: 8.10.0.6 and below`: what is said of one series."""
    first, colon, rest = text.partition(":")
    wild = series(first.rsplit(" ", 1)[-1]) if colon and first[:1].isdigit() else None
    told = _one(rest.strip()) if wild else ()
    if wild and len(told) == 1 and told[0].everything:
        return (Span(at_least=wild[0], below=wild[1]),)
    if wild and len(told) == 1 and (told[0].at_most or told[0].below) and not (told[0].at_least or told[0].above):
        return (told[0]._replace(at_least=wild[0]),)
    return ()


def _list(text: str) -> tuple[Span, ...]:
    """`1.0, 1.1 and 1.2`: every part has to be understood by itself."""
    parts = [part.strip() for part in re.split(r",|;|/| and | & | or ", text)]
    parts = [part for part in parts if part]
    if not 1 < len(parts) <= _MAX_LIST:
        return ()
    made: list[Span] = []
    for part in parts:
        spans = _one(part)
        if not spans or any(span.everything for span in spans):
            return ()
        made += spans
    return tuple(made)
