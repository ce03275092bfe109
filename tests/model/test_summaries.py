"""A target names its record, and what is asked for is bounded."""

from __future__ import annotations

import msgspec
import pytest

from spectra.model.summaries import MAX_QUESTION, SummaryRequest, Target


def test_the_record_of_a_target() -> None:
    """As it is cited."""
    records = [Target("ip", "192.0.2.1").record, Target("host", "a.example").record, Target("query", "port:22").record]
    assert records == ["host:192.0.2.1", "name:a.example", "query:port:22"]


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "net", "target": "x"},
        {"kind": "ip", "target": ""},
        {"kind": "ip", "target": "x", "question": "y" * (MAX_QUESTION + 1)},
        {"kind": "ip", "target": "x", "more": 1},
        {"kind": "ip"},
    ],
)
def test_what_may_not_be_asked(body: dict[str, object]) -> None:
    """Is refused as it is read."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(body), type=SummaryRequest)
