"""The XML reader: hostile documents, broken ones, and what stands around a document."""

from __future__ import annotations

import contextlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.ingest.parsers.encoding import Utf8Stream
from spectra.ingest.parsers.errors import ParseError
from spectra.ingest.parsers.xml import elements, root_name
from spectra.model.observation import HostSeen, Problem
from tests.ingest.parsers.reading import nmap, nmap_host, nmap_port, of, read

HOST = nmap_host(nmap_port())
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
BOMBS = [
    f'<!DOCTYPE nmaprun [<!ENTITY l0 "lol">{LAUGHS}]><nmaprun args="x">&l11;</nmaprun>',
    f'<!DOCTYPE nmaprun [<!ENTITY l0 "lol">{LAUGHS}]><nmaprun args="&l11;"></nmaprun>',
    '<!DOCTYPE nmaprun [<!ENTITY x SYSTEM "file:///etc/passwd">]><nmaprun args="x">&x;</nmaprun>',
    '<!DOCTYPE nmaprun [<!ENTITY % x SYSTEM "http://127.0.0.1:9/x.dtd"> %x;]><nmaprun></nmaprun>',
]


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_are_refused(bomb: str, encoding: str) -> None:
    """Billion laughs, in text and attributes, external and parameter entities: refused with a clear error."""
    with pytest.raises(ParseError, match="declares entities") as caught:
        read(bomb.encode(encoding))
    assert (caught.value.reason, caught.value.field) == ("malformed", "DOCTYPE")


@pytest.mark.parametrize("bomb", BOMBS)
def test_entities_beyond_the_head_are_refused(bomb: str) -> None:
    """A document type longer than what is looked at beforehand is found by libxml2's own view of it."""
    long = bomb.replace("[<!ENTITY", f"[<!-- {'x' * 100_000} --><!ENTITY", 1)
    stream = Utf8Stream(io.BytesIO(long.encode()))
    with pytest.raises(ParseError) as caught:
        list(elements(stream, "nmaprun", ("host",)))
    assert caught.value.reason == "malformed"


@pytest.mark.parametrize(
    "doctype",
    [
        "<!DOCTYPE nmaprun>",
        '<!DOCTYPE nmaprun PUBLIC "-//IDN nmap.org//DTD Nmap XML 1.04//EN" "https://svn.nmap.org/nmap/docs/nmap.dtd">',
        "<!DOCTYPE nmaprun [<!ELEMENT nmaprun ANY>]>",
        "<!-- <!ENTITY in a comment is none -->",
    ],
)
def test_an_ordinary_doctype_is_fine(doctype: str) -> None:
    """What nmap writes is read; nothing is loaded for it."""
    assert len(of(HostSeen, read(nmap(HOST).replace("<!DOCTYPE nmaprun>", doctype)))) == 1


def test_an_undeclared_entity_ends_the_document() -> None:
    """Hosts before it are kept."""
    records = read(nmap(HOST, "&unknown;", HOST))
    assert len(of(HostSeen, records)) == 1
    (problem,) = of(Problem, records)
    assert (problem.line, "unknown" in problem.message) == (4, True)


@pytest.mark.parametrize("before", ["\n\n", "\ufeff", "<!-- SPDX-License-Identifier: x -->\n", " \t\n<!-- a\nb -->"])
def test_white_space_and_comments_before_the_declaration_are_skipped(before: str) -> None:
    """Strictly not XML, yet what people do to files."""
    records = read(before + nmap(HOST))
    assert len(of(HostSeen, records)) == 1
    assert not of(Problem, records)


def test_words_before_the_xml_are_skipped_and_told() -> None:
    """`nmap -oX -` with the terminal's other words above; lines are counted from the file's beginning."""
    records = read("Starting Nmap 7.93\nWARNING: x\n" + nmap(HOST, nmap_host("<ports><port/></ports>")))
    assert len(of(HostSeen, records)) == 2
    assert [problem.message for problem in of(Problem, records)] == ["2 lines before the XML were skipped"]
    assert len(of(HostSeen, read("words\n<nmaprun scanner='nmap'>" + HOST + "</nmaprun>"))) == 1


def test_what_follows_the_document_is_a_problem() -> None:
    """Two documents in one file, as `--append-output` leaves them: the first is kept, the second is told."""
    records = read(nmap(HOST) + nmap(HOST))
    assert len(of(HostSeen, records)) == 1
    (problem,) = of(Problem, records)
    assert problem.line == 5


def test_forbidden_control_characters_are_dropped_and_told() -> None:
    """Old nmap wrote what a service sent; the host is kept."""
    records = read(nmap(nmap_host('<os><osmatch name="a\x01b" accuracy="1"/></os>')))
    assert of(HostSeen, records)[0].os == "ab"
    assert "control characters" in of(Problem, records)[0].message


def test_a_document_that_breaks_before_its_root_is_an_error() -> None:
    """Nothing useful can be read."""
    with pytest.raises(ParseError, match="cannot be read") as caught:
        read("<?xml version='1.0'?>\n<nmaprun scanner=")
    assert caught.value.line == 2
    with pytest.raises(ParseError, match="no <other> element"):
        list(elements(Utf8Stream(io.BytesIO(b"<nmaprun/>")), "other", ()))


def test_depth_is_bounded() -> None:
    """libxml2 stops at 256 levels; the hosts before are kept."""
    records = read(nmap(HOST, "<a>" * 5000))
    assert len(of(HostSeen, records)) == 1
    assert "depth" in of(Problem, records)[0].message.lower()


def test_one_endless_element_is_bounded() -> None:
    """Elements that never end in a host do not fill the memory; reading stops with a problem."""
    records = read(nmap(HOST, "<a/>" * 4_500_000, HOST))
    assert len(of(HostSeen, records)) == 1
    assert "larger than any host" in of(Problem, records)[0].message


def test_hosts_that_are_not_children_of_the_root_are_ignored() -> None:
    """Only nmaprun/host is a host; `hosthint` and nested elements are not."""
    assert not of(HostSeen, read(nmap(f"<x>{HOST}</x><hosthint><status state='up'/></hosthint>")))


@given(st.binary(max_size=200), st.integers(0, 600))
def test_mangled_documents_raise_only_parse_errors(junk: bytes, at: int) -> None:
    """Any bytes anywhere in a document."""
    document = nmap(HOST, HOST).encode()
    with contextlib.suppress(ParseError):
        read(document[:at] + junk + document[at:])


def test_root_names() -> None:
    """Comments do not count."""
    assert root_name(b"<!-- <nmaprun> --><niktoscan x='1'>") == "niktoscan"
    assert root_name(b"<?xml ?>") == ""
