"""What a machine says that it can do: from real programs, and from the files of machines that are not at hand."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import msgspec
import pytest

from spectra import __version__
from spectra.collect import inventory
from spectra.collect.inventory import MAX_SAID, Inventory, said_by
from spectra.model.nodes import Capabilities, Load, Tool


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole PATH, but for the shell's."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def program(folder: Path, name: str, script: str) -> Path:
    """A program of a shell script; what it needs it calls by its path."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def machine(tmp_path: Path, *, meminfo: str = "MemTotal: 2048000 kB\nMemAvailable: 1024000 kB\n") -> Inventory:
    """A machine with the given memory and whatever stands below `tmp_path/sys`."""
    (tmp_path / "proc").mkdir(exist_ok=True)
    (tmp_path / "proc" / "meminfo").write_text(meminfo)
    return Inventory(proc=tmp_path / "proc", sys=tmp_path / "sys")


def test_this_machine() -> None:
    """What is found here passes the model's own bounds, and the built-in scanner is always there."""
    found = Inventory().capabilities(region="eu-west", relay=True)
    again = msgspec.json.decode(msgspec.json.encode(found), type=Capabilities)
    assert again == found
    assert (found.software, found.arch, found.region, found.relay) == (
        __version__,
        platform.machine(),
        "eu-west",
        True,
    )
    assert found.cores >= 1
    assert found.memory_mb > 0
    assert Tool("connect", __version__) in found.tools


def test_versions_as_the_tools_tell_them(programs: Path, tmp_path: Path) -> None:
    """On either stream, in colour, with a failing exit code: what the tools of this field do."""
    program(programs, "nmap", "echo 'Nmap version 7.93 ( https://nmap.org )'")
    program(programs, "masscan", "echo; echo 'Masscan version 1.3.2 ( https://x )'; exit 1")
    program(programs, "naabu", "printf '[\\033[34mINF\\033[0m] Current Version: 2.3.1\\n' >&2")
    program(programs, "nuclei", "echo '[INF] Nuclei Engine Version: v3.4.5' >&2")
    program(programs, "bbot", "echo v2.1.0.4939rc")
    tools = machine(tmp_path).capabilities().tools
    assert {tool.name: tool.version for tool in tools} == {
        "connect": __version__,
        "nmap": "7.93",
        "masscan": "1.3.2",
        "naabu": "2.3.1",
        "nuclei": "3.4.5",
        "bbot": "2.1.0.4939rc",
    }


def test_a_tool_that_says_nothing_is_there_all_the_same(programs: Path, tmp_path: Path) -> None:
    """Its version is empty; one that cannot be started at all is no error."""
    program(programs, "nmap", "exit 3")
    (programs / "masscan").write_text("no program")
    (programs / "masscan").chmod(0o755)
    tools = machine(tmp_path).capabilities().tools
    assert Tool("nmap", "") in tools
    assert Tool("masscan", "") in tools


def test_a_tool_is_asked_once_until_it_changes(programs: Path, tmp_path: Path) -> None:
    """An hourly look costs nothing; a tool that was updated is seen."""
    counted = tmp_path / "count"
    script = f"echo x >> {counted}; echo 'Nmap version 7.93'"
    path = program(programs, "nmap", script)
    here = machine(tmp_path)
    assert here.capabilities() == here.capabilities()
    assert counted.read_text() == "x\n"
    program(programs, "nmap", script.replace("7.93", "7.95"))
    os.utime(path, ns=(1, 1))
    assert Tool("nmap", "7.95") in here.capabilities().tools
    path.unlink()
    assert [tool.name for tool in here.capabilities().tools] == ["connect"]


