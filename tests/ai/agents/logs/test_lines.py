"""Lines and times of logs: bounded, and none of them raises anything but what is said."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.ai.agents.logs import crowdsec, dns, iptables, lines
from spectra.errors import BadRequest

NOW = datetime(2027, 1, 2, tzinfo=UTC)


def test_lines_are_bounded() -> None:
    """In length each, in number and in bytes all."""
    assert list(lines.numbered(b"a\n\n b \n" + b"x" * 5000)) == [(1, "a"), (3, "b"), (4, "\0")]
    with pytest.raises(BadRequest, match="lines"):
        list(lines.numbered(b"\n" * (lines.MAX_LINES + 1)))
    with pytest.raises(BadRequest, match="bytes"):
        list(lines.numbered(b"x" * (lines.MAX_BYTES + 1)))


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("Jan  1 10:00:00 host x", datetime(2027, 1, 1, 10, tzinfo=UTC)),
        ("Dec 31 23:59:60 host x", datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("Feb 29 10:00:00 x", None),
        ("Foo 12 10:00:00 x", None),
        ("Jan 12 25:00:00 x", None),
    ],
)
def test_the_year_is_the_newest_that_is_not_ahead(text: str, at: datetime | None) -> None:
    """Syslog leaves it out; what is no time is none."""
    assert lines.syslog_time(text, NOW) == at


def test_other_times_and_addresses() -> None:
    """In UTC where nothing is said; IPv4 within IPv6 is IPv4."""
    assert lines.iso_time("2027-01-01T01:00:00+01:00") == lines.iso_time("2027-01-01 00:00:00")
    assert lines.unix_time("1606523570") == datetime(2020, 11, 28, 0, 32, 50, tzinfo=UTC)
    assert lines.unix_time("9e99") is lines.iso_time("x") is None
    assert lines.address("[::ffff:192.0.2.1]") == "192.0.2.1"
    assert lines.address("fe80::1%eth0") == "fe80::1"
    assert lines.address("192.0.2.300") == ""


@given(st.binary(max_size=400))
def test_whatever_is_sent_is_read_or_refused(raw: bytes) -> None:
    """No reader raises anything else."""
    for reader in (crowdsec.read, dns.read, iptables.read):
        with suppress(BadRequest):
            reader(raw, NOW)
