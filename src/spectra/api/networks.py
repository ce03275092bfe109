"""The networks of autonomous systems, as far as feeds know them: what a block of an AS is about."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from spectra.errors import SpectraError
from spectra.flow.feeds import Loaded

_log = logging.getLogger("spectra.api")


class Networks(Protocol):
    """What is known of autonomous systems."""

    def prefixes(self, asn: int) -> Sequence[str]:
        """The networks (CIDR) that an AS announces; none where it is unknown."""
        ...


class NoNetworks:
    """Without feeds nothing is known of any AS, so that blocking one is refused."""

    def prefixes(self, asn: int) -> Sequence[str]:
        """None."""
        return ()


class FeedNetworks:
    """By the feeds in use (`flow.feeds.Feeds.locator`), worked out once for each set of them. Thread-safe."""

    def __init__(self, loaded: Callable[[], Loaded]) -> None:
        self._loaded = loaded
        self._known: tuple[int, dict[int, Sequence[str]]] = (0, {})

    def prefixes(self, asn: int) -> Sequence[str]:
        """The networks of an AS; what was known last while the feeds cannot be loaded."""
        try:
            feed_set, locator = self._loaded()
        except SpectraError as error:
            _log.warning("feeds cannot be loaded; blocks hold as they were", extra={"error.message": error.message})
            return self._known[1].get(asn, ())
        if self._known[0] != feed_set:
            self._known = (feed_set, {})
        known = self._known[1]
        if asn not in known:
            known[asn] = tuple(locator.prefixes(asn)) if locator else ()
        return known[asn]
