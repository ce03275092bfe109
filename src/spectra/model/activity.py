"""What happens here, for those who look on: entries of the provenance chain in plain words.

The number of an entry in the chain is the cursor of all activity: what is after it comes later, and nothing ever comes
before. A *topic* gathers kinds of entries; who may read a topic is told by one scope.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, Literal

import msgspec

from spectra.errors import BadRequest

Topic = Literal[
    "observation",
    "finding",
    "insight",
    "report",
    "job",
    "node",
    "feed",
    "alert",
    "account",
    "law",
    "egress",
    "other",
]

TOPICS: Final[Mapping[Topic, str]] = MappingProxyType(
    {
        "observation": "observations:read",
        "finding": "findings:read",
        "insight": "ai:read",
        "report": "ai:read",
        "job": "jobs:read",
        "node": "nodes:read",
        "feed": "feeds:read",
        "alert": "alerts:read",
        "account": "audit:read",
        "law": "audit:read",
        "egress": "audit:read",
        "other": "audit:read",
    }
)
"""Topic -> the scope that lets somebody see its entries."""

SECURITY: Final[tuple[Topic, ...]] = ("account", "law", "egress", "node", "alert")
"""What security events are about: who may do what, what left, which machines take part, what went off."""

NOUNS: Final[Mapping[str, Topic]] = MappingProxyType(
    {
        **dict.fromkeys(("observation",), "observation"),
        **dict.fromkeys(("finding", "triage", "vex"), "finding"),
        **dict.fromkeys(("insight", "insights"), "insight"),
        **dict.fromkeys(("report",), "report"),
        **dict.fromkeys(("job", "result", "schedule", "work", "worker"), "job"),
        **dict.fromkeys(("attestation", "ca", "join-token", "node"), "node"),
        **dict.fromkeys(("feed",), "feed"),
        **dict.fromkeys(("alert", "alert-mute", "alert-rule", "outlet"), "alert"),
        **dict.fromkeys(("account", "factor", "recovery", "role", "session", "setup", "signin"), "account"),
        **dict.fromkeys(("credential", "device", "key", "tier", "token-key"), "account"),
        **dict.fromkeys(("block", "do_not_scan"), "law"),
        **dict.fromkeys(("ai-egress",), "egress"),
    }
)
"""The part of an entry's kind before the first dot -> its topic; what is not here is `other`."""

ACCEPTED: Final = "observation.accepted"
"""Told only where it is asked for by name: what becomes of a submission is told when that is settled."""

MAX_TITLE: Final = 300


class Activity(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that happened. `cursor` is its number in the chain; `subject` the id of what it is about.

    `path` is the page of that, empty where there is none; `account` who did it, as far as the entry says. `detail` is
    the whole entry, for those who may read the audit trail; empty for others.
    """

    cursor: int
    at: datetime
    kind: str
    topic: Topic
    title: str
    subject: str
    path: str = ""
    account: str = ""
    detail: dict[str, Any] = {}


class ActivityPage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Activity, newest first, or oldest first where `after` was asked for. `head` is the newest cursor there is.

    The next page begins at `next_cursor`: pass it as `before`, or as `after` where that was asked for. It is left out
    on the last page. A page may be short, even empty: one search looks at so many entries only.
    """

    activity: tuple[Activity, ...]
    head: int
    next_cursor: int | None = None


class Progress(msgspec.Struct, frozen=True):
    """How far a job is that is running: targets of it by state. Told live only; nothing of it is kept."""

    job: str
    state: str
    total: int
    done: int
    leased: int
    waiting: int
    review: int
    found: int


def topic_of(kind: str) -> Topic:
    """The topic that entries of `kind` belong to."""
    return NOUNS.get(kind.partition(".")[0], "other")


def seen_by(scopes: Collection[str]) -> frozenset[Topic]:
    """The topics that somebody with `scopes` may see."""
    return frozenset(topic for topic, scope in TOPICS.items() if scope in scopes)


def read_topics(text: str, *, field: str = "topics") -> tuple[Topic, ...]:
    """The topics that `text` names, separated by commas; `security` stands for several. Raises `BadRequest`."""
    words = [word.strip().lower() for word in text.split(",") if word.strip()]
    named: Sequence[str] = [topic for word in words for topic in (SECURITY if word == "security" else (word,))]
    if wrong := next((word for word in named if word not in TOPICS), ""):
        hint = f"Topics are {', '.join(TOPICS)}, and security for several of them."
        raise BadRequest(f'"{wrong[:40]}" is no topic.', field=field, hint=hint)
    return tuple(topic for topic in TOPICS if topic in named)
