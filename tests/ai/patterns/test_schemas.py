"""The part of JSON Schema that answers are held against."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectra.ai.patterns import schemas

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "a": {"type": "array", "minItems": 1, "maxItems": 2, "items": {"type": "string", "maxLength": 3}},
        "b": {"type": ["integer", "null"], "minimum": 0, "maximum": 9},
        "c": {"enum": ["x", "y"]},
        "d": {"const": True},
    },
    "required": ["a"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ({"a": ["abc"], "b": None, "c": "x", "d": True}, []),
        ([], [("", "it is no object")]),
        ({}, [("", "`a` is missing")]),
        ({"a": []}, [(".a", "it has 0 items; 1 are the least")]),
        ({"a": ["abcd", 1, ""]}, [
            (".a", "it has 3 items; 2 are the most"),
            (".a[0]", "it has 4 characters; 3 are the most"),
            (".a[1]", "it is no string"),
        ]),
        ({"a": ["a"], "b": 10}, [(".b", "it is more than 9")]),
        ({"a": ["a"], "b": -1}, [(".b", "it is less than 0")]),
        ({"a": ["a"], "b": True}, [(".b", "it is no integer or null")]),
        ({"a": ["a"], "c": "z"}, [(".c", "it is none of x, y")]),
        ({"a": ["a"], "d": False}, [(".d", "it is not True")]),
        ({"a": ["a"], "secret 192.0.2.1": 1}, [("", "it has a property that the schema does not name")]),
    ],
)  # fmt: skip
def test_what_does_not_hold_is_told_by_place(value: object, wrong: list[schemas.Problem]) -> None:
    """In words of ours alone: nothing of what the model said is repeated."""
    assert schemas.problems(value, SCHEMA) == wrong


def test_no_more_is_told_than_is_read() -> None:
    """An answer that is wrong everywhere has a bounded list of reasons."""
    assert len(schemas.problems([1] * 100, {"type": "array", "items": {"type": "string"}})) == schemas.MAX_PROBLEMS


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 12) | st.sampled_from(["x", "y", "abcd", ""]),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from("abcde"), below, max_size=4),
    max_leaves=8,
)


@settings(max_examples=60)
@given(JSON)
def test_it_says_what_the_standard_says(value: Any) -> None:
    """Whether a value meets the schema is the same for another implementation of JSON Schema."""
    valid = jsonschema.Draft202012Validator(SCHEMA).is_valid(value)  # pyright: ignore[reportUnknownMemberType]
    assert (schemas.problems(value, SCHEMA) == []) is valid


@pytest.mark.parametrize(
    ("schema", "where"),
    [
        ([], ""),
        ({"$ref": "#"}, ".$ref"),
        ({"pattern": "(a+)+"}, ".pattern"),
        ({"properties": {"a": {"type": "text"}}}, ".properties.a.type"),
        ({"type": [{}]}, ".type"),
        ({"items": {"maxItems": "1"}}, ".items.maxItems"),
        ({"required": "a"}, ".required"),
        ({"required": [1]}, ".required"),
        ({"enum": []}, ".enum"),
        ({"additionalProperties": {}}, ".additionalProperties"),
        ({"properties": []}, ".properties"),
        ({"properties": {"a": 1}}, ".properties.a"),
    ],
)
def test_a_schema_that_is_not_read_is_refused(schema: object, where: str) -> None:
    """References, regular expressions and shapes that are no schema, each by its place."""
    assert [path for path, _ in schemas.unsound(schema)] == [where]


def test_schemas_are_bounded() -> None:
    """In depth and in number."""
    deep: dict[str, Any] = {}
    for _ in range(30):
        deep = {"items": deep}
    assert len(list(schemas.unsound(deep))) == 1
    wide = {"properties": {f"p{n}": {} for n in range(1000)}}
    assert any("at most 400" in what for _, what in schemas.unsound(wide))
    assert list(schemas.unsound(SCHEMA)) == []
