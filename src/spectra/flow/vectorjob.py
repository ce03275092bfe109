"""`wf.vuln_vectorize`: brings the vectors of weaknesses up to date, one workflow at a time.

Its steps are those of `flow.vectorflow`, each a transaction: a process killed anywhere goes on at the step it was at,
and vectors that a step wrote before anybody noted it are found written.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from dbos import DBOS, SetEnqueueOptions, SetWorkflowID

from spectra.flow import runs
from spectra.flow.jobs import Stopped, noted, retryable, stopping
from spectra.flow.runs import Run
from spectra.flow.vectorflow import Vectors
from spectra.model.records import WorkflowRecord
from spectra.model.similar import Vectorizing

NAME: Final = "wf.vuln_vectorize"
QUEUE: Final = "spectra-vectors"
_TRIES: Final = 12  # a step waits for about half an hour
_EMBED: Final = "embed texts"

# Workflow functions are found by name after a restart, so they are module functions; what they work on is set when the
# engine starts.
_current: Vectors | None = None


def _vectors() -> Vectors:
    if _current is None:
        raise AssertionError("vectors were to be made before the engine was started")
    return _current


@DBOS.workflow(name=NAME)
def vectorize(anew: bool) -> str:
    """Choose the embedder, make the vectors that are missing, then the index; have it answer, remove what is past."""
    with noted(DBOS.workflow_id or ""):
        plan = _plan(anew)
        number, after = plan["embedder"], 0
        while number and (step := _embed(number, after))["done"]:
            if stopping.is_set():
                raise Stopped
            after = step["after"]
        if number:
            _index(number)
            _switch(number, plan["seen"])
        _tidy()
        return "done"


@DBOS.step(name="choose the embedder", retries_allowed=True, max_attempts=_TRIES, should_retry=retryable)
def _plan(anew: bool) -> dict[str, Any]:
    return msgspec.to_builtins(_vectors().plan(anew=anew)._asdict())


@DBOS.step(name=_EMBED, retries_allowed=True, max_attempts=_TRIES, should_retry=retryable)
def _embed(number: int, after: int) -> dict[str, int]:
    return _vectors().embed(number, after)._asdict()


@DBOS.step(name="build the index", retries_allowed=True, max_attempts=_TRIES, should_retry=retryable)
def _index(number: int) -> dict[str, int]:
    return {"indexed": _vectors().index(number)}


@DBOS.step(name="have it answer", retries_allowed=True, max_attempts=_TRIES, should_retry=retryable)
def _switch(number: int, seen: str | None) -> None:
    _vectors().switch(number, msgspec.convert(seen, datetime | None))


@DBOS.step(name="remove what is past", retries_allowed=True, max_attempts=_TRIES, should_retry=retryable)
def _tidy() -> dict[str, int]:
    return {"embedders": _vectors().tidy()}


class VectorJob:
    """The `Job` of the workflow."""

    names: tuple[str, ...] = (NAME,)
    queue: str = QUEUE
    lost_after: timedelta = timedelta(minutes=20)  # learning, and making an index, take minutes on a small machine

    def __init__(self, vectors: Vectors) -> None:
        self.vectors = vectors

    def enter(self) -> None:
        """Workflows work on this from now on."""
        global _current  # noqa: PLW0603
        _current = self.vectors

    def leave(self) -> None:
        """The engine has ended."""
        global _current  # noqa: PLW0603
        _current = None

    def start(self, *, anew: bool = False) -> Vectorizing:
        """Start one, or tell of the one that is under way. `anew`: by another embedder, though this one would do."""
        behind = self.vectors.status().behind
        mine = f"vectorize-{uuid.uuid4().hex}"
        once = SetEnqueueOptions(deduplication_id="vectorize", duplication_policy="return-existing")
        with SetWorkflowID(mine), once:
            found = DBOS.enqueue_workflow(QUEUE, vectorize, anew).workflow_id
        return Vectorizing(found, found == mine, behind)

    def told(self, run: Run, steps: Sequence[Mapping[str, Any]]) -> WorkflowRecord:
        """The workflow with how many of the texts were looked at."""
        return runs.relocation(run, steps, _EMBED)
