"""Presets: ways of scanning by name, as YAML files say them. What is scanned and who agreed is not their business."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from spectra.model.envelope import Privacy

ScanTool = Literal["connect", "nmap", "naabu", "masscan", "bbot"]
"""`connect` is the built-in scanner, which every machine has."""

PRESET_NAME: Final = r"^[a-z0-9]([a-z0-9-]{0,39}[a-z0-9])?\Z"
PresetName = Annotated[str, Meta(pattern=PRESET_NAME)]
_Text = Annotated[str, Meta(max_length=300, pattern=r"^[^\x00-\x1f\x7f-\x9f]*\Z")]
_Word = Annotated[str, Meta(min_length=1, max_length=60, pattern=r"^[a-z0-9][a-z0-9_.-]*\Z")]


class NmapOptions(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What nmap does besides finding ports. `scripts` are names of its own scripts and categories."""

    versions: bool = True
    intensity: Annotated[int, Meta(ge=0, le=9)] = 7
    system: bool = False
    scripts: Annotated[tuple[_Word, ...], Meta(max_length=50)] = ()
    timing: Annotated[int, Meta(ge=0, le=5)] = 4


class BbotOptions(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What BBOT runs: its own presets, flags and modules by name. At least one of the three."""

    presets: Annotated[tuple[_Word, ...], Meta(max_length=20)] = ()
    flags: Annotated[tuple[_Word, ...], Meta(max_length=20)] = ()
    modules: Annotated[tuple[_Word, ...], Meta(max_length=100)] = ()
    exclude: Annotated[tuple[_Word, ...], Meta(max_length=100)] = ()
    strict: bool = True
    """Only the targets themselves are touched; what else is found of is told and not asked."""


class Preset(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """One way of scanning. 0 means what the settings or the coordinator say.

    `tools` in order of preference: the first one that the machine has. `ports` as the command line takes them.
    `rate`: most probes a second; `timeout_s`: longest wait for one answer; `deadline_s`: longest time of one target;
    `chunk`: most addresses of one target; `raw`: needs a machine that may open raw sockets.
    """

    name: PresetName
    description: _Text
    tools: Annotated[tuple[ScanTool, ...], Meta(min_length=1, max_length=5)]
    ports: Annotated[str, Meta(max_length=4096)] = "top1000"
    rate: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    timeout_s: Annotated[float, Meta(ge=0, le=60)] = 0.0
    deadline_s: Annotated[float, Meta(ge=10, le=7 * 86400)] = 3600.0
    chunk: Annotated[int, Meta(ge=1, le=256)] = 256
    raw: bool = False
    grab: bool = True
    """Whether the built-in scanner asks open ports what they are."""
    privacy: Privacy = Privacy.FULL
    nmap: NmapOptions = NmapOptions()
    bbot: BbotOptions = BbotOptions()
