"""step-ca's JSON: times as Go writes them, serial numbers in two spellings, errors in its shape."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from spectra.api.certificates import SignRequest, period, serial_of, step_error, step_status
from spectra.errors import BadRequest, SpectraError, Unavailable
from spectra.identity.errors import IdentityError

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


def asked(**times: str | None) -> SignRequest:
    """A request with these times."""
    return msgspec.convert({"csr": "x", "ott": "y", "templateData": {"later": 1}, **times}, SignRequest)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        (None, None),
        ("24h", NOW + timedelta(hours=24)),
        ("24h0m0s", NOW + timedelta(hours=24)),
        ("1m30s", NOW + timedelta(seconds=90)),
        ("1.5s", NOW + timedelta(seconds=1.5)),
        ("-5m0s", NOW - timedelta(minutes=5)),
        ("250ms", NOW + timedelta(seconds=0.25)),
        ("2026-11-28T00:00:00Z", NOW + timedelta(hours=12)),
        ("2026-11-28T01:00:00.5+01:00", NOW + timedelta(hours=12, seconds=0.5)),
    ],
)
def test_times_are_read_as_step_writes_them(text: str | None, expected: datetime | None) -> None:
    """RFC 3339, or a duration from now; nothing said is nothing asked."""
    assert period(asked(notAfter=text), NOW) == (None, expected)
    assert period(asked(notBefore=text), NOW) == (expected, None)


def test_a_duration_until_the_end_counts_from_the_begin() -> None:
    """As in step-ca."""
    begin = NOW - timedelta(minutes=5)
    assert period(asked(notBefore="-5m", notAfter="1h"), NOW) == (begin, begin + timedelta(hours=1))


@pytest.mark.parametrize(
    "text", ["tomorrow", "24", "--1h", "1h-5m", "1h-", "2026-11-28T00:00:00", "h", "1d", "9" * 60 + "h"]
)
def test_other_times_are_refused(text: str) -> None:
    """A local time says nothing."""
    with pytest.raises(BadRequest, match="notAfter"):
        period(asked(notAfter=text), NOW)


@pytest.mark.parametrize(("text", "serial"), [("12", "12"), ("0x10", "16"), ("0XfF", "255"), ("0", "0")])
def test_serial_numbers_come_in_decimal_or_hex(text: str, serial: str) -> None:
    """`step` prints either."""
    assert serial_of(text) == serial


@pytest.mark.parametrize("text", ["", "x", "-1", "0x", "1.0", "0b1"])
def test_what_is_no_serial_number(text: str) -> None:
    """Names the field."""
    with pytest.raises(BadRequest) as caught:
        serial_of(text)
    assert caught.value.field == "serial"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (IdentityError("no", reason="bad_token"), 401),
        (BadRequest("no", reason="token_used"), 401),
        (BadRequest("no", reason="revoked"), 403),
        (IdentityError("no", reason="bad_csr"), 400),
        (BadRequest("no", reason="name_taken"), 409),
        (Unavailable("no"), 503),
    ],
)
def test_errors_have_the_shape_that_step_shows(error: SpectraError, status: int) -> None:
    """`status` and `message` for step's clients, `reason` for ours."""
    answer = step_error(error)
    body = msgspec.json.decode(bytes(answer.body))
    assert (answer.status_code, step_status(error)) == (status, status)
    assert body == {"status": status, "message": "no", "reason": error.reason}
    assert ("retry-after" in answer.headers) == error.retryable
