"""Payloads: built, encoded, read back strictly, and rebuilt from what is stored."""

from __future__ import annotations

import gzip
import hashlib
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from spectra.identity import payload
from spectra.identity.errors import IdentityError
from spectra.model.envelope import Payload, Privacy

NOW = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
WORDS = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=40)
TIMES = st.none() | st.datetimes(timezones=st.just(UTC))


def make(**changes: Any) -> Payload:
    """A payload as a scanner would build it."""
    usual: dict[str, Any] = {"output": b"<nmaprun/>", "tool": "nmap", "contributor": "alice", "nonce": "n" * 32}
    usual["now"] = NOW
    return payload.build(**usual | changes)


@given(
    output=st.binary(max_size=300),
    tool=WORDS,
    source=WORDS,
    contributor=WORDS.filter(bool),
    started=TIMES,
    privacy=st.sampled_from(Privacy),
    encoding=st.sampled_from(["identity", "gzip", "zstd"]),
)
def test_a_payload_round_trips_and_can_be_rebuilt(**fields: Any) -> None:
    """Any payload is read back equal, and its signed bytes are rebuilt exactly from header and stored data."""
    made = make(**fields)
    raw = payload.encode(made)
    assert payload.decode(raw) == made
    assert payload.rebuild(payload.header(made), made.output.data) == raw


@pytest.mark.parametrize(
    ("encoding", "expand"),
    [("identity", bytes), ("gzip", gzip.decompress), ("zstd", zstandard.ZstdDecompressor().decompress)],
)
def test_the_output_is_described_before_compression(encoding: str, expand: Any) -> None:
    """Size and SHA-256 are of the original output, which the data expands to."""
    output = b"22/tcp open ssh\n" * 500
    made = make(output=output, encoding=encoding).output
    assert (made.encoding, made.size, made.sha256) == (encoding, 8000, hashlib.sha256(output).hexdigest())
    assert expand(made.data) == output


def test_nonce_and_scan_id_are_fresh() -> None:
    """Two builds of the same scan differ in nonce and scan id unless these are given."""
    one, two = (payload.build(output=b"x", tool="nmap", contributor="alice", now=NOW) for _ in range(2))
    assert one.nonce != two.nonce
    assert one.scan_id != two.scan_id
    assert len(one.nonce) == 32
    assert make(scan_id="mine").scan_id == "mine"


def test_times_are_written_in_utc() -> None:
    """An offset is converted when building, so that the bytes are canonical."""
    there = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    made = make(now=there, started=there, finished=there)
    assert b'"issued":"2026-11-21T12:00:00.123456Z"' in payload.encode(made)
    assert made.started == NOW
    assert payload.decode(payload.encode(made)) == made


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"now": NOW.replace(tzinfo=None)}, "`now`"),
        ({"started": NOW.replace(tzinfo=None)}, "`started`"),
        ({"finished": NOW.replace(tzinfo=None)}, "`finished`"),
        ({"contributor": ""}, "`contributor`"),
        ({"contributor": "x" * 201}, r"\$\.contributor"),
        ({"source": "x" * 1025}, r"\$\.source"),
        ({"source": "a\nb"}, "`source`"),
        ({"tool": "nmap\x00"}, "`tool`"),
        ({"nonce": "short"}, r"\$\.nonce"),
        ({"nonce": "n" * 32 + "\n"}, "`nonce`"),
    ],
)
def test_building_refuses_what_the_gate_would(changes: dict[str, Any], said: str) -> None:
    """A wrong field is told to the one who builds, with its name, before anything is signed."""
    with pytest.raises(IdentityError, match=said):
        make(**changes)


def test_the_observation_id_is_the_sha256_of_the_canonical_payload() -> None:
    """The id is the SHA-256 of the bytes that are signed."""
    raw = payload.encode(make())
    assert payload.observation_id(raw) == hashlib.sha256(raw).hexdigest()


