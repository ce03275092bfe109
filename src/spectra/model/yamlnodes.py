"""YAML files that people write, as nodes that know their lines: no aliases, no tags of programs, bounded in depth.
JSON is a part of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeVar, cast

import msgspec
import yaml

from spectra.errors import SetupError

T = TypeVar("T")

_YAML: Any = yaml  # its types are told in part only
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is ten times as fast
_PLACE: Final = re.compile(r"^(?P<message>.*?)(?: - at `\$(?P<path>[^`]*)`)?$", re.DOTALL)
_STEP: Final = re.compile(r"\.(?P<key>[^.\[\]]+)|\[(?P<index>[0-9]+|\.\.\.)\]")


class Reader(NamedTuple):
    """Reads files of one kind. What is wrong in one is raised as `error`, whose message begins with `FILE:LINE`."""

    error: type[SetupError]
    depth: int

    def composed(self, text: str, name: str) -> yaml.Node:
        """The one document of the file `name`."""
        try:
            node = self._root(text, name, _LOADER)
        except yaml.YAMLError:
            node = self._told(text, name)
        if node is None:
            raise self.error(f"{name}:1: the file is empty")
        return node

    def _told(self, text: str, name: str) -> yaml.Node | None:
        """The same by PyYAML's own reader, whose messages say more: libyaml sees the end of a file a line too late."""
        try:
            return self._root(text, name, yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise self.error(f"{name}:{line}: {error.problem or 'it cannot be read'}") from error
        except yaml.YAMLError as error:
            raise self.error(f"{name}:1: it cannot be read: {error}") from error

    def _root(self, text: str, name: str, loader: Any) -> yaml.Node | None:
        depth = 0
        for event in _YAML.parse(text, Loader=loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent) or depth > self.depth:
                raise self.error(f"{name}:{event.start_mark.line + 1}: neither aliases nor such depths are read")
        return cast("yaml.Node | None", _YAML.compose(text, Loader=loader))

    def plain(self, node: yaml.Node, name: str) -> object:
        """A node as plain values; no key twice."""
        if isinstance(node, yaml.MappingNode):
            values: dict[str, object] = {}
            for key, value in _pairs(node):
                if not isinstance(key, yaml.ScalarNode):
                    raise self.bad(name, key, "a key is a word")
                if key.value in values:
                    raise self.bad(name, key, f"`{str(key.value)[:60]}` stands here twice")
                values[str(key.value)] = self.plain(value, name)
            return values
        if isinstance(node, yaml.SequenceNode):
            return [self.plain(item, name) for item in cast("list[yaml.Node]", node.value)]
        try:
            return _YAML.constructor.SafeConstructor().construct_object(node)
        except (yaml.YAMLError, ValueError, AttributeError, TypeError) as error:  # its readers of tags check little
            raise self.bad(name, node, f"{str(node.value)[:40]!r} cannot be read as {node.tag}") from error

    def struct(self, values: object, kind: type[T], node: yaml.Node, name: str) -> T:
        """The values of `node` as a struct."""
        try:
            return msgspec.convert(values, kind, strict=True)
        except msgspec.ValidationError as error:
            said = _PLACE.match(str(error))
            assert said is not None
            raise self.bad(name, at(node, said["path"] or ""), said["message"]) from error

    def converted(self, text: str, kind: type[T], name: str) -> tuple[T, yaml.Node]:
        """A file as a struct, and its node."""
        node = self.composed(text, name)
        return self.struct(self.plain(node, name), kind, node, name), node

    def bad(self, name: str, node: yaml.Node, message: str) -> SetupError:
        """What is wrong at a node of the file `name`."""
        return self.error(f"{name}:{node.start_mark.line + 1}: {message}")


def at(node: yaml.Node, place: str) -> yaml.Node:
    """The node that a path of msgspec (`.sections[0].id`) leads to, or the last one on the way."""
    for step in _STEP.finditer(place):
        below: Mapping[str, yaml.Node] = {}
        if isinstance(node, yaml.MappingNode):
            below = {str(key.value): value for key, value in _pairs(node)}
        elif isinstance(node, yaml.SequenceNode):
            below = {str(n): value for n, value in enumerate(cast("list[yaml.Node]", node.value))}
        found = below.get(step["key"] or step["index"])
        if found is None:
            break
        node = found
    return node


def _pairs(node: yaml.MappingNode) -> list[tuple[yaml.Node, yaml.Node]]:
    return cast("list[tuple[yaml.Node, yaml.Node]]", node.value)
