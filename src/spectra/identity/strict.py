"""The strict reading that everything signed goes through: one spelling per value, or an error that names the field."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import msgspec

from spectra.identity.errors import IdentityError
from spectra.model.envelope import canonical

T = TypeVar("T")

_NOT_ONE = "this is not a token."
_MAX_TOLD = 200  # characters of a decoder's message that are passed on: it quotes what a stranger sent


def told(error: Exception) -> str:
    """The message of a decoder's error, cut to 200 characters and with control characters escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(error)[:_MAX_TOLD])


def parse(decoder: msgspec.json.Decoder[T], raw: bytes, *, what: str, reason: str) -> T:
    """`raw` as the decoder's type. Raises `IdentityError(reason)` with the path of the field that is wrong."""
    try:
        return decoder.decode(raw)
    except (ValueError, RecursionError, OverflowError) as error:
        raise IdentityError(f"the {what} is malformed: {told(error)}.", reason=reason) from error


def unbase64(text: str, *, field: str, reason: str) -> bytes:
    """RFC 4648 section 4 base64 in its one canonical spelling: padded, no white space, spare bits zero.

    msgspec's decoder is twice as fast as `binascii`'s. It accepts non-zero spare bits (RFC 4648 section 3.5), by which
    the same bytes could be spelled in several ways; the length and the last group are therefore compared again.
    """
    try:
        data = msgspec.convert(text, bytes)
    except ValueError as error:
        raise IdentityError(f"`{field}` is not base64: {told(error)}.", reason=reason) from error
    groups = (len(data) + 2) // 3
    last = base64.b64encode(data[(groups - 1) * 3 :]).decode("ascii") if groups else ""
    if len(text) != groups * 4 or not text.endswith(last):
        raise IdentityError(f"`{field}` is base64, but not in its canonical spelling.", reason=reason)
    return data


def unbase64url(text: str, *, message: str, reason: str) -> bytes:
    """URL-safe base64 without padding (RFC 7515 section 2), as tokens are made of."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError as error:
        raise IdentityError(message, reason=reason) from error


def token_parts(token: str, form: re.Pattern[str], limit: int, *, reason: str) -> tuple[bytes, bytes]:
    """Header and claims of a JSON Web Token, the two groups of `form`: decoded from base64 and not verified."""
    found = form.fullmatch(token) if len(token) <= limit else None
    if found is None:
        raise IdentityError(_NOT_ONE, reason=reason)
    header, body = (unbase64url(part, message=_NOT_ONE, reason=reason) for part in found.groups())
    return header, body


def require_utc(value: datetime | None, *, field: str, reason: str = "malformed_payload") -> None:
    """Raises unless the time is UTC: one moment has one spelling, and no later stage can overflow converting it."""
    if value is not None and value.utcoffset() != timedelta(0):
        raise IdentityError(f"`{field}` must be in UTC and say so (end in Z).", reason=reason)


def require_plain(value: str, *, field: str, reason: str = "malformed_payload") -> None:
    """Raises where text holds C0 or C1 control characters: they forge log lines and drive terminals, and PostgreSQL's
    text has no NUL.
    """
    if any(c < " " or "\x7f" <= c <= "\x9f" for c in value):
        raise IdentityError(f"`{field}` holds a control character.", reason=reason)


def require_canonical(value: object, raw: bytes, *, what: str) -> None:
    """Raises `not_canonical` unless `raw` is the canonical JSON of `value`, so that its SHA-256 names the content."""
    try:
        same = canonical(value) == raw
    except (OverflowError, ValueError):  # what cannot be written again was not canonical
        same = False
    if not same:
        raise IdentityError(
            f"the {what} is not canonical JSON (keys sorted, no white space, each key once, times as RFC 3339 in UTC).",
            reason="not_canonical",
        )


def require_timely(issued: datetime, *, now: datetime, max_age_s: float, max_ahead_s: float) -> None:
    """Raises `expired` or `from_the_future` unless now - max_age_s <= issued <= now + max_ahead_s."""
    ahead = (issued - now).total_seconds()
    if ahead < -max_age_s:
        raise IdentityError(
            f"this was signed {-ahead:.0f} s ago, longer than the {max_age_s:.0f} s allowed; sign it again.",
            reason="expired",
        )
    if ahead > max_ahead_s:
        raise IdentityError(
            f"this claims to be signed {ahead:.0f} s in the future; set this machine's clock and sign it again.",
            reason="from_the_future",
        )


def to_utc(value: datetime, *, field: str) -> datetime:
    """The same moment in UTC. Raises `IdentityError` for a time without zone: guessing one would falsify history."""
    if value.utcoffset() is None:
        raise IdentityError(f"`{field}` has no time zone; give one, such as UTC.")
    return value.astimezone(UTC)
