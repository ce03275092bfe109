"""`choose`: which scanner runs, and how often."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from spectra.collect.scanners import NAMES, choose, choose_of, installed, run
from spectra.collect.scanners.base import NotInstalled, RawOutput, Report, ScanRequest, UnknownScanner, utc_now
from spectra.collect.scanners.choose import known
from tests.collect.scanners.conftest import ignore, request


@dataclass
class Named:
    """A scanner of our own that remembers its requests: the contract is all that `choose` and `run` know."""

    name: str
    installed: bool = True
    one_family: bool = False
    stops: bool = False
    asked: list[ScanRequest] = field(default_factory=list)

    def version(self) -> str:
        return "1"

    def available(self) -> bool:
        return self.installed

    async def scan(self, request: ScanRequest, progress: Report) -> RawOutput:
        self.asked.append(request)
        now = utc_now()
        return RawOutput(
            tool=self.name, tool_version="1", data=b"", scan_type="", started=now, finished=now, stopped=self.stops
        )


def test_auto_prefers_naabu_then_nmap_then_the_built_in_one() -> None:
    """The order of preference, by what is installed."""
    for absent, expected in (((), "naabu"), (("naabu",), "nmap"), (("naabu", "nmap"), "connect")):
        scanners = [Named(name, name not in absent) for name in ("naabu", "nmap", "connect")]
        assert choose("auto", scanners).name == expected
    assert choose().name in NAMES


def test_unknown_and_not_installed_are_different_errors() -> None:
    """A name that is none lists the names; a tool that is absent says how to install it."""
    with pytest.raises(UnknownScanner, match="auto, naabu, nmap, connect"):
        choose("bbot")
    for name, hint in (("nmap", "apt install nmap"), ("naabu", "go install"), ("masscan", "apt install masscan")):
        with pytest.raises(NotInstalled, match=hint):
            choose(name, [Named(name, installed=False), Named("connect")])
    assert choose("connect").name == "connect"
    assert [scanner.name for scanner in known()] == ["naabu", "nmap", "connect", "masscan", "bbot"]
    with pytest.raises(NotInstalled, match="auto is not installed"):
        choose("auto", [Named("masscan"), Named("bbot")])


def test_a_preset_takes_the_first_tool_that_is_there() -> None:
    """In the preset's order; none of them is an error that says how to get one."""
    scanners = [Named("connect"), Named("nmap"), Named("masscan", installed=False)]
    assert choose_of(("masscan", "nmap", "connect"), scanners).name == "nmap"
    with pytest.raises(NotInstalled, match=r"none of masscan, bbot .* apt install masscan"):
        choose_of(("masscan", "bbot"), scanners)
    assert installed(scanners) == ("connect", "nmap")
    assert "connect" in installed()


def test_a_tool_of_one_family_is_run_once_for_each() -> None:
    """IPv4 and IPv6 targets make two runs of nmap and one of the built-in scanner; a stopped run is the last."""
    asked = request("22", "127.0.0.1", "::1")
    both = Named("connect")
    assert len(asyncio.run(run(both, asked, ignore))) == 1
    single = Named("nmap", one_family=True)
    assert len(asyncio.run(run(single, asked, ignore))) == 2
    assert [str(next(iter(r.targets.addresses))) for r in single.asked] == ["127.0.0.1", "::1"]
    stopped = Named("nmap", one_family=True, stops=True)
    assert len(asyncio.run(run(stopped, asked, ignore))) == 1
