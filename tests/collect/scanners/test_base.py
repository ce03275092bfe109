"""`base`: the check every scanner makes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from spectra.collect.scanners.base import admit, utc_now
from spectra.collect.scope import OutOfScope, Scope
from spectra.collect.targets import BadTarget
from spectra.errors import BadRequest
from tests.collect.scanners.conftest import LOOPBACK, permit, request


def test_a_good_request_is_admitted() -> None:
    """Loopback, allowed and consented."""
    admit(request("22,80", interface="eth0.5"), utc_now())


def test_the_law_is_asked_with_the_time() -> None:
    """No allow, no consent, do-not-scan, or consent that has run out: not admitted."""
    for scope in (Scope(), Scope(allow=LOOPBACK), Scope(allow=LOOPBACK, do_not_scan=["127.0.0.0/8"])):
        with pytest.raises(OutOfScope):
            admit(request("22", scope=scope), utc_now())
    with pytest.raises(OutOfScope):
        admit(request("22"), datetime.now(UTC) + timedelta(hours=2))


@pytest.mark.parametrize(
    "changes",
    [
        {"rate": 0},
        {"rate": 2_000_000},
        {"concurrency": 0},
        {"timeout_s": 0},
        {"timeout_s": 61},
        {"deadline_s": 0},
        {"interface": "-oX"},
        {"interface": "eth0;id"},
        {"interface": "a" * 16},
    ],
)
def test_bounds_and_words_for_a_command_line(changes: dict[str, Any]) -> None:
    """Numbers outside their bounds and interface names that are none are refused with their field."""
    with pytest.raises(BadRequest) as caught:
        admit(request("22", **changes), utc_now())
    assert caught.value.field == next(iter(changes))


def test_there_must_be_ports_and_not_too_many_addresses() -> None:
    """An empty port list and more than a /8 are refused."""
    full = request("22")
    empty = type(full)(targets=full.targets, ports=type(full.ports)(), scope=full.scope)
    with pytest.raises(BadRequest, match="no ports"):
        admit(empty, utc_now())
    wide = request("22", "11.0.0.0/8", "12.0.0.0/8", scope=permit("11.0.0.0/8", "12.0.0.0/8"))
    with pytest.raises(BadTarget, match="at most"):
        admit(wide, utc_now())
