"""Selectors: what was given, as fields of the query language."""

from __future__ import annotations

import msgspec
import pytest

from spectra.model.plans import PlanRequest, Selectors


def test_only_what_was_given_selects() -> None:
    """Numbers are text, and what is no field of the language stays out."""
    raw = b'{"q": "since:7d", "asn": 3215, "city": "Paris", "common_port": 6379, "min_age": "5m", "limit": 10}'
    request = msgspec.json.decode(raw, type=PlanRequest)
    assert request.selectors == Selectors(q="since:7d", asn=3215, city="Paris", common_port=6379)
    assert request.selectors.filters == {"asn": "3215", "city": "Paris"}


@pytest.mark.parametrize("raw", [b'{"town": "Paris"}', b'{"limit": 0}', b'{"limit": 10001}', b'{"port": -1}', b"[]"])
def test_what_is_no_request(raw: bytes) -> None:
    """A selector that there is not is refused: it would plan the whole mesh."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(raw, type=PlanRequest)
