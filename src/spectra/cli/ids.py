"""Ids of 64 hex digits are shown short in tables, and what is shown can be typed."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from spectra.errors import BadRequest

FULL = 64  # SHA-256 in hex; a workflow's id may go on after it (`...-graph`)
SHORT = 16
MIN_PREFIX = 8
LOOK_AT = 1000  # newest records among which a short id is looked for


def short(identifier: str) -> str:
    """The first 16 digits, and what follows the 64."""
    return identifier[:SHORT] + identifier[FULL:]


def resolve(given: str, known: Callable[[], Iterable[str]]) -> str:
    """The id that `given` (whole, short, or its beginning) stands for; `given` itself where none of `known` fits.

    `known` is asked only for what is not a whole id. Raises `BadRequest` where several fit.
    """
    if len(given) >= FULL or len(given) < MIN_PREFIX:
        return given
    found = list(dict.fromkeys(known()))
    same = [one for one in found if given in (one, short(one))]
    fitting = same or [one for one in found if one.startswith(given)]
    if len(fitting) > 1:
        raise BadRequest(f"{len(fitting)} ids begin with {given}", field="id", hint="Give more digits.")
    return fitting[0] if fitting else given
