"""JSON records, however they are laid out."""

from __future__ import annotations

import io
import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from spectra.ingest.parsers.jsonlines import MAX_RECORD_BYTES, first_keys, records
from spectra.model.observation import Problem

decode = msgspec.json.Decoder(dict[str, object]).decode


class Typed(msgspec.Struct):
    """A record with a field that can be wrong."""

    a: int


def values(data: bytes) -> list[object]:
    """The values, with problems as (line, message)."""
    found = records(io.BytesIO(data), decode, skip=b"{finished: 1}")
    return [(item.line, item.message) if isinstance(item, Problem) else item[1] for item in found]


json_objects = st.dictionaries(
    st.text(min_size=1, max_size=5),
    st.recursive(
        st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=6,
    ),
    min_size=1,
    max_size=4,
)


@given(st.lists(json_objects, max_size=6), st.sampled_from([None, 1, 4]), st.booleans(), st.booleans())
def test_every_layout_gives_the_same_records(
    objects: list[dict[str, object]], indent: int | None, array: bool, ascii_only: bool
) -> None:
    """Lines, pretty-printed objects, arrays of either: the same objects come out, and nothing else."""
    if array:
        text = json.dumps(objects, indent=indent, ensure_ascii=ascii_only)
    else:
        text = "\n\n".join(json.dumps(one, indent=indent, ensure_ascii=ascii_only) for one in objects)
    assert values(text.encode()) == objects


@given(st.binary(max_size=300))
def test_any_bytes_raise_nothing(data: bytes) -> None:
    """Garbage is a list of problems."""
    values(data)
    values(b'{"a": [' + data)


def test_lines_are_told() -> None:
    """A record's line is where it begins."""
    found = records(io.BytesIO(b'{"a":1}\n\n{\n"a":2\n}\n[{"a":3},\n{"a":4}]'), decode)
    assert [item[0] for item in found if not isinstance(item, Problem)] == [1, 3, 6, 7]


def test_separators_may_stand_anywhere() -> None:
    """masscan puts brackets and commas on lines of their own, and older versions end with a line that is no JSON."""
    assert values(b'[\n{"a":1}\n,\n{"a":2},\n{finished: 1}\n]\n') == [{"a": 1}, {"a": 2}]


def test_a_broken_record_costs_only_itself() -> None:
    """A record cut off in the middle, or in a string, does not swallow the next lines."""
    assert values(b'{"a":1}\n{"b":\n{"a":2}\n{"c": "x\n{"a":3}\n{"d": [1') == [
        {"a": 1},
        (2, "a JSON object begins here and does not end"),
        {"a": 2},
        (4, "a string is not closed on its line"),
        {"a": 3},
        (6, "a JSON object begins here and does not end"),
    ]


def test_a_pretty_printed_record_with_one_line_objects_is_one() -> None:
    """Objects on lines of their own inside a record are indented, and stay inside."""
    data = b'{\n  "a": [\n    {"b": 1},\n    {"b": 2}\n  ]\n}\n'
    assert values(data) == [{"a": [{"b": 1}, {"b": 2}]}]


def test_text_between_records_is_told() -> None:
    """Log lines and XML in a JSON file are problems with their line."""
    assert values(b'[INF] starting\n{"a":1}\n<x/>\n{"a":2} tail\n') == [
        (1, "text that is not JSON"),
        {"a": 1},
        (3, "text that is not JSON"),
        {"a": 2},
        (4, "text that is not JSON"),
    ]


def test_the_wrong_type_names_the_field() -> None:
    """A problem says which field of which line is off."""
    found = list(
        records(io.BytesIO(b'{"a":"x"}\n{"b":1}\n{"a":5}\n{"a":1}{"a":"y"}'), msgspec.json.Decoder(Typed).decode)
    )
    problems = [item for item in found if isinstance(item, Problem)]
    assert [(problem.line, problem.field) for problem in problems] == [(1, "a"), (2, ""), (4, "a")]
    assert "Expected `int`" in problems[0].message


def test_depth_is_bounded() -> None:
    """Ten thousand levels are a problem, in a line of its own and inside a pretty-printed record."""
    deep = b'{"a":' * 10_000 + b"1" + b"}" * 10_000
    assert values(deep + b'\n{"b":1}') == [(1, "nested deeper than 100 levels"), {"b": 1}]
    assert values(b'{\n"a":' + b"[" * 10_000 + b'\n{"b":1}') == [(1, "nested deeper than 100 levels"), {"b": 1}]


def test_size_is_bounded() -> None:
    """A record longer than 16 MiB is a problem; the array around all records may be longer."""
    big = b'{"a":"' + b"x" * (MAX_RECORD_BYTES + 2 * 1024 * 1024) + b'"}'
    (first, second) = values(b"[" + big + b"]\n" + b'{"b":1}')
    assert first == (1, f"longer than {MAX_RECORD_BYTES} bytes")
    assert second == {"b": 1}
    half = b'{"a":"' + b"x" * 6_000_000 + b'\\"}"}'
    assert [type(value) for value in values(b"[" + b",".join([half] * 3) + b"]")] == [dict] * 3


@given(json_objects, st.booleans())
def test_keys_of_a_record_that_is_cut(one: dict[str, object], array: bool) -> None:
    """All keys of the whole record, and of a cut one some of them; never a key from inside."""
    text = json.dumps([one, {"other": 1}] if array else one, ensure_ascii=False).encode()
    whole = {json.dumps(key, ensure_ascii=False)[1:-1] for key in one}
    assert first_keys(text) == whole
    assert all(first_keys(text[:cut]) <= whole for cut in range(len(text)))
    assert first_keys(b'}{"a": 1}') == set()
