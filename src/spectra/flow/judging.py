"""What `intel` says of findings, for the store, which may not ask it itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from spectra.intel.correlate import sentence
from spectra.intel.priority import Priority, exposed, priority, why
from spectra.store.findings import Judge


def _priority(risk: float, confidence: float, seen: bool, patched: str, because: Sequence[str]) -> Priority:
    return priority(risk, confidence, seen, patched, because=because)


def _part(confidence: float, patched: str) -> float:
    """What is left of a risk."""
    return priority(100, confidence, True, patched).score / 100


JUDGE: Final = Judge(_priority, why, exposed, sentence, doubt=_part(0, ""), repaired=_part(1, "possibly"))
"""The judge of this version."""
