"""Texts and times of other people's documents, as they are stored."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final

import msgspec

from spectra.intel.vulns.texts import moment as when
from spectra.model.vex import VexProblem

MAX_NOTE: Final = 1000
MAX_ID: Final = 500
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_AT: Final = re.compile(r" - at `\$\.?([^`]*)`$")


class Unusable(Exception):
    """A statement that cannot be used: `field` is where in it, the message why."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


def line(text: str, most: int = MAX_NOTE) -> str:
    """`text` on one line without what acts on a terminal, at most so long."""
    if _CONTROL.search(text):
        text = " ".join(_CONTROL.sub(" ", text).split())
    return text.strip()[:most].rstrip()


def moment(text: str | None, name: str) -> datetime | None:
    """A time of RFC 3339, UTC where it says no zone; None where there is none. Raises `ValueError` with its `name`."""
    found = when(text)
    if text and found is None:
        raise ValueError(f"`{name}` {text[:40]!r} is no time")
    return found


def problem(place: int, at: str, error: Exception) -> VexProblem:
    """What is wrong with the part number `place` of the list `at`, by what its reader raised."""
    if isinstance(error, Unusable):
        return VexProblem(place, f"{at}[{place}].{error.field}", error.message)
    message, where = str(error)[:300], f"{at}[{place}]"
    if found := _AT.search(message):
        return VexProblem(place, f"{where}.{found[1]}".rstrip("."), message[: found.start()])
    return VexProblem(place, where, "It is nested too deep." if isinstance(error, RecursionError) else message)


def decoded(raw: msgspec.Raw, kind: type[Any]) -> Any:
    """A part of a document as a struct of type `kind`; raises `ValueError` or `RecursionError`."""
    return msgspec.json.decode(raw, type=kind)
