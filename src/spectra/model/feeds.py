"""Feeds as the API answers with them: which files say where hosts are, how old they are, and what rests on them."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal
from urllib.parse import urlsplit, urlunsplit

import msgspec

UPLOAD: Final = "upload"
"""The source of a feed that came as a file."""
FEED_NAME: Final = r"^[a-z0-9][a-z0-9._-]{0,63}$"
"""What a feed may be called."""

Outcome = Literal["added", "updated", "unchanged", "rolled_back", "removed"]


class FeedRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One feed in the version that is in use.

    `kind` is `geo`, `asn`, `cloud` or `as-names`; `version` is the feed's own word for itself, `built` the time it
    gives for that. `sha256` and `size` are the original's. `updated` is when this version was taken, `checked` the last
    attempt to get another and `error` why that failed. `previous` is the version that a rollback brings back.
    `taken_by` took it: a contributor, or `schedule`. `hosts_behind` counts the stored hosts that rest on another
    version, or on none.
    """

    name: str
    kind: str
    format: str
    source: str  # without what may be secret in a URL
    version: str
    sha256: str
    size: int
    networks: int
    updated: datetime
    taken_by: str
    checked: datetime
    provider: str = ""
    built: datetime | None = None
    error: str = ""
    previous: str | None = None
    hosts_behind: int = 0


class FeedPage(msgspec.Struct, frozen=True):
    """All feeds. `feed_set` is the number of the set of versions that new hosts are looked up in, 0 before the first.

    `hosts_behind` counts those of the stored `hosts` that rest on an older set, or on none.
    """

    feeds: tuple[FeedRecord, ...]
    feed_set: int
    hosts: int
    hosts_behind: int


class FeedChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a feed: the record as it is now (None: removed), and what was there before."""

    name: str
    outcome: Outcome
    feed_set: int
    feed: FeedRecord | None = None
    version_before: str = ""
    networks_before: int = 0


class FeedVersion(msgspec.Struct, frozen=True):
    """A version of a feed: its own word for itself, the original's SHA-256, and when it was taken."""

    version: str
    sha256: str
    updated: datetime


class FeedSet(msgspec.Struct, frozen=True):
    """The versions that answers rest on, by the name of the feed."""

    feed_set: int
    created: datetime
    feeds: dict[str, FeedVersion]


class FeedSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where to fetch a feed from. `provider` as for files: whose networks a plain list holds."""

    url: str
    provider: str = ""


class Relocating(msgspec.Struct, frozen=True):
    """The workflow that looks all stored hosts up again; `started` is False where it was running already."""

    workflow_id: str
    started: bool
    hosts_behind: int


def public_source(source: str) -> str:
    """`source` without what may be secret in a URL: user, password and the values of the query."""
    if source == UPLOAD:
        return source
    parts = urlsplit(source)
    names = "&".join(f"{field.partition('=')[0]}=..." for field in parts.query.split("&") if field)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, names, ""))
