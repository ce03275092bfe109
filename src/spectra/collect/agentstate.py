"""What an agent tells of itself to whoever looks at the machine: `agent.json` in the node's folder. No secrets.

It is written when something changed and else once a minute, without waiting for the disk: a board's SD card wears out.
"""

from __future__ import annotations

import contextlib
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

import msgspec

from spectra.collect.workstate import WorkState
from spectra.model.nodes import Standing, Transport

FILE: Final = "agent.json"
MAX_BYTES: Final = 64 * 1024


class AgentState(msgspec.Struct, omit_defaults=True):
    """How an agent is. `since`: when `connected` last changed; `place`: the broker it speaks to.

    `problem` is the newest thing that failed and goes with the next success; `ended` says why a stopped one stopped.
    """

    pid: int
    started: datetime
    node: str
    mesh: str
    transport: Transport = "mqtt"
    place: str = ""
    connected: bool = False
    since: datetime | None = None
    heartbeats: int = 0
    heartbeat_at: datetime | None = None
    standing: Standing | None = None
    standing_reason: str = ""
    not_after: datetime | None = None
    renew_at: datetime | None = None
    renewals: int = 0
    proof: str = ""
    problem: str = ""
    problem_at: datetime | None = None
    ended: Literal["", "stopped", "revoked"] = ""
    work: WorkState | None = None
    version: Literal[1] = 1


def write(folder: Path, state: AgentState) -> None:
    """Replace what was told; a disk that is full or read-only is no reason for an agent to end."""
    spare = folder / f".{FILE}"
    with contextlib.suppress(OSError):
        spare.write_bytes(msgspec.json.encode(state))
        spare.replace(folder / FILE)


def read(folder: Path) -> AgentState | None:
    """What the newest agent told; None where there was none, or its file is damaged."""
    try:
        with (folder / FILE).open("rb") as file:
            return msgspec.json.decode(file.read(MAX_BYTES), type=AgentState)
    except (OSError, msgspec.DecodeError, RecursionError):
        return None
