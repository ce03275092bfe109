"""`base`: the check every scanner makes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from spectra.collect.scanners.base import ScanRequest, admit, utc_now
from spectra.collect.scope import OutOfScope, Scope
from spectra.collect.targets import BadTarget
from spectra.errors import BadRequest
from spectra.model.envelope import Privacy
from spectra.model.presets import BbotOptions, NmapOptions, Preset
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


def test_a_preset_becomes_a_request() -> None:
    """Its options and its ports, unless others are asked for; of two rates and deadlines the lower one."""
    preset = Preset(
        name="mine",
        description="",
        tools=("nmap",),
        ports="80",
        rate=100,
        deadline_s=60,
        grab=False,
        privacy=Privacy.META_ONLY,
        nmap=NmapOptions(versions=False),
        bbot=BbotOptions(modules=("http",)),
    )
    asked = request("22")
    made = ScanRequest.of(preset, asked.targets, asked.scope, ports="", rate=1000, deadline_s=3600, interface="eth0")
    assert (str(made.ports), made.rate, made.deadline_s, made.interface) == ("80", 100, 60, "eth0")
    assert (made.grab, made.privacy, made.nmap, made.bbot) == (False, Privacy.META_ONLY, preset.nmap, preset.bbot)
    assert made.timeout_s == ScanRequest(targets=asked.targets, ports=asked.ports, scope=asked.scope).timeout_s
    slow = msgspec.structs.replace(preset, timeout_s=9.0, rate=0)
    other = ScanRequest.of(slow, asked.targets, asked.scope, ports="443", rate=5, deadline_s=10)
    assert (str(other.ports), other.rate, other.deadline_s, other.timeout_s) == ("443", 5, 10, 9.0)
    with pytest.raises(BadRequest):
        ScanRequest.of(preset, asked.targets, asked.scope, ports="x", rate=1, deadline_s=1)
