"""Reading presets. A file is one preset, named as the file is; what is wrong in it is told with file and line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, cast

import msgspec
import yaml

from spectra.collect.ports import parse_ports
from spectra.collect.scanners.nmap import NO_SCRIPTS
from spectra.errors import BadRequest, SetupError
from spectra.model.presets import PRESET_NAME, Preset

BUILT_IN: Final = Path(__file__).parent
MAX_FILE: Final = 64 * 1024  # bytes
MAX_DEPTH: Final = 8  # a preset has three
MAX_PRESETS: Final = 500  # of one folder

_YAML: Any = yaml  # its types are told in part only
_PLACE = re.compile(r"^(?P<message>.*?)(?: - at `\$(?P<path>[^`]*)`)?$", re.DOTALL)
_STEP = re.compile(r"\.(?P<key>[^.\[\]]+)|\[(?P<index>[0-9]+|\.\.\.)\]")


class BadPreset(SetupError):
    """A preset file that does not hold; the message begins with `FILE:LINE`."""

    reason = "bad_preset"


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
    node = _composed(text, path)
    raw = _plain(node, path)
    if not isinstance(raw, dict):
        raise _bad(path, node, "a preset is a mapping of options")
    named = cast("dict[str, object]", raw)
    if named.setdefault("name", path.stem) != path.stem:
        raise _bad(path, _at(node, ".name"), "a preset is named as its file is: leave out `name`")
    try:
        preset = msgspec.convert(named, Preset, strict=True)
    except msgspec.ValidationError as error:
        said = _PLACE.match(str(error))
        assert said is not None
        raise _bad(path, _at(node, said["path"] or ""), said["message"]) from error
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


def _composed(text: str, path: Path) -> yaml.Node:
    """The nodes of one document; aliases and tags of Python are no part of a preset."""
    try:
        depth = 0
        for event in _YAML.parse(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent) or depth > MAX_DEPTH:
                raise BadPreset(f"{path}:{event.start_mark.line + 1}: neither aliases nor such depths are read")
        node = cast("yaml.Node | None", _YAML.compose(text, Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BadPreset(f"{path}:{line}: {error.problem or 'not YAML'}") from error
    except yaml.YAMLError as error:
        raise BadPreset(f"{path}: not YAML: {error}") from error
    if node is None:
        raise BadPreset(f"{path}:1: the file is empty")
    return node


def _plain(node: yaml.Node, path: Path) -> object:
    """A node as plain values; no key twice."""
    if isinstance(node, yaml.MappingNode):
        values: dict[str, object] = {}
        for key, value in cast("list[tuple[yaml.Node, yaml.Node]]", node.value):
            if not isinstance(key, yaml.ScalarNode):
                raise _bad(path, key, "a key is a word")
            if key.value in values:
                raise _bad(path, key, f"`{key.value}` stands here twice")
            values[str(key.value)] = _plain(value, path)
        return values
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, path) for item in cast("list[yaml.Node]", node.value)]
    loader = _YAML.SafeLoader("")
    try:
        return loader.construct_object(node)
    except (yaml.YAMLError, ValueError) as error:
        raise _bad(path, node, f"{str(node.value)[:40]!r} cannot be read as {node.tag}") from error
    finally:
        loader.dispose()


def _at(node: yaml.Node, place: str) -> yaml.Node:
    """The node that a path of msgspec (`.nmap.scripts[0]`) leads to, or the last one on the way."""
    for step in _STEP.finditer(place):
        below: Mapping[str, yaml.Node] = {}
        if isinstance(node, yaml.MappingNode):
            below = {key.value: value for key, value in cast("list[tuple[yaml.Node, yaml.Node]]", node.value)}
        elif isinstance(node, yaml.SequenceNode):
            below = {str(n): value for n, value in enumerate(cast("list[yaml.Node]", node.value))}
        found = below.get(step["key"] or step["index"])
        if found is None:
            break
        node = found
    return node


def _check(preset: Preset, path: Path, node: yaml.Node) -> None:
    """What a type cannot say."""
    try:
        parse_ports(preset.ports)
    except BadRequest as error:
        raise _bad(path, _at(node, ".ports"), error.message) from error
    if len(set(preset.tools)) < len(preset.tools):
        raise _bad(path, _at(node, ".tools"), "a tool stands here twice")
    for index, word in enumerate(preset.nmap.scripts):
        if word in NO_SCRIPTS:
            raise _bad(path, _at(node, f".nmap.scripts[{index}]"), f"scripts `{word}` are not run")
    bbot = preset.bbot
    if "bbot" in preset.tools and not (bbot.presets or bbot.flags or bbot.modules):
        raise _bad(path, _at(node, ".tools"), "BBOT has to be told presets, flags or modules (`bbot:`)")


def _bad(path: Path, node: yaml.Node, message: str) -> BadPreset:
    return BadPreset(f"{path}:{node.start_mark.line + 1}: {message}")
