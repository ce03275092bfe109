"""How often a caller may ask: the rates of a node, and the buckets behind them. `limits` has the dependencies."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar, Final, Protocol

from spectra.errors import SpectraError
from spectra.model.limits import Address, source_network
from spectra.store.limits import Rate

_ADMIN: Final = "admin"
TOTAL: Final = "_total"
"""Ends the name of the rate that all sources of a kind share."""


class TooOften(SpectraError):
    """One caller, or all together, ask too often; the same request will do after `retry_after_s` seconds."""

    reason = "rate_limited"
    retryable: ClassVar[bool] = True

    def __init__(self, who: str, wait_s: float) -> None:
        super().__init__(f"{who} asked this too often.", hint=f"Ask again in {wait_s:.1f} s.")
        self.retry_after_s = wait_s


class Bucketed(Protocol):
    """Where tokens are kept (`store.limits.Buckets`)."""

    def take(self, account: str, kind: str, rate: Rate, *, at: datetime | None = None) -> float:
        """0.0 and a token less, or the seconds until there is one."""
        ...

    def peek(self, account: str, kind: str, rate: Rate, *, at: datetime | None = None) -> float:
        """The same without taking."""
        ...


class Limits:
    """The rates of a node by kind of request; a kind without one is not limited."""

    def __init__(self, buckets: Bucketed | None = None, rates: Mapping[str, Rate] | None = None) -> None:
        self._buckets = buckets
        self._rates = dict(rates or {})

    def account(self, kind: str, contributor: str, role: str) -> None:
        """Raise `TooOften` where this account has asked for `kind` too often. Admins never have."""
        if role != _ADMIN and (wait := self._take(contributor, kind)):
            raise TooOften(f"The account {contributor}", wait)

    def source(self, kind: str, address: Address) -> None:
        """Raise `TooOften` where the network of `address`, or all together, have asked for `kind` too often.

        All together are looked at first, so that no more rows are written than requests let in.
        """
        network = source_network(address)
        rate = self._rates.get(kind + TOTAL)
        if self._buckets and rate and (wait := self._buckets.peek("", kind + TOTAL, rate)):
            raise TooOften("All together have", wait)
        if wait := self._take(str(network), kind):
            raise TooOften(f"The network {network}", wait)
        if wait := self._take("", kind + TOTAL):
            raise TooOften("All together have", wait)

    def _take(self, account: str, kind: str) -> float:
        rate = self._rates.get(kind)
        return self._buckets.take(account, kind, rate) if self._buckets and rate else 0.0
