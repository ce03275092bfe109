"""What a host's facts amount to, in words: the answer of `GET /v0/explain/ip/{ip}`."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

Level = Literal["high", "medium", "low"]
LEVELS: tuple[Level, ...] = ("high", "medium", "low")


class Risk(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing to mind: how much, where (`443/tcp`; empty: the host), what the facts say, and what follows."""

    level: Level
    rule: str
    says: str
    where: str = ""
    advice: str = ""


class Explanation(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A host in three points. `by` says what drew the conclusions: `rules` over the graph, no language model."""

    ip: str
    at: datetime
    summary: str
    risks: tuple[Risk, ...]
    next_steps: tuple[str, ...]
    by: Literal["rules"] = "rules"
