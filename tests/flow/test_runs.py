"""What the engine tells, as records."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from spectra.flow import runs
from spectra.model.records import WorkflowStep


@dataclass
class Told:
    """A workflow as the engine tells of it."""

    workflow_id: str = "ab" * 32
    name: str = "wf.scan"
    status: str = "SUCCESS"
    created_at: int | None = 1_000
    updated_at: int | None = 2_500
    output: Any = None
    error: Any = None


@pytest.mark.parametrize(
    ("status", "output", "ours"),
    [("ENQUEUED", None, "pending"), ("PENDING", None, "running"), ("SUCCESS", "merged", "done"),
     ("SUCCESS", "failed", "failed"), ("ERROR", None, "failed"), ("CANCELLED", None, "failed")],
)  # fmt: skip
def test_its_words_become_ours(status: str, output: str | None, ours: str) -> None:
    """One that ended well by finding that nothing can be read has failed, too."""
    record = runs.record(Told(status=status, output=output), ())
    assert record.status == ours
    assert record.updated == datetime(1970, 1, 1, 0, 0, 2, 500_000, tzinfo=UTC)


@pytest.mark.parametrize("part", ["", "-enrich", "-graph"])
def test_parts_are_of_their_observation(part: str) -> None:
    """By their id; a relocation is of none."""
    assert runs.record(Told(workflow_id="ab" * 32 + part), ()).observation_id == "ab" * 32
    assert runs.record(Told(workflow_id="relocate-1"), ()).observation_id == ""


def step(name: str, error: str | None = None, **output: int) -> dict[str, Any]:
    """A step as the engine tells of it."""
    return {"function_name": name, "output": output or None, "error": error}


def test_a_relocation_tells_how_far_it_is() -> None:
    """Hosts of all its batches, of as many as there were to look up; each kind of step stands there once."""
    told = [step("count", total=12), step("look", done=5), step("look", done=5), step("name", done=99)]
    record = runs.relocation(Told(name="wf.relocate", workflow_id="relocate-1"), told, "look")
    assert (record.done, record.total) == (10, 12)
    assert record.steps == (WorkflowStep("count"), WorkflowStep("look"), WorkflowStep("name"))
    assert runs.relocation(Told(), [], "look").total == 0
    failed = runs.relocation(Told(status="ERROR"), [step("look", done=20), step("look", "gone")], "look")
    assert (failed.done, failed.total, failed.steps) == (20, 20, (WorkflowStep("look", "gone"),))
