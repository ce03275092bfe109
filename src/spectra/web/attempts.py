"""What buttons do: ask the API, and say on the page they stand on what came of it."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final

from starlette.responses import Response

from spectra.web.inside import Problem
from spectra.web.page import Visit

_ANSWERED: Final = (400, 409, 422)


async def attempted(visit: Visit, asked: Awaitable[Any], back: str, told: str, *, on: str = "") -> Response:
    """Back to the page `back`, which says `told`, or why not; where it went well to `on`, if that is given.

    What the caller may not do, and what is not there, stays a problem.
    """
    try:
        await asked
    except Problem as problem:
        if problem.status not in _ANSWERED:
            raise
        return visit.go(back, f"{problem.detail} {problem.hint}".strip(), bad=True)
    return visit.go(on or back, told)
