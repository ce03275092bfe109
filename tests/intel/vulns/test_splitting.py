"""A feed is cut into its records exactly where a JSON parser would, in any pieces, without holding it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.intel.vulns import VulnFeedError
from spectra.intel.vulns.packing import Source
from spectra.intel.vulns.splitting import ARRAY, Raw, array_in, lines, rows, split

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12
)
OBJECTS = st.dictionaries(st.text(), VALUES, max_size=4)


def cut(data: bytes, size: int = 1 << 20) -> list[Raw]:
    """The records of bytes that come in pieces of `size`."""
    return list(split(Source(data[at : at + size] for at in range(0, len(data), size)), {}))


@given(st.lists(VALUES, max_size=6), st.sampled_from([None, 1, 4]), st.booleans(), st.integers(1, 40))
def test_an_array_is_cut_as_json_reads_it(values: list[Any], indent: int | None, ascii_only: bool, size: int) -> None:
    """Whatever is in strings, however it is laid out, and wherever pieces end."""
    data = json.dumps(values, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    assert [json.loads(raw.data.decode("utf-8", "surrogatepass")) for raw in cut(data, size)] == values


@given(st.lists(VALUES, max_size=5), OBJECTS, OBJECTS, st.sampled_from([None, 2]), st.integers(1, 60))
def test_a_document_is_cut_and_what_it_says_of_itself_is_kept(
    values: list[Any], before: dict[str, Any], after: dict[str, Any], indent: int | None, size: int
) -> None:
    """Keys before the array and behind it; the array's own name is noted."""
    reserved = ("vulnerabilities", "data", "vulns", "CVE_Items", "")
    before = {key: value for key, value in before.items() if key not in reserved}
    after = {key: value for key, value in after.items() if key not in (*reserved, *before)}
    data = json.dumps({**before, "vulnerabilities": values, **after}, indent=indent).encode()
    head: dict[str, Any] = {}
    raws = list(split(Source(data[at : at + size] for at in range(0, len(data), size)), head))
    assert [json.loads(raw.data) for raw in raws] == values
    assert ARRAY in head
    assert {key: head[key] for key in (*before, *after) if key in head} == {
        key: value for key, value in {**before, **after}.items() if key in head
    }


@given(st.lists(OBJECTS, min_size=1, max_size=6), st.sampled_from(["\n", "\r\n", "\n\n"]), st.integers(1, 40))
def test_lines_are_records(values: list[dict[str, Any]], end: str, size: int) -> None:
    """With any line ends; each with the line it stands on."""
    data = "".join(json.dumps(value) + end for value in values).encode()
    raws = cut(data, size)
    assert [json.loads(raw.data) for raw in raws] == values
    assert [raw.line for raw in raws] == [1 + i * end.count("\n") for i in range(len(values))]


@given(st.lists(OBJECTS, min_size=1, max_size=4), st.integers(1, 40))
def test_values_over_several_lines_follow_each_other(values: list[dict[str, Any]], size: int) -> None:
    """A single pretty-printed record is the usual case."""
    data = "\n".join(json.dumps({"k": value}, indent=2) for value in values).encode()
    assert [json.loads(raw.data) for raw in cut(data, size)] == [{"k": value} for value in values]


@given(st.binary(max_size=400), st.integers(1, 50))
def test_garbage_is_cut_or_refused(data: bytes, size: int) -> None:
    """Any bytes end, and never in another error."""
    for start in (b"", b"[", b'{"vulnerabilities": [', b'{"a": "'):
        try:
            cut(start + data, size)
        except VulnFeedError:
            continue


def test_a_broken_line_does_not_hide_the_next() -> None:
    """Brackets are not counted over lines, not even where the first line is broken."""
    data = b'{"id": "broken \n{"id": 2}\n}}}}\n{"id": 4}\n'
    assert [(raw.data, raw.line) for raw in cut(data)] == [
        (b'{"id": "broken', 1),
        (b'{"id": 2}', 2),
        (b"}}}}", 3),
        (b'{"id": 4}', 4),
    ]


def test_what_is_cut_short_is_told_after_what_came_before() -> None:
    """The whole elements of a document come out, then the error with its line."""
    whole = json.dumps({"vulnerabilities": [{"n": n} for n in range(5)]}, indent=1).encode()
    raws = split(Source([whole[:-30]]), {})
    got: list[int] = []
    with pytest.raises(VulnFeedError, match="ends too early") as caught:
        got.extend(json.loads(raw.data)["n"] for raw in raws)
    assert got == [0, 1, 2]
    assert caught.value.line > 1


def test_the_last_line_without_an_end_may_be_cut() -> None:
    """The reader decides by whether it is whole."""
    assert [raw.cut for raw in cut(b'{"a": 1}\n{"a"')] == [False, True]


def test_deep_elements_are_cut_like_others() -> None:
    """How deep is the decoder's business."""
    deep = b"[" * 5000 + b"]" * 5000
    assert [raw.data for raw in cut(b"[" + deep + b', {"a": 1}]', 1000)] == [deep, b'{"a": 1}']


def test_a_record_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it fills the memory; as a line and as an element."""
    monkeypatch.setattr("spectra.intel.vulns.splitting.MAX_RECORD", 1 << 20)
    for data in (b'{"a": "' + b"x" * (1 << 22), b'[{"a": "' + b"x" * (1 << 22), b'[{"a": ' + b"[" * (1 << 22)):
        with pytest.raises(VulnFeedError, match="larger than") as caught:
            cut(data, 1 << 16)
        assert caught.value.reason == "feed_too_large"


def test_pages_one_after_the_other_are_one_feed() -> None:
    """Answers of the API that were appended to one file, on lines of their own or not."""
    page = json.dumps({"startIndex": 0, "vulnerabilities": [{"n": 1}, {"n": 2}]}).encode()
    for between in (b"\n", b" "):
        assert len(cut(page + between + page)) == 4


def test_the_array_of_a_document_is_found_by_its_level() -> None:
    """Not one of the same name further in, nor its name in a text."""
    assert array_in(b'{"x": {"data": [1]}, "data": [2]}') == (21, 30)
    assert array_in(b'{"x": "\\"data\\": [", "y": 1}') is None
    assert array_in(b'{"data": {"vulns": []}}') is None


def test_rows_hold_quoted_line_ends() -> None:
    """RFC 4180; a quote that never ends gives what there is, as cut."""
    source = Source([b'a,b\n1,"two\nlines ""x"""\n2,c\n3,"open'])
    assert [(raw.data, raw.line, raw.cut) for raw in rows(source)] == [
        (b"a,b", 1, False),
        (b'1,"two\nlines ""x"""', 2, False),
        (b"2,c", 4, False),
        (b'3,"open', 5, True),
    ]


def test_empty_lines_are_counted_but_are_nothing() -> None:
    """So that line numbers are those of an editor."""
    assert [(raw.data, raw.line) for raw in lines(Source([b"\n\n a \n\nb"]))] == [(b"a", 3), (b"b", 5)]
