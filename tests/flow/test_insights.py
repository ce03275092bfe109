"""Insights are kept by the gate alone: signed by this node, once, with an entry that the walk of the chain reads."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from spectra.errors import BadRequest
from spectra.flow import audit
from spectra.flow.insights import Insights
from spectra.identity import insights as statements
from spectra.identity.keys import SigningKey
from spectra.ingest.gate import Rejected
from spectra.model.insights import CONTRIBUTOR, MAX_INSIGHTS
from spectra.store import insights, keys
from spectra.store.accounts import Act
from spectra.store.blobs import BlobStore
from spectra.store.database import Database
from spectra.store.insights import Wanted
from tests.flow.desk import Clock, rows
from tests.support.insights import sample

pytestmark = pytest.mark.engine


@pytest.fixture
def kept(database: Database, tmp_path: Path, clock: Clock) -> Insights:
    """The door of one coordinator."""
    return Insights(database, tmp_path, clock=clock)


def test_what_agents_conclude_is_signed_and_kept(
    kept: Insights, database: Database, blobs: BlobStore, clock: Clock
) -> None:
    """In one transaction with one entry; the chain holds, deep too. Nothing is written where there is nothing."""
    first = kept.keep("network-anomaly", [sample(), sample("192.0.2.8")], read="a" * 64)
    assert len(first.new) == 2
    assert not first.duplicate
    entries = "SELECT kind, subject FROM provenance WHERE starts_with(kind, 'insight')"
    assert rows(database, entries) == [("insights.kept", f"insights:{first.statement}")]
    assert kept.keep("network-anomaly", []).statement == ""
    clock.advance(timedelta(days=1))
    second = kept.keep("network-anomaly", [sample(score=90)])
    assert (second.new, second.again) == ((), (sample().id,))
    record = insights.get(database, sample().id)
    assert (record.insight.score, record.times, record.last_seen) == (90, 2, clock())
    assert audit.verify(database, blobs, deep=True).ok


def test_the_same_statement_is_kept_once(kept: Insights, database: Database, tmp_path: Path, clock: Clock) -> None:
    """Its bytes name it; another coordinator with a key of its own brings its own."""
    key = kept.signing_key
    raw = statements.sign(key, statements.build(agent="network-anomaly", insights=[sample()], now=clock()))
    first, again = kept.take(raw), kept.take(raw)
    assert (first.duplicate, again.duplicate, first.statement) == (False, True, again.statement)
    assert [one.times for one in again.insights] == [1]
    other = Insights(database, tmp_path / "other", clock=clock)
    clock.advance(timedelta(seconds=1))
    assert other.keep("network-anomaly", [sample()]).again == (sample().id,)
    assert {key.contributor for key in keys.every(database)} == {CONTRIBUTOR}


def test_strangers_and_revoked_keys_bring_nothing(
    kept: Insights, database: Database, tmp_path: Path, clock: Clock
) -> None:
    """A key that nobody registered; and after a revocation the next start makes another key."""
    stranger = SigningKey.generate()
    statement = statements.build(agent="network-anomaly", insights=[sample()], now=clock())
    assert kept.signing_key is kept.signing_key
    with pytest.raises(Rejected, match="no signature is by a key"):
        kept.take(statements.sign(stranger, statement))
    keyid = kept.signing_key.public.keyid
    keys.revoke(database, keyid, clock())
    with pytest.raises(Rejected, match="revoked"):
        kept.keep("network-anomaly", [sample()])
    assert insights.page(database, Wanted()).insights == ()
    assert Insights(database, tmp_path, clock=clock).keep("network-anomaly", [sample()]).new
    assert (tmp_path / "keys" / "agents.pem").stat().st_mode & 0o777 == 0o600


def test_more_than_a_statement_holds_is_refused(kept: Insights) -> None:
    """Who draws so many has to say less."""
    many = [sample(key=str(number)) for number in range(MAX_INSIGHTS + 1)]
    with pytest.raises(BadRequest, match="at most"):
        kept.keep("network-anomaly", many)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE insight SET severity = 4",
        "UPDATE insight SET body = replace(body, 'asked', 'ask')",
        "UPDATE insight SET comment = 'other' WHERE state = 'resolved'",
        "UPDATE insight_statement SET payload = replace(payload, 'asked', 'ask')",
        "DELETE FROM insight WHERE state = 'open'",
    ],
)
def test_what_was_changed_behind_the_chain_is_found(
    kept: Insights, database: Database, blobs: BlobStore, clock: Clock, change: str
) -> None:
    """An insight, its severity, a decision, or an insight that is gone; each breaks the walk."""
    kept.keep("network-anomaly", [sample(), sample("192.0.2.8")])
    insights.resolve(database, sample().id, "accepted", "known", Act("alice", clock()))
    assert audit.verify(database, blobs).ok
    with database.connection() as connection:
        connection.execute(change.encode())
    assert not audit.verify(database, blobs).ok