def changed(**changes: object) -> bytes:
    """Canonical JSON of a good payload with some fields changed, added, or ("gone") removed."""
    body = msgspec.json.decode(payload.encode(make())) | changes
    return msgspec.json.encode({k: v for k, v in body.items() if v != "gone"}, order="sorted")


def output(**changes: object) -> bytes:
    """The same with fields of `output` changed."""
    return changed(output=msgspec.json.decode(payload.encode(make()))["output"] | changes)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "truncated"),
        (b"null", "Expected `object`"),
        (changed(extra=1), "`extra`"),
        (changed(version=2), r"\$\.version"),
        (changed(tool=7), r"\$\.tool"),
        (changed(tool="gone"), "`tool`"),
        (changed(issued=None), r"\$\.issued"),
        (changed(issued="2026-11-21T12:00:00"), "`issued`"),
        (changed(issued="2026-11-21T12:00:00+02:00"), "`issued`"),
        (changed(started="0001-01-01T00:00:00+14:00"), "`started`"),
        (changed(finished="2026-11-21T12:00:00"), "`finished`"),
        (changed(nonce="with space in it!!"), r"\$\.nonce"),
        (changed(privacy="none"), r"\$\.privacy"),
        (changed(contributor="a\x00b"), "`contributor`"),
        (output(extra=1), r"\$\.output"),
        (output(encoding="brotli"), r"\$\.output\.encoding"),
        (output(sha256="A" * 64), r"\$\.output\.sha256"),
        (output(sha256="a" * 64 + "\n"), "`output.sha256`"),
        (output(size=-1), r"\$\.output\.size"),
        (output(size=1.5), r"\$\.output\.size"),
        (output(size=2**63), "`output.size`"),
        (output(data="!"), r"\$\.output\.data"),
    ],
)
def test_a_malformed_payload_is_refused_naming_the_field(raw: bytes, said: str) -> None:
    """Unknown fields, types, lengths and times are each refused with the path of the field."""
    with pytest.raises(IdentityError, match=said) as caught:
        payload.decode(raw)
    assert caught.value.reason == "malformed_payload"


GOOD = payload.encode(make())


@pytest.mark.parametrize(
    "raw",
    [
        GOOD + b"\n",
        b" " + GOOD,
        GOOD.replace(b'"alice"', b'"\\u0061lice"'),
        GOOD.replace(b"{", b'{"tool":"x",', 1),
        GOOD.replace(b"123456Z", b"1234560Z"),
        GOOD.replace(b"123456Z", b"123456+00:00"),
        msgspec.json.encode(dict(reversed(msgspec.json.decode(GOOD).items()))),
        msgspec.json.format(GOOD),
    ],
    ids=["newline", "space", "escape", "twice", "digits", "offset", "order", "indented"],
)
def test_bytes_that_are_not_canonical_are_refused(raw: bytes) -> None:
    """Another spelling of the same payload would be another observation id, and is refused as such."""
    assert raw != GOOD
    with pytest.raises(IdentityError) as caught:
        payload.decode(raw)
    assert caught.value.reason == "not_canonical"


@given(st.binary(max_size=200) | st.integers(0, len(GOOD)).map(lambda cut: GOOD[:cut] + b'"' + GOOD[cut:]))
def test_arbitrary_bytes_only_raise_our_error(raw: bytes) -> None:
    """No input makes the decoder fail in another way."""
    with pytest.raises(IdentityError):
        payload.decode(raw)


def test_a_header_without_its_gap_is_refused() -> None:
    """A full payload is not taken for a header."""
    with pytest.raises(IdentityError, match="not a payload's header"):
        payload.rebuild(GOOD, b"")


def test_text_that_looks_like_the_gap_does_not_mislead() -> None:
    """A contributor cannot smuggle a second gap into a text field."""
    made = make(contributor='"output":{"data":""', source='output":{"data":"')
    assert payload.rebuild(payload.header(made), made.output.data) == payload.encode(made)
