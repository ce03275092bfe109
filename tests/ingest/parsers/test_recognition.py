"""Telling formats apart by their content."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.ingest.parsers import FORMATS, ParseError, recognise
from tests.ingest.parsers.reading import lines, nmap, unpacked

SAMPLES = {
    "nmap-xml": nmap().encode(),
    "masscan-xml": nmap(scanner="masscan").encode(),
    "naabu-jsonl": lines({"host": "a.example", "ip": "192.0.2.1", "port": 80}),
    "masscan-json": b'[\n{"ip": "192.0.2.1", "ports": []}\n]\n',
    "bbot-ndjson": lines({"type": "SCAN", "id": "SCAN:1", "data": "x", "scan": "SCAN:1"}),
    "httpx-jsonl": lines({"url": "http://a.example", "status_code": 200}),
    "nuclei-jsonl": lines({"template-id": "x", "info": {}, "host": "a.example"}),
    "spectra-connect": lines({"tool": "spectra-connect", "version": "0.1.0"}),
}
FOLDERS = {"nmap": ("nmap-xml", "masscan-xml"), "naabu": ("naabu-jsonl",), "masscan": ("masscan-json",)} | {
    "bbot": ("bbot-ndjson",),
    "httpx": ("httpx-jsonl",),
    "nuclei": ("nuclei-jsonl",),
}


@pytest.mark.parametrize("name", FORMATS)
def test_each_format(name: str) -> None:
    """A sample of each is recognised, also behind blank lines and after a broken first line."""
    assert recognise(SAMPLES[name]) == name
    assert recognise(b"\n\n" + SAMPLES[name]) == name
    if not name.endswith("xml"):
        assert recognise(b'{"cut": \n' + SAMPLES[name].removeprefix(b"[\n")) == name


def test_real_files_and_no_others(shared_data: Path) -> None:
    """Every real scan of the tools read here is recognised, and no output of the thirty other tools is."""
    for path in sorted((shared_data / "scans").glob("*/*")):
        data = unpacked(path.read_bytes()) if path.suffix == ".zst" else path.read_bytes()
        expected = FOLDERS.get(path.parent.name, ("httpx-jsonl",) if path.name == "http-data.jsonl" else ())
        if expected:
            assert recognise(data) in expected, path
        else:
            with pytest.raises(ParseError) as caught:
                recognise(data)
            assert caught.value.reason == "unrecognised_format"


@pytest.mark.parametrize(
    ("head", "look"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"<niktoscan/>", "XML with the root <niktoscan>"),
        (b"<", "begins like XML"),
        (b"Starting Nmap 7.93 \x1b[0m\x00", "begins with 'Starting Nmap 7.93"),
        (b"\x89PNG\r\n", "begins with"),
        (b"[]", "begins with '[]'"),
        (b'{"hello": "world"}', "hello"),
    ],
)
def test_what_is_not_recognised_is_described(head: bytes, look: str) -> None:
    """The error says what the content looks like and which formats there are."""
    with pytest.raises(ParseError) as caught:
        recognise(head)
    assert caught.value.reason == "unrecognised_format"
    assert look in caught.value.message
    assert "\x1b" not in caught.value.message
    assert "empty" in look or all(name in caught.value.message for name in FORMATS)


def test_a_first_record_longer_than_the_head() -> None:
    """nuclei's responses and BBOT's presets can be: the keys seen so far decide."""
    long = b'{"template-id":"x","info":{"name":"n"},"response":"' + b"x" * 200_000 + b'"}'
    assert recognise(long) == "nuclei-jsonl"
    pretty = b'{\n "type": "SCAN",\n "id": "SCAN:1",\n "scan": "SCAN:1",\n "data": {\n' + b'  "modules": [\n' * 20_000
    assert recognise(pretty) == "bbot-ndjson"
    assert recognise(b'{"tool": "spectra-connect", "targets": ["' + b"x" * 200_000) == "spectra-connect"


def test_an_empty_result_of_masscan() -> None:
    """Only the last line of old versions."""
    assert recognise(b"[\n{finished: 1}\n]\n") == "masscan-json"


@given(st.binary(max_size=400), st.sampled_from([b"", b"{", b"[", b"<", b"<nmaprun ", b'{"ip":', b"\xff\xfe"]))
def test_any_bytes_are_recognised_or_refused(data: bytes, start: bytes) -> None:
    """Nothing else happens."""
    with contextlib.suppress(ParseError):
        assert recognise(start + data) in FORMATS
