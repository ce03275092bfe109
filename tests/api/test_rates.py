"""The rates of a node."""

from __future__ import annotations

import ipaddress
from datetime import datetime

import pytest

from spectra.api.rates import Limits, TooOften
from spectra.store.limits import Rate

HERE = ipaddress.ip_address("192.0.2.7")


class Book:
    """Buckets that never refill, and tell what was asked of them."""

    def __init__(self) -> None:
        self.taken: dict[tuple[str, str], int] = {}

    def take(self, account: str, kind: str, rate: Rate, *, at: datetime | None = None) -> float:
        """A token, while there are any."""
        wait = self.peek(account, kind, rate, at=at)
        if not wait:
            self.taken[account, kind] = self.taken.get((account, kind), 0) + 1
        return wait

    def peek(self, account: str, kind: str, rate: Rate, *, at: datetime | None = None) -> float:
        """A moment, once all are taken."""
        return 0.0 if self.taken.get((account, kind), 0) < rate.burst else 1.5


def test_an_account_has_a_rate_and_an_admin_has_none() -> None:
    """Who asks too often is told how long to wait; an admin never is."""
    limits = Limits(Book(), {"plan": Rate(2)})
    for _ in range(2):
        limits.account("plan", "alice", "user")
    with pytest.raises(TooOften, match="alice") as caught:
        limits.account("plan", "alice", "user")
    assert (caught.value.reason, caught.value.retryable, caught.value.retry_after_s) == ("rate_limited", True, 1.5)
    for _ in range(5):
        limits.account("plan", "root", "admin")


def test_a_kind_without_a_rate_is_free() -> None:
    """And so is everything where there are no buckets."""
    for limits in (Limits(), Limits(Book(), {}), Limits(None, {"plan": Rate(1)})):
        for _ in range(3):
            limits.account("plan", "alice", "user")
            limits.source("plan", HERE)


def test_sources_are_networks_and_share_a_total() -> None:
    """Two addresses of a /24 are one source; what the total refuses leaves no row of its own."""
    book = Book()
    limits = Limits(book, {"form": Rate(2), "form_total": Rate(3)})
    limits.source("form", HERE)
    limits.source("form", ipaddress.ip_address("192.0.2.8"))
    with pytest.raises(TooOften, match=r"192\.0\.2\.0/24"):
        limits.source("form", HERE)
    limits.source("form", ipaddress.ip_address("2001:db8::1"))
    before = dict(book.taken)
    with pytest.raises(TooOften, match="together"):
        limits.source("form", ipaddress.ip_address("198.51.100.1"))
    assert book.taken == before
