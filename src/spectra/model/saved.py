"""Searches kept under a name."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

import msgspec

from spectra.errors import BadRequest

MAX_SAVED: Final = 200
"""Searches that one account may keep."""
MAX_NAME: Final = 60
_NAME: Final = re.compile(rf"[^\W_][\w .:+()-]{{0,{MAX_NAME - 1}}}")


class SavedSearch(msgspec.Struct, frozen=True):
    """A query that an account keeps: its name, the text and the order of what it finds."""

    name: str
    query: str
    sort: str
    created: datetime
    changed: datetime


class SavedSearches(msgspec.Struct, frozen=True):
    """`GET /v0/searches`: all that the account keeps, by name."""

    searches: tuple[SavedSearch, ...]


def checked_name(text: str) -> str:
    """The name without blanks around it; raises `BadRequest` naming `name`."""
    name = text.strip()
    if not _NAME.fullmatch(name):
        hint = f"Letters, digits, blanks and .:+()-_, at most {MAX_NAME}; a letter or a digit first."
        raise BadRequest("That is no name for a search.", hint=hint, field="name")
    return name