def test_programs_are_bounded(programs: Path) -> None:
    """In bytes and in time, with everything they started; and they see nothing of our environment."""
    endless = program(programs, "endless", "while :; do echo yes; done")
    assert len(said_by([str(endless)])) == MAX_SAID
    hanging = program(programs, "hanging", "echo before; /bin/sleep 1000 & /bin/sleep 1000")
    assert said_by([str(hanging)], within_s=0.3) == "before\n"
    curious = program(programs, "curious", "/usr/bin/env")
    os.environ["SPECTRA_SECRET_OF_THE_TEST"] = "x"
    try:
        assert "SPECTRA_SECRET" not in said_by([str(curious)])
    finally:
        del os.environ["SPECTRA_SECRET_OF_THE_TEST"]
    assert said_by(["/nonexistent/tool"]) == ""


def test_memory_of_a_container(tmp_path: Path) -> None:
    """The bound of the control group counts where it is lower; without one, or with `max`, the machine's."""
    here = machine(tmp_path)
    assert here.capabilities().memory_mb == 2000
    assert here.load().memory_free_mb == 1000
    group = tmp_path / "sys" / "fs" / "cgroup"
    group.mkdir(parents=True)
    (group / "memory.max").write_text(f"{512 * 1024 * 1024}\n")
    (group / "memory.current").write_text(f"{100 * 1024 * 1024}\n")
    assert here.capabilities().memory_mb == 512
    assert here.load().memory_free_mb == 412
    (group / "memory.max").write_text("max\n")
    assert here.capabilities().memory_mb == 2000


def test_a_machine_that_tells_nothing(tmp_path: Path, programs: Path) -> None:
    """Zeroes and nothing, not an error."""
    here = machine(tmp_path, meminfo="MemTotal: lots\n")
    found = here.capabilities()
    assert (found.memory_mb, found.gpus) == (0, ())
    assert msgspec.json.decode(msgspec.json.encode(here.load(3)), type=Load).tasks == 3


@pytest.mark.parametrize(
    ("status", "raw"),
    [
        ("CapEff:\t0000000000002000\n", True),
        ("CapEff:\t0000000000000001\n", False),
        ("CapEff: what\n", False),
        ("", False),
    ],
)
def test_raw_sockets_are_a_capability(tmp_path: Path, programs: Path, status: str, raw: bool) -> None:
    """As the kernel tells it; a machine that does not say has none."""
    (tmp_path / "proc" / "self").mkdir(parents=True)
    (tmp_path / "proc" / "self" / "status").write_text(f"Name:\tx\n{status}")
    assert machine(tmp_path).capabilities().raw is raw


def test_graphics_cards(tmp_path: Path, programs: Path) -> None:
    """By nvidia-smi with their memory; others as the kernel's driver and ids; connectors are no cards."""
    program(programs, "nvidia-smi", "echo 'NVIDIA GeForce RTX 3060, 12288 MiB'")
    drm = tmp_path / "sys" / "class" / "drm"
    for card, driver, ids in (
        ("card0", "nvidia", ("0x10de", "0x2504")),
        ("card1", "v3d", ()),
        ("card1-HDMI-A-1", "x", ()),
    ):
        device = drm / card / "device"
        device.mkdir(parents=True)
        (device / "driver").symlink_to(f"../../bus/drivers/{driver}")
        for name, value in zip(("vendor", "device"), ids, strict=False):
            (device / name).write_text(f"{value}\n")
    assert machine(tmp_path).capabilities().gpus == ("NVIDIA GeForce RTX 3060, 12288 MiB", "v3d")
    (programs / "nvidia-smi").unlink()
    assert machine(tmp_path).capabilities().gpus == ("nvidia 10de:2504", "v3d")


def test_a_crowd_of_cards_is_bounded(tmp_path: Path, programs: Path) -> None:
    """A heartbeat has to stay small, whatever a driver lists."""
    program(programs, "nvidia-smi", "i=0; while [ $i -lt 40 ]; do echo 'A, 1 MiB'; i=$((i+1)); done")
    assert len(machine(tmp_path).capabilities().gpus) == inventory.MAX_GPUS
