"""Answers that a page can do without."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from spectra.web.inside import Problem

T = TypeVar("T")


async def unless(asked: Awaitable[T], *statuses: int) -> T | None:
    """What was answered, or None where the answer is a problem of one of these statuses."""
    try:
        return await asked
    except Problem as problem:
        if problem.status not in statuses:
            raise
        return None


async def given(value: T) -> T:
    """`value` at once: takes the place of a question that whoever looks may not ask."""
    return value
