"""What stands after a field of the query language, once read, and how it is written down again."""

from __future__ import annotations

import ipaddress
import re
from datetime import datetime
from typing import Final

import msgspec


class Text(msgspec.Struct, frozen=True, tag=True):
    """Characters to be found; `prefix`: the value ended in `*`, and anything may follow."""

    text: str
    prefix: bool = False


class Regex(msgspec.Struct, frozen=True, tag=True):
    """A regular expression to be found anywhere in the text, without regard to case; `model.regex` says which."""

    pattern: str


class Ports(msgspec.Struct, frozen=True, tag=True):
    """The ports from `low` to `high`, both included."""

    low: int
    high: int


class Numbers(msgspec.Struct, frozen=True, tag=True):
    """The numbers from `low` to `high`, both included."""

    low: int
    high: int


class Scores(msgspec.Struct, frozen=True, tag=True):
    """The numbers from `low` to `high`; None: without a bound on that side. `beyond`: the bound itself is not meant,
    where there is only one.
    """

    low: float | None
    high: float | None
    beyond: bool = False


class Network(msgspec.Struct, frozen=True, tag=True):
    """The addresses from `first` to `last`, both included, in `ipaddress` text form; one address for `ip:`."""

    first: str
    last: str


class Moment(msgspec.Struct, frozen=True, tag=True):
    """A point in time, UTC."""

    at: datetime


class Times(msgspec.Struct, frozen=True, tag=True):
    """The times from `start` (included) to `end` (excluded), UTC; None: without a bound on that side."""

    start: datetime | None
    end: datetime | None


Value = Text | Regex | Ports | Numbers | Scores | Network | Moment | Times

DECIMALS: Final = 9
"""Digits after the point of a score."""

_SAFE_VALUE: Final = re.compile(r"[A-Za-z0-9_.:+-][A-Za-z0-9_.:/+-]*")
_SAFE_STARS: Final = re.compile(r"[A-Za-z0-9_.:+*-]+")
_SLASHES: Final = re.compile(r"(\\.)|/", re.DOTALL)
_SAFE_WORD: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+-]*")


def format_value(value: Value, *, bare: bool = False, stars: bool = False) -> str:
    """The text that is read as `value`; `bare`: no field stands before it, `stars`: they may stand anywhere."""
    match value:
        case Ports(low, high) | Numbers(low, high):
            return f"{low}-{high}" if low < high else str(low)
        case Scores():
            return _scores(value)
        case Network(first, last):
            return first if first == last else _cidr(first, last)
        case Moment() | Times():
            return value.at.isoformat() if isinstance(value, Moment) else _times(value.start, value.end)
        case Regex(pattern):
            return "/" + _SLASHES.sub(lambda found: found[1] or r"\/", pattern) + "/"
        case Text():
            return _text(value, _SAFE_WORD if bare else _SAFE_STARS if stars else _SAFE_VALUE)


def _text(value: Text, safe: re.Pattern[str]) -> str:
    """In quotes unless it is `safe` without them."""
    star = "*" if value.prefix else ""
    if not value.text or (safe.fullmatch(value.text) and value.text != "NOT"):
        return value.text + star
    return '"' + re.sub(r'(["\\*])', r"\\\1", value.text) + star + '"'


def _scores(value: Scores) -> str:
    low, high = (_decimal(bound) for bound in (value.low, value.high))
    if low and high:
        return low if low == high else f"{low}-{high}"
    return f"{'>' if low else '<'}{'' if value.beyond else '='}{low or high}"


def _decimal(number: float | None) -> str:
    """Without an exponent and without what rounding adds; empty for None."""
    return "" if number is None else f"{number:.{DECIMALS}f}".rstrip("0").rstrip(".")


def _cidr(first: str, last: str) -> str:
    """`first`/prefix for the network from `first` to `last`."""
    low, high = ipaddress.ip_address(first), ipaddress.ip_address(last)
    return f"{first}/{low.max_prefixlen - (int(low) ^ int(high)).bit_length()}"


def _times(start: datetime | None, end: datetime | None) -> str:
    if start is not None and end is not None:
        return f"{start.isoformat()}..{end.isoformat()}"
    if start is not None:
        return f">={start.isoformat()}"
    return f"<{end.isoformat() if end is not None else ''}"
