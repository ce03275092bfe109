"""What an agent and the process of one task tell each other, and the files that the process leaves in its folder.

The process finds `given.json` (`Given`) and the law in its folder, and ends soon after its standard input does. It
prints a line of JSON (`Moved`) whenever it got on, and leaves its outputs and last of all `done.json` (`Executed`).
Nothing of what it leaves is believed before it was read as strictly as this file says.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

from spectra.model.envelope import Word
from spectra.model.results import MAX_ARTEFACTS, MAX_OBSERVATIONS, ArtefactKind
from spectra.model.work import Order, Outcome, Stats

GIVEN: Final = "given.json"
DONE: Final = "done.json"
LAW: Final = "law.json"
"""The mesh's do-not-scan list, as the coordinator told it."""

OWN_LAW: Final = "own-law.json"
"""This machine's own: a list of [text, where it stands]."""

RELAYS: Final = "relays.json"
RELAYS_LEARNT: Final = "relays-learnt.json"
"""What is known of relays (`relays.RelayMemory`) before a task, and after it."""

MAX_DONE_BYTES: Final = 256 * 1024
MAX_LINE_BYTES: Final = 4096

_Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")]


class Lending(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a machine lends to the scans it is handed (the settings `worker.*` and `scan.*`). No slots: nothing.

    `never` are entries of its own do-not-scan list, `never_files` lists of more, read anew for every task.
    """

    slots: int = 0
    user: str = ""
    memory_mb: int = 512
    cpu_s: float = 3600.0
    output_mb: int = 48
    spool_mb: int = 512
    interface: str = ""
    relays: tuple[str, ...] = ()
    concurrency: int = 500
    timeout_s: float = 3.0
    never: tuple[str, ...] = ()
    never_files: tuple[str, ...] = ()


class Given(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One task: the order, and what this machine says to it. Times in seconds."""

    order: Order
    deadline_s: float
    interface: str = ""
    relays: tuple[str, ...] = ()
    concurrency: int = 500
    timeout_s: float = 3.0


class Moved(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far the scan is: `fraction` 0..1, endpoints `found` so far, and the tool's own words."""

    fraction: Annotated[float, Meta(ge=0, le=1)] = 0.0
    found: Annotated[int, Meta(ge=0, le=2**53)] = 0
    note: Annotated[str, Meta(max_length=1000)] = ""


class OutputFile(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """A tool's original output in the task's folder, which is to be signed as an observation."""

    file: _Name
    tool: Word
    tool_version: Word = ""
    scan_type: Word = ""
    started: datetime
    finished: datetime


class ArtefactFile(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Another file of the task's folder that belongs to the attempt, such as its log."""

    kind: ArtefactKind
    file: _Name
    media_type: Annotated[str, Meta(pattern=r"^[a-z]+/[a-z0-9.+-]{1,80}\Z")] = "text/plain"


class Executed(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """How an attempt ended. `refused`: nothing was scanned, because the machine may not or cannot; `reason` says why.

    `partial`: it was stopped, and what it found until then is in its outputs.
    """

    outcome: Outcome
    reason: Annotated[str, Meta(max_length=60)] = ""
    message: Annotated[str, Meta(max_length=2000)] = ""
    tool: Word = ""
    tool_version: Word = ""
    started: datetime | None = None
    finished: datetime | None = None
    outputs: Annotated[tuple[OutputFile, ...], Meta(max_length=MAX_OBSERVATIONS)] = ()
    artefacts: Annotated[tuple[ArtefactFile, ...], Meta(max_length=MAX_ARTEFACTS)] = ()
    stats: Stats = Stats()


class Hooks(NamedTuple):
    """What an execution hears and tells: it tells `moved` from its own thread, and ends soon after `stop` is set."""

    moved: Callable[[Moved], None]
    stop: threading.Event


Execute = Callable[[Order, Path, Hooks], Executed]
"""Does one order in a folder of its own, which is empty and goes afterwards; blocks. Raises `SpectraError` where it
could not even begin. `sandbox` has the one that scans."""
