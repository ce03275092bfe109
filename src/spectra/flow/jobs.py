"""What all durable workflows share, without the engine: whether it is ending, what this process runs, what may pass.

A `Job` is the kind of workflow that goes over the whole store in the background; `flow.workflows` runs any of them.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, Protocol, runtime_checkable

from spectra.errors import SpectraError
from spectra.flow.runs import Run
from spectra.model.records import WorkflowRecord

QUEUE: Final = "spectra-ingest"
PARTS_QUEUE: Final = "spectra-ingest-parts"
RELOCATION_QUEUE: Final = "spectra-relocation"
VERSION: Final = "2"
"""Workflows are recovered by the version they were started under. It changes when a step changes meaning, not with
every release, so that an upgrade picks up what the release before it left."""

stopping: Final = threading.Event()
"""Set while the engine ends: a workflow raises `Stopped` between two of its steps."""

running: Final[set[str]] = set()
"""The workflows of this process: the engine's own record says of everything it ever began that it is running."""


class Stopped(BaseException):
    """The engine ends. No `Exception`, which would end the workflow for good: the next start goes on with it."""


@contextlib.contextmanager
def noted(workflow_id: str) -> Generator[None]:
    """While the block runs, this process is at the workflow."""
    running.add(workflow_id)
    try:
        yield
    finally:
        running.discard(workflow_id)


def retryable(error: BaseException) -> bool:
    """Whether a step that ended so is to be tried again."""
    return isinstance(error, SpectraError) and error.retryable


class Job(Protocol):
    """Workflows of one kind, one at a time in their `queue`; without a queue, as whoever starts them says.

    `names` are the workflows' names. One that was not heard of for `lost_after` (longer than any of its steps takes)
    is run again from where it was.
    """

    names: tuple[str, ...]
    queue: str
    lost_after: timedelta

    def enter(self) -> None:
        """The engine is about to start: what workflow functions find by name works on this from now on."""
        ...

    def leave(self) -> None:
        """The engine has ended."""
        ...

    def told(self, run: Run, steps: Sequence[Mapping[str, Any]]) -> WorkflowRecord:
        """A workflow with how far it is; `steps` as the engine tells them, none where only the outcome is asked for."""
        ...


@runtime_checkable
class Sweeping(Protocol):
    """A `Job` whose workflows are begun by rows: what has none is given one now and then, by any coordinator."""

    def sweep(self) -> int:
        """Begin what is due and nobody began; how many those are."""
        ...

    def halt(self) -> None:
        """The engine is about to end: begin nothing more, and let what is under way end for a moment."""
        ...
