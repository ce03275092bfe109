"""Codes that people type: the vectors of RFC 6238, and that they are taken however they are typed."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectra.identity import codes

RFC_SECRET = base64.b32encode(b"12345678901234567890").decode()


@pytest.mark.parametrize(
    ("at", "code"), [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")]
)
def test_the_vectors_of_the_rfc(at: int, code: str) -> None:
    """RFC 6238 appendix B, SHA-1, its last six digits."""
    assert codes.totp_step(RFC_SECRET, code, datetime.fromtimestamp(at, UTC)) == at // 30


def test_a_code_is_taken_one_step_early_or_late_and_no_more() -> None:
    """And however it is spaced; what is no code of six digits is none."""
    at = datetime.fromtimestamp(1111111109, UTC)
    for steps, taken in ((-2, False), (-1, True), (0, True), (1, True), (2, False)):
        found = codes.totp_step(RFC_SECRET, "081 804", at + timedelta(seconds=30 * steps))
        assert found == (1111111109 // 30 if taken else None)
    for wrong in ("", "81804", "0818045", "08180a", "٠٨١٨٠٤"):
        assert codes.totp_step(RFC_SECRET, wrong, at) is None


def test_the_uri_for_apps() -> None:
    """It names us and the account, whatever is in its name, and carries the secret."""
    secret = codes.new_totp_secret()
    uri = urlsplit(codes.totp_uri(secret, account="a&b/?#=%", issuer="Spectra"))
    assert (uri.scheme, uri.netloc, uri.fragment) == ("otpauth", "totp", "")
    assert uri.path == "/Spectra%3Aa%26b/%3F%23%3D%25"
    assert parse_qs(uri.query) == {"secret": [secret], "issuer": ["Spectra"], "period": ["30"], "digits": ["6"]}
    assert len(base64.b32decode(secret)) == 20


def test_recovery_codes() -> None:
    """Ten that differ; one is known however it is typed, by its own account alone."""
    made = codes.new_recovery_codes()
    assert len(set(made)) == codes.RECOVERY_CODES
    digests = {codes.recovery_digest("alice", code) for code in made}
    assert len(digests) == len(made)
    typed = f"  {made[0].upper().replace('-', ' ')}\n"
    assert codes.recovery_digest("alice", typed) == codes.recovery_digest("alice", made[0])
    assert codes.recovery_digest("bob", made[0]) != codes.recovery_digest("alice", made[0])
    assert codes.recovery_digest("alice", made[0][:-1]) is None


@settings(max_examples=50)
@given(st.text(max_size=24))
def test_what_is_typed_never_breaks_anything(text: str) -> None:
    """Any text is a code of the right shape or none."""
    assert codes.user_code(text) == "" or len(codes.user_code(text)) == 9
    digest = codes.recovery_digest("alice", text)
    assert digest is None or len(digest) == 32


def test_user_codes() -> None:
    """Letters that make no words and look like no others, taken in either case and with or without the dash."""
    made = codes.new_user_code()
    assert codes.user_code(made) == codes.user_code(made.lower().replace("-", " ")) == made
    assert not set(made) & set("AEIOUY01")
    assert codes.user_code(made.replace(made[0], "A")) == ""
