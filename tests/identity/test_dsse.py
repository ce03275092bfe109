"""DSSE envelopes."""

from __future__ import annotations

import base64

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.identity import dsse
from spectra.identity.errors import IdentityError
from spectra.identity.keys import SigningKey
from spectra.model.envelope import PAYLOAD_TYPE, Envelope, Signature

KEY = SigningKey.generate()
TYPE = "http://example.com/HelloWorld"


def test_the_vector_of_the_specification() -> None:
    """The pre-authentication encoding is that of DSSE's protocol.md, byte for byte."""
    assert dsse.pae(TYPE, b"hello world") == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_lengths_are_counted_in_bytes() -> None:
    """A type that is not ASCII is counted in UTF-8 bytes, as the specification says."""
    assert dsse.pae("é", b"") == b"DSSEv1 2 \xc3\xa9 0 "


@given(st.binary(max_size=300), st.text(alphabet="abc/+", min_size=1, max_size=30))
def test_what_is_signed_opens_and_verifies(payload: bytes, payload_type: str) -> None:
    """Any payload and type come back as they were, with a signature that holds for them and for no other type."""
    opened = dsse.decode(dsse.sign(KEY, payload, payload_type), payload_type)
    assert opened.payload == payload
    assert [one.keyid for one in opened.signatures] == [KEY.public.keyid]
    assert dsse.verify(KEY.public, opened.signatures[0].sig, payload, payload_type)
    assert not dsse.verify(KEY.public, opened.signatures[0].sig, payload, payload_type + "x")


def test_an_envelope_has_the_fields_of_the_specification() -> None:
    """The JSON has the names that envelope.md gives, so that other DSSE tools read it."""
    body = msgspec.json.decode(dsse.sign(KEY, b"hi"))
    assert set(body) == {"payload", "payloadType", "signatures"}
    assert base64.b64decode(body["payload"]) == b"hi"
    assert body["payloadType"] == PAYLOAD_TYPE


def test_an_envelope_with_escapes_is_read() -> None:
    """JSON writers that escape `/` and `+` (as .NET's does) are understood: the signature is over the decoded bytes."""
    raw = dsse.sign(KEY, b"\xfb\xff\xbe" * 10).replace(b"+", b"\\u002B").replace(b"/", b"\\/")
    assert b"\\u002B" in raw
    assert dsse.decode(raw).payload == b"\xfb\xff\xbe" * 10


def envelope(**changes: object) -> bytes:
    """The JSON of a good envelope with some of its fields changed."""
    return msgspec.json.encode({**msgspec.json.decode(dsse.sign(KEY, b"hi")), **changes})


SIGNATURE = {"keyid": KEY.public.keyid, "sig": base64.b64encode(bytes(64)).decode()}


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "truncated"),
        (b"{", "truncated"),
        (b"[]", "Expected `object`"),
        (b"\xff\xfe{\x00}\x00", "malformed"),
        (b'{"payload":"\xff"}', "utf-8"),
        (envelope(payload="a!=="), "`payload`"),
        (envelope(payload="aGk"), "`payload`"),
        (envelope(payload="aGl="), "canonical spelling"),
        (envelope(payload=1), r"\$\.payload"),
        (envelope(extra=1), "unknown field `extra`"),
        (envelope(payloadType="text/plain"), "`payloadType` must be"),
        (envelope(signatures=[]), r"\$\.signatures"),
        (envelope(signatures=[SIGNATURE] * 5), r"\$\.signatures"),
        (envelope(signatures=[SIGNATURE, {**SIGNATURE, "sig": "?"}]), r"`signatures\[1\]\.sig`"),
        (envelope(signatures=[{**SIGNATURE, "keyid": "k" * 129}]), r"\$\.signatures\[0\]\.keyid"),
    ],
)
def test_a_malformed_envelope_is_refused_naming_the_field(raw: bytes, said: str) -> None:
    """Each kind of damage is one error with a reason and the place of the damage."""
    with pytest.raises(IdentityError, match=said) as caught:
        dsse.decode(raw)
    assert caught.value.reason == "malformed_envelope"


@given(st.binary(max_size=200))
def test_arbitrary_bytes_only_raise_our_error(raw: bytes) -> None:
    """No input makes the decoder fail in another way."""
    with pytest.raises(IdentityError):
        dsse.decode(raw)


@pytest.mark.parametrize("sig", ["", "?", base64.b64encode(bytes(63)).decode(), base64.b64encode(bytes(64)).decode()])
def test_a_signature_of_another_form_does_not_verify(sig: str) -> None:
    """Bad base64 and other lengths are a signature that does not hold, not an exception."""
    assert not dsse.verify(KEY.public, sig, b"hi")


def test_several_signatures_travel_in_order() -> None:
    """An envelope carries what others signed, in the order it was given."""
    other = SigningKey.generate()
    made = [dsse.signature(key, b"hi") for key in (KEY, other)]
    opened = dsse.decode(dsse.wrap(b"hi", PAYLOAD_TYPE, *made))
    assert list(opened.signatures) == made


def test_the_envelope_is_the_models() -> None:
    """What is written decodes as `spectra.model.envelope.Envelope`."""
    read = msgspec.json.decode(dsse.sign(KEY, b"hi"), type=Envelope)
    assert isinstance(read.signatures[0], Signature)
