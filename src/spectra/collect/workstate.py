"""How the work of this machine is, as its agent tells whoever looks at the machine (part of `agent.json`)."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Scanning(msgspec.Struct, frozen=True, omit_defaults=True):
    """A target that is being scanned."""

    lease: str
    target: int
    what: str
    preset: str
    since: datetime
    fraction: float = 0.0
    found: int = 0


class WorkState(msgspec.Struct, frozen=True, omit_defaults=True):
    """`spooled` results (and bytes) wait for a coordinator, `refused` ones were set aside; `done` and `failed` count
    since the agent began; `law` is the version of the do-not-scan list, -1 for none.
    """

    slots: int = 0
    free: int = 0
    scanning: tuple[Scanning, ...] = ()
    spooled: int = 0
    spooled_bytes: int = 0
    spool_full: bool = False
    refused: int = 0
    done: int = 0
    failed: int = 0
    law: int = -1
    problem: str = ""
