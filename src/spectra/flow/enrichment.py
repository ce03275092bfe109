"""Facts beside observations: between parsing and the graph, on the fast path and in `wf.enrich` alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, Protocol

from spectra.flow.assets import Asset
from spectra.model.facts import HostFacts
from spectra.model.observation import HostSeen

BATCH: Final = 2000
"""Assets looked up together: look-ups are vectorised."""


class Source(Protocol):
    """Where facts come from."""

    def facts(self, ips: Sequence[str]) -> Sequence[HostFacts]:
        """Facts of each of `ips`; an empty sequence where there are no feeds."""
        ...


class NoFacts:
    """The source without feeds: nothing is known of any host."""

    def facts(self, ips: Sequence[str]) -> Sequence[HostFacts]:
        """Nothing."""
        return ()


def enriched(assets: Iterable[Asset], source: Source) -> Iterator[Asset]:
    """`assets`, and before the hosts of each batch their facts."""
    stream = iter(assets)
    while batch := list(islice(stream, BATCH)):
        yield from source.facts([asset.ip for asset in batch if isinstance(asset, HostSeen)])
        yield from batch
