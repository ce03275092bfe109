"""Encodings, undone once for all parsers."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.ingest.parsers.encoding import Utf8Stream, utf8_head
from spectra.ingest.parsers.errors import ParseError
from spectra.model.observation import HostSeen, Problem
from tests.ingest.parsers.reading import lines, nmap, nmap_host, of, read

NAABU = lines({"ip": "192.0.2.1", "port": 80, "host": "bücher.example"}).decode()
XML = nmap(nmap_host("<os><osmatch name='Bücher 1' accuracy='90'/></os>"))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("text", [NAABU, XML])
def test_what_a_shell_did_to_the_output_is_undone(text: str, encoding: str) -> None:
    """UTF-16 as PowerShell writes it, over whatever the XML declares, is the same output."""
    mark = "\ufeff" if encoding.endswith(("-le", "-be")) else ""
    assert read((mark + text).encode(encoding)) == read(text)


@pytest.mark.parametrize("text", [NAABU, XML])
def test_utf16_without_a_mark_is_seen_by_its_zero_bytes(text: str) -> None:
    """RFC 8259's old rule for telling encodings of JSON, and XML's appendix F."""
    assert read(text.encode("utf-16-le")) == read(text.encode("utf-16-be")) == read(text)


@pytest.mark.parametrize("name", ["iso-8859-1", "windows-1252", "ISO-8859-15"])
def test_a_declared_encoding_is_used(name: str) -> None:
    """An XML declaration in an 8-bit encoding is believed."""
    (seen,) = of(HostSeen, read(XML.replace("UTF-8", name).encode(name)))
    assert seen.os == "Bücher 1"


@pytest.mark.parametrize("name", ["utf-7", "ebcdic-cp-us", "cp037", "no-such", "base64", "punycode"])
def test_an_encoding_that_hides_the_document_is_refused(name: str) -> None:
    """Only supersets of ASCII: what is checked must be what is parsed."""
    with pytest.raises(ParseError, match="encoding") as caught:
        read(XML.replace("UTF-8", name))
    assert (caught.value.reason, caught.value.field) == ("malformed", "encoding")


def test_a_false_declaration_of_utf16_is_not_believed() -> None:
    """Bytes without zeros are not UTF-16, as some exports declare."""
    assert read(XML.replace("UTF-8", "UTF-16")) == read(XML)


def test_bytes_that_are_no_character_are_replaced_and_told() -> None:
    """The host is kept, and a problem names the first line."""
    records = read(XML.encode().replace("ü".encode(), b"\xff"))
    assert of(HostSeen, records)[0].os == "B\ufffdcher 1"
    (problem,) = of(Problem, records)
    assert problem.line == 3
    assert "no utf-8" in problem.message


@given(st.binary(max_size=200), st.sampled_from(["", "\ufeff"]), st.integers(1, 7))
def test_any_bytes_become_utf8(data: bytes, mark: str, size: int) -> None:
    """Whatever the bytes and however they are read, valid UTF-8 comes out."""
    text = Utf8Stream(io.BytesIO(mark.encode() + data))
    parts: list[bytes] = []
    while part := text.read(size):
        parts.append(part)
    b"".join(parts).decode()
    utf8_head(data)


def test_a_character_cut_by_a_chunk_is_whole() -> None:
    """Characters across the pieces in which the source is read are not replaced, nor is what follows a bad one."""
    data = b"x" * 65535 + "ü€𝄞".encode() * 100_000 + b"\xff" + "ü€𝄞".encode() * 100_000
    stream = Utf8Stream(io.BytesIO(data))
    assert stream.read().decode() == data.decode("utf-8", "replace")
    assert stream.replaced == 1


def test_a_source_that_gives_little_at_a_time_is_read_to_the_end() -> None:
    """The head is filled from a source that returns short reads."""

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(size or 1, 1000))

    stream = Utf8Stream(Slow(b"y" * 70_000))
    assert len(stream.head()) == 64 * 1024
    assert len(stream.read()) == 70_000
