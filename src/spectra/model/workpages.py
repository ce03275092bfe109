"""Work as the API answers and is asked: pages of lists, and what people say when they steer it."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from spectra.model.nodes import NodeRecord
from spectra.model.presets import Preset
from spectra.model.work import (
    ArtefactRecord,
    JobRecord,
    Schedule,
    Scheduled,
    TargetRecord,
    WorkerRecord,
)

MAX_RETRIED: Final = 10_000
"""Targets that one call may name to be tried again; none named: all of the job that failed."""

Words = Annotated[str, Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]*\Z")]
"""One line for the record and for those who read the list."""


class JobPage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Jobs, newest first; `next_cursor` is opaque and left out on the last page."""

    jobs: list[JobRecord]
    next_cursor: str = ""


class TargetPage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Targets in the order they were cut in, without their attempts; `next_cursor` is left out on the last page."""

    targets: list[TargetRecord]
    next_cursor: str = ""


class ArtefactPage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Files of attempts, newest first; `next_cursor` is left out on the last page."""

    artefacts: list[ArtefactRecord]
    next_cursor: str = ""


class ScheduleList(msgspec.Struct, frozen=True):
    """All schedules by name."""

    schedules: list[Schedule]


class ScheduleRequest(Scheduled, frozen=True, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """A schedule as somebody puts it: its name is in the path, and how it went is nobody's to say."""


class PresetList(msgspec.Struct, frozen=True):
    """All presets by name: those that come with Spectra, and those of this coordinator's folders."""

    presets: list[Preset]


class WorkingNode(NodeRecord, frozen=True, omit_defaults=True):
    """A node, and how it stands with work where that is known."""

    work: WorkerRecord | None = None


class Because(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Why it is stopped; it stands on record."""

    reason: Words = ""


class Priority(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How soon the targets of a job get their turn: the highest first, 0 is usual."""

    priority: Annotated[int, Meta(ge=-100, le=100)]


class Again(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Which targets of a job to try again, by number; none: all that ended in review or were cancelled."""

    targets: Annotated[tuple[Annotated[int, Meta(ge=1, le=2**53)], ...], Meta(max_length=MAX_RETRIED)] = ()


class Retried(msgspec.Struct, frozen=True):
    """How many targets wait again, and their job."""

    retried: int
    job: JobRecord
