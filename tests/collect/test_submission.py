"""`submission`: from output to a signed envelope that opens again."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
import zstandard

from spectra.collect.scanners.base import RawOutput
from spectra.collect.submission import new_scan_id, seal, seal_file
from spectra.errors import BadRequest
from spectra.identity import dsse, payload
from spectra.identity.keys import SigningKey
from spectra.model.envelope import Payload, Privacy
from tests.collect.scanners.conftest import free_port, scan

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def key() -> SigningKey:
    """A key of a contributor."""
    return SigningKey.generate()


def opened(envelope: bytes, key: SigningKey) -> Payload:
    """The payload of an envelope whose signature holds."""
    read = dsse.decode(envelope)
    assert dsse.verify(key.public, read.signatures[0].sig, read.payload)
    return payload.decode(read.payload)


def test_a_scan_is_sealed_with_all_it_says_of_itself(key: SigningKey) -> None:
    """Tool, version, type and times of a real run stand in the payload; its output is the scanner's, byte for byte."""
    raw = asyncio.run(scan(str(free_port())))
    sealed = opened(seal(raw, key, contributor="alice", now=NOW, privacy=Privacy.META_ONLY), key)
    assert (sealed.tool, sealed.tool_version, sealed.scan_type) == (raw.tool, raw.tool_version, "tcp-connect")
    assert (sealed.started, sealed.finished, sealed.issued) == (raw.started, raw.finished, NOW)
    assert (sealed.contributor, sealed.privacy) == ("alice", Privacy.META_ONLY)
    assert zstandard.ZstdDecompressor().decompress(sealed.output.data, sealed.output.size) == raw.data


def test_a_file_is_sealed_as_it_is_and_repeats(key: SigningKey) -> None:
    """The same file, time and nonce give the same observation, so that a resumed import doubles nothing."""
    first = seal_file(b"<nmaprun/>", key, contributor="alice", now=NOW, source="scan.xml", nonce="n" * 24)
    again = seal_file(b"<nmaprun/>", key, contributor="alice", now=NOW, source="scan.xml", nonce="n" * 24)
    assert dsse.decode(first).payload == dsse.decode(again).payload
    assert opened(first, key).source == "scan.xml"


def test_nothing_is_not_submitted(key: SigningKey) -> None:
    """A tool that found nothing, or an empty file, is an error and not an observation."""
    empty = RawOutput(tool="naabu", tool_version="2", data=b"\n", scan_type="", started=NOW, finished=NOW)
    with pytest.raises(BadRequest, match="naabu found nothing"):
        seal(empty, key, contributor="alice", now=NOW)
    with pytest.raises(BadRequest, match=r"scan\.xml is empty"):
        seal_file(b" ", key, contributor="alice", now=NOW, source="scan.xml")


def test_ids_of_scans_sort_and_differ() -> None:
    """Two scans of one second have two ids."""
    assert len({new_scan_id(NOW) for _ in range(50)}) > 40
    assert new_scan_id(NOW).startswith(f"scan-{NOW:%Y}")
