"""The gate of insights: what a coordinator signed comes in, and nothing else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from spectra.identity import dsse, insights
from spectra.identity.errors import IdentityError
from spectra.identity.keys import SigningKey
from spectra.ingest import insights as gate
from spectra.ingest.gate import Reason, Rejected
from spectra.model.envelope import canonical, sha256_hex
from spectra.model.insights import CONTRIBUTOR, INSIGHTS_TYPE
from spectra.model.records import KeyRecord
from tests.support.insights import NOON, sample

KEY = SigningKey.generate()


class Known:
    """Knows one key."""

    def __init__(self, **said: Any) -> None:
        fields: dict[str, Any] = {
            "keyid": KEY.public.keyid,
            "contributor": CONTRIBUTOR,
            "role": "module",
            "public_key": KEY.public.b64,
            "status": "active",
            "created": NOON,
        }
        self._record = KeyRecord(**(fields | said))

    def key(self, keyid: str) -> KeyRecord | None:
        """The one."""
        return self._record if keyid == self._record.keyid else None


def signed(key: SigningKey = KEY) -> bytes:
    """A statement."""
    return insights.sign(key, insights.build(agent="network-anomaly", insights=[sample()], now=NOON))


def refused(reason: Reason) -> pytest.RaisesExc[Rejected]:
    """Asserts that something is refused for this reason."""
    return pytest.raises(Rejected, check=lambda error: error.reason == reason)


def test_what_a_coordinator_signed_comes_in() -> None:
    """With the bytes that were signed and their hash."""
    verified = gate.verify(signed(), now=NOON, keys=Known())
    assert verified.statement.insights == (sample(),)
    assert sha256_hex(verified.payload.encode()) == verified.sha256
    assert (verified.key.contributor, verified.received) == (CONTRIBUTOR, NOON)
    assert verified.sha256 in repr(verified)


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        (Known(contributor="alice"), Reason.IMPOSTOR),
        (Known(contributor="local-admin", role="admin"), Reason.IMPOSTOR),
        (Known(status="revoked"), Reason.KEY_REVOKED),
        (Known(keyid="0" * 64), Reason.UNKNOWN_KEY),
    ],
)
def test_other_keys_do_not_bring_insights(known: Known, reason: Reason) -> None:
    """Not a contributor's, nor an admin's, nor one that was revoked or never registered."""
    with refused(reason):
        gate.verify(signed(), now=NOON, keys=known)


def test_what_was_changed_or_is_old_is_refused() -> None:
    """A byte of the payload, another type of payload, the clock, and the size."""
    told = msgspec.json.decode(signed())
    payload = canonical(insights.build(agent="network-anomaly", insights=[sample(score=1)], now=NOON))
    told["payload"] = msgspec.json.decode(dsse.sign(KEY, payload, INSIGHTS_TYPE))["payload"]
    with refused(Reason.BAD_SIGNATURE):
        gate.verify(msgspec.json.encode(told), now=NOON, keys=Known())
    with refused(Reason.MALFORMED_ENVELOPE):
        gate.verify(dsse.sign(KEY, payload), now=NOON, keys=Known())
    with refused(Reason.EXPIRED):
        gate.verify(signed(), now=NOON + timedelta(hours=1), keys=Known())
    with refused(Reason.FROM_THE_FUTURE):
        gate.verify(signed(), now=NOON - timedelta(hours=1), keys=Known())
    with refused(Reason.ENVELOPE_TOO_LARGE):
        gate.verify(b"x" * (insights.MAX_STATEMENT_BYTES + 1), now=NOON, keys=Known())


def test_only_the_gate_says_that_a_statement_is_verified() -> None:
    """Nobody builds the type."""
    verified = gate.verify(signed(), now=NOON, keys=Known())
    with pytest.raises(IdentityError, match="only the gate"):
        gate.VerifiedInsights(
            statement=verified.statement,
            payload="",
            sha256="",
            key=verified.key,
            signature="",
            received=NOON,
            sealed_by=object(),
        )
