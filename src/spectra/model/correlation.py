"""Evaluating all stored services anew, on request."""

from __future__ import annotations

import msgspec


class Correlating(msgspec.Struct, frozen=True):
    """The workflow that names all stored services again and holds them against all CVEs; `started` is False where it
    was running already. `left`: services and software that were still to be looked at before.
    """

    workflow_id: str
    started: bool
    left: int
