"""Reading presets. A file is one preset, named as the file is; what is wrong in it is told with file and line."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final, cast

import yaml

from spectra.collect.ports import parse_ports
from spectra.collect.scanners.nmap import NO_SCRIPTS
from spectra.errors import BadRequest, SetupError
from spectra.model.presets import PRESET_NAME, Preset
from spectra.model.yamlnodes import Reader, at

BUILT_IN: Final = Path(__file__).parent
MAX_FILE: Final = 64 * 1024  # bytes
MAX_DEPTH: Final = 8  # a preset has three
MAX_PRESETS: Final = 500  # of one folder


class BadPreset(SetupError):
    """A preset file that does not hold; the message begins with `FILE:LINE`."""

    reason = "bad_preset"


_READER: Final = Reader(BadPreset, MAX_DEPTH)


def places(configuration: Path, extra: Path | None = None) -> tuple[Path, ...]:
    """The folders that a user's presets are in: `presets/` of `configuration`, where there is one, and `extra`."""
    own = configuration / "presets"
    return (*([own] if own.is_dir() else []), *([extra] if extra else []))


def load(folders: Iterable[Path] = ()) -> dict[str, Preset]:
    """The presets by name: the built-in ones, then those of each folder, later ones over earlier ones.

    Raises `BadPreset` for the first file that does not hold, and where a folder cannot be read.
    """
    found: dict[str, Preset] = {}
    for folder in (BUILT_IN, *folders):
        for path in _files(folder):
            found[path.stem] = read(path)
    return dict(sorted(found.items()))


def read(path: Path) -> Preset:
    """One preset file. Raises `BadPreset`."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE + 1)
        text = data.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadPreset(f"cannot read the preset {path}: {error}") from error
    if len(data) > MAX_FILE:
        raise BadPreset(f"{path}: larger than {MAX_FILE} bytes")
    node = _READER.composed(text, str(path))
    raw = _READER.plain(node, str(path))
    if not isinstance(raw, dict):
        raise _READER.bad(str(path), node, "a preset is a mapping of options")
    named = cast("dict[str, object]", raw)
    if named.setdefault("name", path.stem) != path.stem:
        raise _READER.bad(str(path), at(node, ".name"), "a preset is named as its file is: leave out `name`")
    preset = _READER.struct(named, Preset, node, str(path))
    _check(preset, path, node)
    return preset


def _files(folder: Path) -> list[Path]:
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix in {".yaml", ".yml"} and path.is_file())
    except OSError as error:
        raise BadPreset(f"cannot read the presets in {folder}: {error.strerror or error}") from error
    if len(files) > MAX_PRESETS:
        raise BadPreset(f"{folder}: more than {MAX_PRESETS} presets")
    for path in files:
        if not re.match(PRESET_NAME, path.stem):
            raise BadPreset(f"{path}: the name of a preset is of small letters, digits and hyphens, at most 41")
    return files


def _check(preset: Preset, path: Path, node: yaml.Node) -> None:
    """What a type cannot say."""
    try:
        parse_ports(preset.ports)
    except BadRequest as error:
        raise _READER.bad(str(path), at(node, ".ports"), error.message) from error
    if len(set(preset.tools)) < len(preset.tools):
        raise _READER.bad(str(path), at(node, ".tools"), "a tool stands here twice")
    for index, word in enumerate(preset.nmap.scripts):
        if word in NO_SCRIPTS:
            raise _READER.bad(str(path), at(node, f".nmap.scripts[{index}]"), f"scripts `{word}` are not run")
    bbot = preset.bbot
    if "bbot" in preset.tools and not (bbot.presets or bbot.flags or bbot.modules):
        raise _READER.bad(str(path), at(node, ".tools"), "BBOT has to be told presets, flags or modules (`bbot:`)")
