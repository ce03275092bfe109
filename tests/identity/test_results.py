"""Results as machines sign them, and the bundles they travel in: one spelling each, or an error."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from spectra.identity import dsse, results
from spectra.identity.errors import IdentityError
from spectra.identity.keys import SigningKey
from spectra.model.envelope import canonical, sha256_hex
from spectra.model.results import RESULT_TYPE, ArtefactClaim, Result
from spectra.model.work import Loss, Stats

NOON = datetime(2027, 1, 1, 12, tzinfo=UTC)
KEY = SigningKey.generate()
SEEN = "a" * 64


def build(**said: Any) -> Result:
    """A result of a scan that saw something."""
    fields: dict[str, Any] = {
        "lease": "0" * 32,
        "target": 1,
        "attempt": 1,
        "node": "w1",
        "outcome": "done",
        "now": NOON,
        "tool": "nmap",
        "observations": [SEEN],
    }
    return results.build(**(fields | said))


def refused(reason: str, words: str = "") -> pytest.RaisesExc[IdentityError]:
    """Asserts that something is refused for this reason, in these words among others."""
    return pytest.raises(IdentityError, check=lambda error: error.reason == reason and words in error.message)


def test_what_is_signed_is_read_back() -> None:
    """With what the attempt took, fractions included; times are told in UTC."""
    loss = Loss("socks5://r", "direct", 10, 3, ("192.0.2.0/24",), 1)
    stats = Stats(found=3, probes=1000, cpu_s=0.123456789, memory_mb=30, output_bytes=99, loss=loss)
    here = NOON.astimezone(timezone(timedelta(hours=2)))
    result = build(stats=stats, now=here, started=here - timedelta(seconds=5), message="two\nlines")
    opened = results.open_result(results.sign(KEY, result))
    assert results.verify(opened, KEY.public) == result
    assert (result.issued, result.finished, len(result.nonce)) == (NOON, NOON, 32)
    assert build().nonce != build().nonce


def test_a_bundle_holds_what_was_put_into_it() -> None:
    """Envelopes byte for byte, files compressed, and equal files once."""
    claim, file = results.artefact("log", "scan.log", "text/plain", b"line\n" * 100)
    same = results.artefact("raw", "scan.xml", "application/xml", b"line\n" * 100)
    signed, observation = results.sign(KEY, build()), dsse.sign(KEY, b"{}")
    opened = results.open_bundle(results.bundle(signed, [observation], [file, same[1]]))
    assert (bytes(opened.result), [bytes(one) for one in opened.observations]) == (signed, [observation])
    assert (opened.artefacts, claim.sha256) == ((file,), sha256_hex(b"line\n" * 100))
    assert zstandard.ZstdDecompressor().decompress(file.data) == b"line\n" * 100


@pytest.mark.parametrize(
    "said",
    [
        {"lease": "x"},
        {"lease": "0" * 32 + "\n"},
        {"node": "No Node"},
        {"outcome": "won"},
        {"nonce": "short"},
        {"nonce": "n" * 32 + "\n"},
        {"observations": ["no hash"]},
        {"observations": [SEEN + "\n"]},
        {"observations": [SEEN, SEEN]},
        {"observations": [f"{n:064x}" for n in range(9)]},
        {"tool": "nm\x00ap"},
        {"message": "bell \x07"},
        {"message": "x" * 2001},
        {"artefacts": [ArtefactClaim("log", "../passwd", "text/plain", SEEN, 1)]},
        {"artefacts": [ArtefactClaim("log", "a", "text/plain", SEEN, -1)]},
        {"artefacts": [ArtefactClaim("log", "a", "text/plain", SEEN, 1)] * 2},
    ],
)
def test_no_result_is_built_that_would_be_refused(said: dict[str, Any]) -> None:
    """Names, hashes, lengths, control characters, and what is named twice."""
    with refused("malformed_payload"):
        build(**said)


def test_a_time_without_a_zone_is_none() -> None:
    """Guessing one would falsify when something was seen."""
    with refused("identity", "time zone"):
        build(now=datetime(2027, 1, 1))  # noqa: DTZ001


def test_only_its_own_key_verifies_it() -> None:
    """Nor does a signature over another type of payload count."""
    result = build()
    opened = results.open_result(results.sign(KEY, result))
    with refused("bad_signature"):
        results.verify(opened, SigningKey.generate().public)
    foreign = dsse.wrap(canonical(result), RESULT_TYPE, dsse.signature(KEY, canonical(result)))
    with refused("bad_signature"):
        results.verify(results.open_result(foreign), KEY.public)
    with refused("malformed_envelope", RESULT_TYPE):
        results.open_result(dsse.sign(KEY, canonical(result)))


def test_a_result_has_one_signature_and_a_bounded_size() -> None:
    """A second signature would be one that nobody checked."""
    raw = canonical(build())
    twice = dsse.wrap(raw, RESULT_TYPE, *[dsse.signature(KEY, raw, RESULT_TYPE)] * 2)
    with refused("malformed_envelope", "one signature"):
        results.open_result(twice)
    with refused("malformed_envelope", "at most"):
        results.open_result(b" " * (results.MAX_RESULT_BYTES + 1))


def test_a_result_has_one_spelling() -> None:
    """Other white space, another order of keys, unknown keys: refused."""
    raw = canonical(build())
    assert raw.startswith(b'{"artefacts":[],')
    moved = raw.replace(b'{"artefacts":[],', b"{")[:-1] + b',"artefacts":[]}'
    for other in (raw + b" ", moved):
        with refused("not_canonical"):
            results.decode(other)
    with refused("not_canonical"):
        results.decode(raw.replace(b'"stats":{}', b'"stats":{"surprise":1}'))
    with refused("malformed_payload", "surprise"):
        results.decode(raw.replace(b'{"artefacts"', b'{"surprise":1,"artefacts"'))
    with refused("malformed_payload", "UTC"):
        results.decode(raw.replace(b"2027-01-01T12:00:00Z", b"2027-01-01T12:00:00+01:00"))


@given(st.binary(max_size=200))
def test_anything_else_is_no_bundle(raw: bytes) -> None:
    """It is refused, and nothing but that."""
    with refused("malformed_bundle"):
        results.open_bundle(raw)


@given(st.binary(min_size=1, max_size=200))
def test_anything_else_is_no_result(raw: bytes) -> None:
    """Also inside an envelope that is one."""
    signed = dsse.sign(KEY, raw, RESULT_TYPE)
    assert base64.b64encode(raw) in signed
    with pytest.raises(IdentityError):
        results.verify(results.open_result(signed), KEY.public)
