"""What becomes of a target once its signed result is stored: its observations into the graph, its findings, its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from spectra.errors import NotFound
from spectra.flow.correlation import Correlation
from spectra.flow.submission import Ingest
from spectra.model.work import TargetState
from spectra.store import findingcounts, observations, results
from spectra.store.leases import Terms

_ROUNDS: Final = 200
"""Most turns at judging services for one target: whoever comes after it, or the background, does the rest."""


class Read(NamedTuple):
    """What the observations of a result said: open endpoints, and why some could not be read; which they are (hex)."""

    found: int
    failed: str = ""
    observations: tuple[str, ...] = ()


class Targets:
    """The parts of `wf.target`, each harmless to repeat. Thread-safe.

    `woken` is called after a target went back to waiting.
    """

    def __init__(
        self,
        ingest: Ingest,
        correlation: Correlation | None,
        *,
        terms: Terms,
        woken: Callable[[], None] = lambda: None,
    ) -> None:
        self.ingest: Final = ingest
        self._correlation = correlation
        self._terms = terms
        self._woken = woken

    def read(self, lease: str) -> Read:
        """Write the observations of a result into the graph, one transaction each."""
        names = self._observations(lease)
        merged = [self.ingest.merge(name) for name in names]
        failed = "; ".join(record.error for record in merged if record.status == "failed")
        return Read(observations.open_endpoints(self.ingest.database, names), failed, names)

    def judge(self, read: Read) -> int:
        """See to it that all services that were never looked at are held against the CVEs; returns how many findings
        are open on the hosts of a result.
        """
        for _ in range(_ROUNDS):
            if self._correlation is None or self._correlation.fresh() is None:
                break
        return findingcounts.of_observations(self.ingest.database, read.observations)

    def settle(self, target: int, lease: str, read: Read, findings: int) -> TargetState:
        """Have the target end, or wait again."""
        state = results.settle(
            self.ingest.database,
            target,
            lease,
            found=read.found,
            findings=findings,
            terms=self._terms,
            now=self.ingest.clock(),
            failed=read.failed,
        )
        if state == "waiting":
            self._woken()
        return state

    def _observations(self, lease: str) -> tuple[str, ...]:
        receipt = results.receipt(self.ingest.database, lease)
        if receipt is None:
            raise NotFound(f"There is no result of the lease {lease[:80]}.", reason="unknown_lease")
        return receipt.observations
