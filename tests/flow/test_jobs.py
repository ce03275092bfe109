"""What all durable workflows share."""

from __future__ import annotations

import contextlib

from spectra.errors import BadRequest, Unavailable
from spectra.flow import jobs


def test_what_this_process_is_at_is_noted() -> None:
    """While the block runs, however it ends."""
    with contextlib.suppress(jobs.Stopped), jobs.noted("job-1"):
        assert "job-1" in jobs.running
        raise jobs.Stopped
    assert "job-1" not in jobs.running


def test_an_end_of_the_engine_is_no_error_of_a_workflow() -> None:
    """Nothing that handles errors may take it for one: the workflow would have ended for good."""
    assert not issubclass(jobs.Stopped, Exception)


def test_what_passes_is_tried_again() -> None:
    """By the verdict of the error; what nobody meant to raise is a defect and stays one."""
    assert jobs.retryable(Unavailable("away"))
    assert not jobs.retryable(BadRequest("wrong"))
    assert not jobs.retryable(ValueError("defect"))
