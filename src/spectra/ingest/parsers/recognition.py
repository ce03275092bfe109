"""Tells a format from the beginning of the content alone: file names and claims lie, records do not."""

from __future__ import annotations

import io
import re
from collections.abc import Set as AbstractSet

import msgspec

from spectra.ingest.parsers import connect, masscan, nmap
from spectra.ingest.parsers.errors import ParseError
from spectra.ingest.parsers.jsonlines import first_keys, records
from spectra.ingest.parsers.text import clean
from spectra.ingest.parsers.xml import root_name
from spectra.model.observation import Problem

FORMATS: tuple[str, ...] = (
    "nmap-xml",
    "naabu-jsonl",
    "masscan-json",
    "masscan-xml",
    "bbot-ndjson",
    "httpx-jsonl",
    "nuclei-jsonl",
    connect.TOOL,
)

_MAX_RECORDS = 50  # looked at, should the first be broken
_MASSCAN = re.compile(rb"<nmaprun\b[^>]*\bscanner\s*=\s*[\"']masscan[\"']")
_EMBEDDED_XML = re.compile(rb"^[ \t]*<(\?xml\s|nmaprun\s)", re.MULTILINE)
_TOOL = re.compile(rb'"tool"\s*:\s*"' + connect.TOOL.encode() + b'"')

_BBOT = frozenset({"scan", "module", "scope_distance", "discovery_context"})
_HTTPX = frozenset({"status_code", "status-code", "webserver", "content_type", "content-type", "failed", "final_url"})
# Other tools tell of an address and a port too: either nothing but naabu's fields, or all that current versions write.
_NAABU = frozenset({"host", "ip", "port", "timestamp", "protocol", "tls", "cdn", "cdn-name"})
_NAABU_NOW = frozenset({"timestamp", "protocol", "tls"})

_decode = msgspec.json.Decoder(dict[str, object]).decode


def from_head(head: bytes) -> str:
    """The format that `head` (UTF-8, the first 64 KiB at most) begins; `ParseError` where it is none of `FORMATS`."""
    start = head.lstrip()
    if not start:
        raise ParseError("The output is empty.", reason="unrecognised_format")
    found = _json(head) if start[:1] in (b"{", b"[") else _xml(head)
    if found is None:
        raise ParseError(
            f"The format is none of those read here ({', '.join(FORMATS)}): the content {_look(start)}.",
            reason="unrecognised_format",
            line=1,
        )
    return found


def _xml(head: bytes) -> str | None:
    """nmap's schema, with whatever a terminal wrote before the XML."""
    begin = 0
    if not head.lstrip().startswith(b"<"):
        found = _EMBEDDED_XML.search(head)
        if found is None or b"\x00" in head:  # an archive of scans is not a scan
            return None
        begin = found.start()
    if root_name(head[begin:]) != nmap.ROOT:
        return None
    return "masscan-xml" if _MASSCAN.search(head) else "nmap-xml"


def _json(head: bytes) -> str | None:
    whole = False
    for number, item in enumerate(records(io.BytesIO(head), _decode, skip=masscan.LAST_LINE)):
        if not isinstance(item, Problem):
            whole = True
            found = _by_keys(item[1].keys(), item[1].get("tool") == connect.TOOL)
            if found:
                return found
        if number >= _MAX_RECORDS:
            break
    if masscan.LAST_LINE in head:
        return "masscan-json"
    if whole:
        return None
    return _by_keys(first_keys(head), _TOOL.search(head) is not None)  # the first record is longer than the head


def _by_keys(keys: AbstractSet[str], is_connect: bool) -> str | None:
    ports = {"ports", "rec_type"} & keys
    rules = (
        (is_connect, connect.TOOL),
        ("info" in keys and {"template-id", "templateID"} & keys, "nuclei-jsonl"),
        ({"type", "id"} <= keys and {"data", "data_json"} & keys and _BBOT & keys, "bbot-ndjson"),
        ("url" in keys and _HTTPX & keys, "httpx-jsonl"),
        ("ip" in keys and ports, "masscan-json"),
        ("port" in keys and {"ip", "host"} & keys and (keys <= _NAABU or keys >= _NAABU_NOW), "naabu-jsonl"),
    )
    return next((name for holds, name in rules if holds), None)


def _look(start: bytes) -> str:
    """What a person sees of it."""
    if start[:1] == b"<":
        name = root_name(start)
        return f"is XML with the root <{clean(name, 60)}>" if name else "begins like XML"
    text = clean(start[:400].decode("utf-8", "replace"), 60)
    return f"begins with {text!r}"
