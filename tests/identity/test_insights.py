"""Statements of insights: one spelling each, or an error that names the field."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from spectra.identity import insights
from spectra.identity.errors import IdentityError
from spectra.identity.keys import SigningKey
from spectra.model.envelope import canonical
from spectra.model.insights import INSIGHTS_TYPE, Source
from tests.support.insights import NOON, sample

KEY = SigningKey.generate()


def refused(reason: str, words: str = "") -> pytest.RaisesExc[IdentityError]:
    """Asserts that something is refused for this reason, in these words among others."""
    return pytest.raises(IdentityError, check=lambda error: error.reason == reason and words in error.message)


def test_what_is_signed_is_read_back() -> None:
    """With its sources; the envelope says what it holds."""
    source = Source("https://www.example.org/", "a" * 64, NOON, 10, "text/html")
    statement = insights.build(agent="network-anomaly", insights=[sample(sources=[source])], now=NOON, read="b" * 64)
    opened = insights.open_statement(insights.sign(KEY, statement))
    assert insights.decode(opened.payload) == statement
    assert opened.payload_type == INSIGHTS_TYPE


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"id": "0" * 64}, "is not of what it says"),
        ({"agent": "dns-guard"}, "agent"),
        ({"note": "said"}, "belong together"),
        ({"what": "a\x1bb"}, "control character"),
        ({"subjects": ("host:\x00",)}, ""),
        ({"score": 101}, "score"),
        ({"at": NOON.replace(tzinfo=None)}, "UTC"),
    ],
)
def test_what_does_not_hold_is_refused(changed: dict[str, Any], words: str) -> None:
    """Each field, by its name; whoever builds a statement meets the same rules as who reads one."""
    with refused("malformed_payload", words):
        insights.build(agent="network-anomaly", insights=[msgspec.structs.replace(sample(), **changed)], now=NOON)


def test_one_twice_and_other_spellings() -> None:
    """An insight is there once, and a statement has one spelling."""
    with refused("malformed_payload", "twice"):
        insights.build(agent="network-anomaly", insights=[sample(), sample(score=3)], now=NOON)
    raw = canonical(insights.build(agent="network-anomaly", insights=[sample()], now=NOON))
    with refused("not_canonical"):
        insights.decode(raw.replace(b'{"agent"', b'{ "agent"', 1))


def test_an_envelope_has_one_signature() -> None:
    """Of more, who is meant would be a guess."""
    raw = insights.sign(KEY, insights.build(agent="dns-guard", insights=[], now=NOON))
    told = msgspec.json.decode(raw)
    told["signatures"] *= 2
    with refused("malformed_envelope", "exactly one"):
        insights.open_statement(msgspec.json.encode(told))
