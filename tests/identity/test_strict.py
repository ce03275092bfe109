"""One spelling per value."""

from __future__ import annotations

import base64
import contextlib
import re
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.identity import strict
from spectra.identity.errors import IdentityError

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@given(st.binary(max_size=100))
def test_canonical_base64_is_read(data: bytes) -> None:
    """What the standard library writes is read back."""
    assert strict.unbase64(base64.b64encode(data).decode(), field="f", reason="r") == data


@given(st.text(alphabet="AQgw+/-_=Y \n\u00e9", max_size=12))
def test_there_is_one_spelling_of_base64(text: str) -> None:
    """Whatever text is accepted is exactly what encoding the result gives: no second spelling exists."""
    with contextlib.suppress(IdentityError):
        data = strict.unbase64(text, field="f", reason="r")
        assert base64.b64encode(data).decode() == text


@pytest.mark.parametrize("text", ["YQ", "YR==", "YQ==\n", " YQ==", "YWFh====", "YW-_", "YQ==YQ=="])
def test_other_spellings_of_base64_are_refused(text: str) -> None:
    """Missing or surplus padding, spare bits, white space and the URL-safe alphabet are refused."""
    with pytest.raises(IdentityError, match="`f` is") as caught:
        strict.unbase64(text, field="f", reason="r")
    assert caught.value.reason == "r"


@pytest.mark.parametrize(("value", "raw"), [(1e400, b"inf"), ("\ud800", b"")])
def test_what_cannot_be_written_is_not_canonical(value: object, raw: bytes) -> None:
    """A value that has no JSON form is answered as not canonical."""
    with pytest.raises(IdentityError) as caught:
        strict.require_canonical(value, raw, what="thing")
    assert caught.value.reason == "not_canonical"


def test_what_a_stranger_sent_is_told_short_and_plain() -> None:
    """A decoder that quotes a stranger's field name cannot be used to flood a log or drive a terminal."""
    raw = msgspec.json.encode({"\x1b[31m" + "x" * 10_000: 1})
    with pytest.raises(IdentityError) as caught:
        strict.parse(msgspec.json.Decoder(strict_struct()), raw, what="thing", reason="r")
    assert "\x1b" not in caught.value.message
    assert "\\x1b" in caught.value.message
    assert len(caught.value.message) < 300


def strict_struct() -> type[msgspec.Struct]:
    """A struct without fields that forbids all others."""
    return msgspec.defstruct("Nothing", [], forbid_unknown_fields=True)


def test_deep_nesting_is_an_error_like_any_other() -> None:
    """A hundred thousand brackets end in an `IdentityError`, not in a `RecursionError`."""
    loose = msgspec.defstruct("Loose", [])
    with pytest.raises(IdentityError):
        strict.parse(msgspec.json.Decoder(loose), b'{"a":' + b"[" * 100_000, what="thing", reason="r")


@pytest.mark.parametrize(
    ("age_s", "reason"), [(0, None), (60, None), (60.5, "expired"), (-10, None), (-10.5, "from_the_future")]
)
def test_the_clock_window_is_inclusive(age_s: float, reason: str | None) -> None:
    """Exactly as old, or as far ahead, as allowed passes; a moment more does not."""
    issued = NOW - timedelta(seconds=age_s)
    if reason is None:
        strict.require_timely(issued, now=NOW, max_age_s=60, max_ahead_s=10)
        return
    with pytest.raises(IdentityError) as caught:
        strict.require_timely(issued, now=NOW, max_age_s=60, max_ahead_s=10)
    assert caught.value.reason == reason


@pytest.mark.parametrize("moment", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_the_ends_of_time_do_not_overflow(moment: datetime) -> None:
    """The first and last moments that can be written are judged like any other."""
    with pytest.raises(IdentityError):
        strict.require_timely(moment, now=NOW, max_age_s=60, max_ahead_s=10)


def test_times_are_taken_to_utc_and_never_guessed() -> None:
    """An offset is converted, a naive time is refused."""
    paris = datetime(2026, 11, 21, 13, tzinfo=timezone(timedelta(hours=1)))
    assert strict.to_utc(paris, field="now").isoformat() == "2026-11-21T12:00:00+00:00"
    with pytest.raises(IdentityError, match="`now` has no time zone"):
        strict.to_utc(paris.replace(tzinfo=None), field="now")


@pytest.mark.parametrize("character", ["\x00", "\n", "\x1b", "\x7f", "\x9b"])
def test_control_characters_are_refused(character: str) -> None:
    """NUL (not storable), line feed (forges log lines) and both escape introducers are refused."""
    with pytest.raises(IdentityError, match="`tool` holds a control character"):
        strict.require_plain(f"nmap{character}", field="tool")


def test_letters_of_the_world_are_plain() -> None:
    """Only control characters are refused, not letters."""
    strict.require_plain("Zoë 扫描 🔍", field="tool")


@given(st.binary(max_size=100))
def test_url_safe_base64_without_padding_is_read(data: bytes) -> None:
    """As RFC 7515 writes it."""
    text = base64.urlsafe_b64encode(data).decode().rstrip("=")
    assert strict.unbase64url(text, message="no", reason="bad_token") == data


@pytest.mark.parametrize("text", ["a", "a b0", "abcde"])
def test_other_spellings_are_refused_in_the_callers_words(text: str) -> None:
    """The message and the reason are those of what was read."""
    with pytest.raises(IdentityError, match="not a coin") as caught:
        strict.unbase64url(text, message="this is not a coin.", reason="bad_token")
    assert caught.value.reason == "bad_token"


@pytest.mark.parametrize("token", ["e30.e30.", "e30.e30", "e30.e30.xx", "e3.a.ss", "e30" * 40 + ".e30.ss"])
def test_tokens_of_another_form_or_length_are_none(token: str) -> None:
    """The form is the caller's; its groups are header and claims."""
    form = re.compile(r"([a-z0-9]+)\.([a-z0-9]+)\.(?:ss)")
    assert strict.token_parts("e30.e30.ss", form, 100, reason="bad_token") == (b"{}", b"{}")
    with pytest.raises(IdentityError, match="not a token"):
        strict.token_parts(token, form, 100, reason="bad_token")
