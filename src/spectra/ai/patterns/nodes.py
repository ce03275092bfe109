"""Files of patterns as nodes, each of which knows its line: YAML without aliases or tags, which JSON is a part of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, TypeVar, cast

import msgspec
import yaml

from spectra.errors import SetupError

T = TypeVar("T")

MAX_DEPTH: Final = 16
_YAML: Any = yaml  # its types are told in part only
_PLACE = re.compile(r"^(?P<message>.*?)(?: - at `\$(?P<path>[^`]*)`)?$", re.DOTALL)
_STEP = re.compile(r"\.(?P<key>[^.\[\]]+)|\[(?P<index>[0-9]+|\.\.\.)\]")


class BadPattern(SetupError):
    """A pattern that does not hold; the message begins with `FILE:LINE`."""

    reason = "bad_pattern"


def composed(text: str, name: str) -> yaml.Node:
    """The one document of a file. Raises `BadPattern`."""
    try:
        depth = 0
        for event in _YAML.parse(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent) or depth > MAX_DEPTH:
                raise BadPattern(f"{name}:{event.start_mark.line + 1}: neither aliases nor such depths are read")
        node = cast("yaml.Node | None", _YAML.compose(text, Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BadPattern(f"{name}:{line}: {error.problem or 'it cannot be read'}") from error
    except yaml.YAMLError as error:
        raise BadPattern(f"{name}:1: it cannot be read: {error}") from error
    if node is None:
        raise BadPattern(f"{name}:1: the file is empty")
    return node


def plain(node: yaml.Node, name: str) -> object:
    """A node as plain values; no key twice. Raises `BadPattern`."""
    if isinstance(node, yaml.MappingNode):
        values: dict[str, object] = {}
        for key, value in cast("list[tuple[yaml.Node, yaml.Node]]", node.value):
            if not isinstance(key, yaml.ScalarNode):
                raise bad(name, key, "a key is a word")
            if key.value in values:
                raise bad(name, key, f"`{str(key.value)[:60]}` stands here twice")
            values[str(key.value)] = plain(value, name)
        return values
    if isinstance(node, yaml.SequenceNode):
        return [plain(item, name) for item in cast("list[yaml.Node]", node.value)]
    loader = _YAML.SafeLoader("")
    try:
        return loader.construct_object(node)
    except (yaml.YAMLError, ValueError, AttributeError, TypeError) as error:  # its readers of tags check little
        raise bad(name, node, f"{str(node.value)[:40]!r} cannot be read as {node.tag}") from error
    finally:
        loader.dispose()


def converted(text: str, kind: type[T], name: str) -> tuple[T, yaml.Node]:
    """A file as a struct, and its node. Raises `BadPattern`."""
    node = composed(text, name)
    try:
        return msgspec.convert(plain(node, name), kind, strict=True), node
    except msgspec.ValidationError as error:
        said = _PLACE.match(str(error))
        assert said is not None
        raise bad(name, at(node, said["path"] or ""), said["message"]) from error


def at(node: yaml.Node, place: str) -> yaml.Node:
    """The node that a path (`.sections[0].id`) leads to, or the last one on the way."""
    for step in _STEP.finditer(place):
        below: Mapping[str, yaml.Node] = {}
        if isinstance(node, yaml.MappingNode):
            below = {str(key.value): value for key, value in cast("list[tuple[yaml.Node, yaml.Node]]", node.value)}
        elif isinstance(node, yaml.SequenceNode):
            below = {str(n): value for n, value in enumerate(cast("list[yaml.Node]", node.value))}
        found = below.get(step["key"] or step["index"])
        if found is None:
            break
        node = found
    return node


def bad(name: str, node: yaml.Node, message: str) -> BadPattern:
    """What is wrong at a node of the file `name`."""
    return BadPattern(f"{name}:{node.start_mark.line + 1}: {message}")
