"""The parsers' door: `parse`, its promises for any bytes, and the table in the docs."""

from __future__ import annotations

import contextlib
import io
import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectra.ingest.parsers import FORMATS, MAX_PROBLEMS, Context, ParseError, parse, table
from spectra.model.envelope import Privacy
from spectra.model.observation import HostSeen, Problem
from tests.ingest.parsers.reading import DEFAULT_TIME, lines, nmap, nmap_host, of, read, unpacked
from tests.ingest.parsers.test_recognition import SAMPLES

CONTEXT = Context(DEFAULT_TIME, Privacy.FULL)


def test_the_docs_are_the_tables() -> None:
    """docs/formats.md is what `table()` renders: `python -c "from spectra.ingest.parsers import *; print(table())"`."""
    written = Path(__file__).parents[3] / "docs" / "formats.md"
    assert written.read_text("utf-8") == table()


@pytest.mark.parametrize("name", FORMATS)
def test_the_format_is_told_before_the_records_are_read(name: str) -> None:
    """`parse` names the format at once."""
    found, records = parse(io.BytesIO(SAMPLES[name]), CONTEXT)
    assert found == name
    assert not of(Problem, list(records))


@settings(max_examples=300)
@given(st.binary(max_size=400), st.sampled_from(sorted(SAMPLES)), st.integers(0, 200))
def test_any_bytes_raise_only_parse_errors(data: bytes, name: str, at: int) -> None:
    """Arbitrary bytes alone, and inside a sample of each format."""
    with contextlib.suppress(ParseError):
        read(data)
    sample = SAMPLES[name]
    with contextlib.suppress(ParseError):
        read(sample[:at] + data + sample[at:])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=200)
@given(st.data())
def test_real_lines_with_other_values_raise_nothing(shared_data: Path, data: st.DataObject) -> None:
    """Lines of real JSON files with fields replaced by anything, shuffled: the good neighbours are all kept."""
    folder = data.draw(st.sampled_from(["naabu", "httpx", "nuclei", "bbot", "masscan"]))
    real = _records(shared_data / "scans" / folder)
    chosen = data.draw(st.lists(st.sampled_from(real), min_size=2, max_size=6))
    mutated: list[object] = []
    for record in chosen[1:]:
        copy = dict(record)
        for key in data.draw(st.lists(st.sampled_from(sorted(copy)), max_size=3)):
            copy[key] = data.draw(json_values)
        mutated.append(copy)
    random.Random(data.draw(st.integers(0, 99))).shuffle(mutated)
    alone = {h.ip for h in of(HostSeen, read(lines(chosen[0])))}
    records = read(lines(chosen[0], *mutated))
    assert alone <= {h.ip for h in of(HostSeen, records)}
    assert all("\x00" not in str(record) for record in records)


_loaded: dict[Path, list[dict[str, object]]] = {}


def _records(folder: Path) -> list[dict[str, object]]:
    if folder not in _loaded:
        found: list[dict[str, object]] = []
        for path in folder.iterdir():
            raw = unpacked(path.read_bytes()) if path.suffix == ".zst" else path.read_bytes()
            for line in raw.splitlines():
                with contextlib.suppress(ValueError):
                    value = json.loads(line)
                    found += [value] if isinstance(value, dict) else []
        _loaded[folder] = found
    return _loaded[folder]


def test_problems_are_bounded_and_counted() -> None:
    """A thousand are listed; the rest is a number; the good line at the end is kept."""
    data = lines({"ip": "192.0.2.1", "port": 80}, *([{"ip": "x", "port": 80}] * 5000), {"ip": "192.0.2.2", "port": 80})
    records = read(data)
    problems = of(Problem, records)
    assert len(problems) == MAX_PROBLEMS + 1
    assert problems[-1].message == "4000 more problems are not listed"
    assert [h.ip for h in of(HostSeen, records)] == ["192.0.2.1", "192.0.2.2"]


def test_mixed_files_keep_what_is_of_the_first_format() -> None:
    """XML after JSON lines and JSON lines after XML: told by line, and nothing before is lost."""
    json_lines = lines({"ip": "192.0.2.1", "port": 80})
    records = read(json_lines + nmap(nmap_host()).encode())
    assert [h.ip for h in of(HostSeen, records)] == ["192.0.2.1"]
    assert of(Problem, records)[0].line == 2
    records = read(nmap(nmap_host()).encode() + json_lines)
    assert [h.ip for h in of(HostSeen, records)] == ["192.0.2.1"]
    assert len(of(Problem, records)) == 1


def test_the_stream_is_read_to_its_end() -> None:
    """Also where the parser gave up before: what checks the stream at its end has checked it."""
    stream = io.BytesIO((nmap(nmap_host()) + "x" * 1_000_000).encode())
    list(parse(stream, CONTEXT)[1])
    assert stream.read() == b""


def test_an_error_of_the_stream_is_passed_on() -> None:
    """`open_output` raises `ParseError` while reading; hosts before it were yielded."""

    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(size)
            if not data:
                raise ParseError("not what was claimed", reason="output_mismatch")
            return data

    _, records = parse(Broken(lines({"ip": "192.0.2.1", "port": 80}) * 4000), CONTEXT)
    with pytest.raises(ParseError, match="claimed"):
        list(records)
