"""JSON schemas of answers: the part of JSON Schema (draft 2020-12) that providers of models agree on, and no more.

No reference and no regular expression, so a check takes time in proportion to what is checked. What a check says is
made of words of this module and names of the schema alone: nothing that a model said is in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

MAX_NODES: Final = 400
MAX_DEPTH: Final = 12
MAX_PROBLEMS: Final = 12
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_NUMBERS: Final = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minimum", "maximum"})
_WORDS: Final = frozenset({"$schema", "$id", "title", "description"})
_KNOWN: Final = _NUMBERS | _WORDS | {"type", "properties", "required", "additionalProperties", "items", "enum", "const"}

Schema = Mapping[str, Any]
Problem = tuple[str, str]
"""Where (`.summary[2].text`), and what does not hold."""


def unsound(schema: object) -> Iterator[Problem]:
    """What is wrong with a schema itself, as far as it is read."""
    count = 0

    def look(node: object, path: str, depth: int) -> Iterator[Problem]:
        nonlocal count
        count += 1
        if count > MAX_NODES or depth > MAX_DEPTH:
            yield path, f"a schema has at most {MAX_NODES} parts, {MAX_DEPTH} deep"
            return
        if not isinstance(node, dict):
            yield path, "a schema is an object"
            return
        known = cast("dict[str, Any]", node)
        yield from _keywords(known, path)
        properties = known.get("properties")
        below_it = cast("dict[str, object]", properties) if isinstance(properties, dict) else {}
        for name, below in below_it.items():
            yield from look(below, f"{path}.properties.{name}", depth + 1)
        if "items" in known:
            yield from look(known["items"], f"{path}.items", depth + 1)

    yield from look(schema, "", 0)


def _keywords(node: dict[str, Any], path: str) -> Iterator[Problem]:
    for name, value in node.items():
        where = f"{path}.{name}"
        if name not in _KNOWN:
            yield where, f"`{name[:40]}` is not read; known are {', '.join(sorted(_KNOWN - _WORDS))}"
        elif name in _NUMBERS and (not isinstance(value, int | float) or isinstance(value, bool)):
            yield where, f"`{name}` is a number"
        elif name == "type" and not (
            _types(value) and all(isinstance(one, str) and one in _TYPES for one in _types(value))
        ):
            yield where, f"a type is one of {', '.join(_TYPES)}"
        elif name == "required" and not (
            isinstance(value, list) and all(isinstance(one, str) for one in _types(value))
        ):
            yield where, "`required` is a list of names"
        elif name == "enum" and not (isinstance(value, list) and value):
            yield where, "`enum` is a list of values"
        elif name == "additionalProperties" and not isinstance(value, bool):
            yield where, "`additionalProperties` is true or false"
        elif name == "properties" and not isinstance(value, dict):
            yield where, "`properties` is an object"


def problems(value: object, schema: Schema) -> list[Problem]:
    """Where `value` does not meet a sound schema: the first `MAX_PROBLEMS`."""
    found: list[Problem] = []
    for problem in _problems(value, schema, ""):
        found.append(problem)
        if len(found) == MAX_PROBLEMS:
            break
    return found


def _problems(value: object, schema: Schema, path: str) -> Iterator[Problem]:
    types = _types(schema.get("type"))
    if types and not any(_is(value, one) for one in types):
        yield path, f"it is no {' or '.join(types)}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield path, f"it is none of {', '.join(map(str, schema['enum']))}"
    if "const" in schema and value != schema["const"]:
        yield path, f"it is not {schema['const']}"
    yield from _measured(value, schema, path)
    if isinstance(value, dict):
        yield from _properties(cast("dict[str, object]", value), schema, path)
    elif isinstance(value, list) and "items" in schema:
        for number, item in enumerate(cast("list[object]", value)):
            yield from _problems(item, schema["items"], f"{path}[{number}]")


def _types(value: Any) -> list[str]:
    """One name, or a list of them, as a list; of nothing none."""
    return cast("list[str]", value if isinstance(value, list) else [value] if value else [])


def _is(value: object, kind: str) -> bool:
    if isinstance(value, bool) and kind in ("integer", "number"):
        return False
    return isinstance(value, _TYPES[kind])


def _measured(value: object, schema: Schema, path: str) -> Iterator[Problem]:
    size, unit = (len(value), "characters") if isinstance(value, str) else (0, "")
    if isinstance(value, list):
        size, unit = len(cast("list[object]", value)), "items"
    name = "Length" if unit == "characters" else "Items"
    if unit and size < schema.get(f"min{name}", 0):
        yield path, f"it has {size} {unit}; {schema[f'min{name}']} are the least"
    if unit and size > schema.get(f"max{name}", size):
        yield path, f"it has {size} {unit}; {schema[f'max{name}']} are the most"
    if isinstance(value, int | float) and not isinstance(value, bool):
        if value < schema.get("minimum", value):
            yield path, f"it is less than {schema['minimum']}"
        if value > schema.get("maximum", value):
            yield path, f"it is more than {schema['maximum']}"


def _properties(value: dict[str, object], schema: Schema, path: str) -> Iterator[Problem]:
    known: Mapping[str, Schema] = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield path, f"`{name}` is missing"
    for name, below in value.items():
        if name in known:
            yield from _problems(below, known[name], f"{path}.{name}")
        elif not schema.get("additionalProperties", True):
            yield path, "it has a property that the schema does not name"
