"""What the workflow engine tells of its workflows, as records. Knows the shape of what it tells, not the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal, Protocol, cast

import msgspec

from spectra.model.records import WorkflowRecord, WorkflowStep

RELOCATION: Final = "relocate-"
"""How the ids of relocations begin; all others are an observation's, `-enrich` or `-graph` after it for its parts."""

STATUS: Final[dict[str, Literal["pending", "running", "done", "failed"]]] = {
    "ENQUEUED": "pending",
    "DELAYED": "pending",
    "PENDING": "running",
    "SUCCESS": "done",
}
"""The engine's words for how it stands; all others mean that it failed."""


ENDED_BADLY: Final = ("ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")
"""The engine's words for having ended without result."""


class Run(Protocol):
    """A workflow as the engine tells of it; times are milliseconds of the epoch."""

    workflow_id: str
    name: str
    created_at: int | None
    updated_at: int | None

    @property
    def status(self) -> str:
        """One of the engine's words."""
        ...

    @property
    def output(self) -> Any:
        """What it returned."""
        ...

    @property
    def error(self) -> Any:
        """What it raised."""
        ...


def record(run: Run, steps: tuple[WorkflowStep, ...]) -> WorkflowRecord:
    """A workflow; one that ended well by finding out that nothing can be read has failed."""
    return WorkflowRecord(
        workflow_id=run.workflow_id,
        name=run.name,
        status="failed" if run.output == "failed" else STATUS.get(run.status, "failed"),
        created=time_of(run.created_at),
        updated=time_of(run.updated_at),
        observation_id=_observation_of(run.workflow_id),
        steps=steps,
        error=str(run.error) if run.error else "",
    )


def relocation(run: Run, told: Sequence[Mapping[str, Any]], hosts_step: str) -> WorkflowRecord:
    """A relocation with how far it is. Its steps stand there once each, however many batches they were."""
    done = total = 0
    errors: dict[str, str] = {}
    for step in told:
        output = cast("dict[str, int]", step["output"] or {})
        name = str(step["function_name"])
        done += output.get("done", 0) if name == hosts_step else 0
        total = max(total, output.get("total", 0))
        errors[name] = str(step["error"] or "")
    steps = tuple(WorkflowStep(name, error) for name, error in errors.items())
    return msgspec.structs.replace(record(run, steps), done=done, total=max(done, total))


def enrich_id(observation_id: str) -> str:
    """The workflow that adds facts to a submission."""
    return f"{observation_id}-enrich"


def graph_id(observation_id: str) -> str:
    """The workflow that writes a submission into the graph."""
    return f"{observation_id}-graph"


def children(observation_id: str) -> tuple[str, str]:
    """The parts of a submission's workflow."""
    return enrich_id(observation_id), graph_id(observation_id)


def time_of(epoch_ms: int | None) -> datetime:
    """The time that the engine means."""
    return datetime.fromtimestamp((epoch_ms or 0) / 1000, UTC)


def _observation_of(workflow_id: str) -> str:
    of = workflow_id.removesuffix("-graph").removesuffix("-enrich")
    return "" if "-" in of else of  # an observation's id is hexadecimal; a job's tells in front what it is
