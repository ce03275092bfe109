"""Answers that a page can do without."""

from __future__ import annotations

import anyio
import pytest

from spectra.api.routes.health import Health
from spectra.errors import BadRequest
from spectra.web.asked import given, unless
from spectra.web.inside import Problem, _Told  # pyright: ignore[reportPrivateUsage]


async def refused(status: int) -> Health:
    """A route that has nothing."""
    raise Problem(status, _Told(detail="no"))


def test_a_problem_that_was_expected_is_no_answer() -> None:
    """Of the statuses that are named; every other one is a problem still."""
    assert anyio.run(unless, refused(409), 409) is None
    with pytest.raises(Problem):
        anyio.run(unless, refused(503), 409)
    assert anyio.run(unless, given(Health("ok")), 409) == Health("ok")


def test_other_errors_are_not_hidden() -> None:
    """What a page does wrong is no answer of a route."""

    async def wrong() -> None:
        raise BadRequest("no")

    with pytest.raises(BadRequest):
        anyio.run(unless, wrong(), 400)
