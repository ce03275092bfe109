"""Addresses to places, many at once, over all tables together."""

from __future__ import annotations

from collections.abc import Sequence

from spectra.intel.feeds.table import Table
from spectra.model.facts import Place


class Locator:
    """Looks addresses up in `tables`. Safe to share between threads; equal places are one object."""

    def __init__(self, tables: Sequence[Table]) -> None:
        raise NotImplementedError

    def locate(self, ips: Sequence[str]) -> list[Place]:
        """The place of each of `ips` in their order; `NOWHERE` for what is unknown or no address."""
        raise NotImplementedError

    def prefixes(self, asn: int) -> list[str]:
        """The networks of an AS in CIDR form, IPv4 first, in order, as few as possible: those `locate` puts there."""
        raise NotImplementedError
