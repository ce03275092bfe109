"""Networks from which too much is wrong: not listened to for a while, and nobody else is affected."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest

from spectra.api import strikes
from spectra.api.strikes import Strikes

HERE, NEAR, FAR = ip_address("192.0.2.7"), ip_address("192.0.2.200"), ip_address("198.51.100.1")


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 27, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at


def test_too_many_strikes_shut_a_network_out_for_a_while() -> None:
    """All of its /24, and no other; later it is listened to again."""
    clock = Clock()
    judge = Strikes(3, clock)
    for _ in range(3):
        judge.strike(HERE)
        assert judge.wait(HERE) == 0.0
    judge.strike(HERE)
    assert 0 < judge.wait(NEAR) <= 20
    assert judge.wait(FAR) == 0.0
    clock.at += timedelta(seconds=20)
    assert judge.wait(HERE) == 0.0


def test_zero_is_no_limit() -> None:
    """Whoever runs a lab may turn it off."""
    judge = Strikes(0, Clock())
    for _ in range(1000):
        judge.strike(HERE)
    assert judge.wait(HERE) == 0.0


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many networks there are; the oldest is forgotten."""
    monkeypatch.setattr(strikes, "_MOST", 10)
    judge = Strikes(1, Clock())
    for n in range(50):
        for _ in range(2):
            judge.strike(ip_address(f"10.0.{n}.1"))
    assert judge.wait(ip_address("10.0.0.1")) == 0.0
    assert judge.wait(ip_address("10.0.49.1")) > 0
