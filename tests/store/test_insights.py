"""Insights in the store: each once, listed by severity, resolved by people, and open again where it was not fixed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from spectra.errors import BadRequest, NotFound
from spectra.identity.keys import SigningKey
from spectra.model.envelope import canonical, sha256_hex
from spectra.model.insights import CONTRIBUTOR, Insight, Kept, Statement
from spectra.store import insights, keys
from spectra.store.accounts import Act
from spectra.store.database import Database
from spectra.store.insights import NewStatement, Wanted
from spectra.store.provenance import commit
from tests.support.insights import NOON, sample

pytestmark = pytest.mark.engine

KEY = SigningKey.generate()
HOUR = timedelta(hours=1)
ANY = Wanted()


def keep(database: Database, told: Sequence[Insight], at: datetime = NOON, received: datetime | None = None) -> Kept:
    """What the gate would hand over, signed at `at`."""
    if keys.find(database, KEY.public.keyid) is None:
        public = KEY.public
        keys.register(
            database, contributor=CONTRIBUTOR, role="module", public_key=public.raw, keyid=public.keyid, now=NOON
        )
    statement = Statement(version=1, agent="network-anomaly", issued=at, read="", insights=tuple(told))
    payload = canonical(statement)
    new = NewStatement(
        sha256_hex(payload),
        statement.agent,
        KEY.public.keyid,
        "",
        payload.decode(),
        at,
        received or at,
        statement.insights,
    )
    return commit(database, lambda connection: insights.insert(connection, new, CONTRIBUTOR))


def names(database: Database, wanted: Wanted = ANY) -> list[str]:
    """The first subjects of what is listed."""
    return [one.insight.subjects[0] for one in insights.page(database, wanted).insights]


def test_insights_are_listed_the_worst_first(database: Database) -> None:
    """Of equal severity the newest; by pages, each once."""
    keep(database, [sample("192.0.2.1", severity="low"), sample("192.0.2.2"), sample("192.0.2.3", severity="critical")])
    keep(database, [sample("192.0.2.4"), sample("192.0.2.5", kind="beacon", severity="info")], NOON + HOUR)
    order = [f"host:192.0.2.{n}" for n in (3, 4, 2, 1, 5)]
    assert names(database) == order
    seen: list[str] = []
    cursor = ""
    while True:
        page = insights.page(database, ANY, cursor=cursor, limit=2)
        seen += [one.insight.subjects[0] for one in page.insights]
        if not (cursor := page.next_cursor):
            break
    assert seen == order
    with pytest.raises(BadRequest, match="cursor"):
        insights.page(database, ANY, cursor="x")


def test_insights_are_asked_for(database: Database) -> None:
    """By agent, kind, severity, subject, state and time."""
    keep(
        database,
        [sample("192.0.2.1", severity="low"), sample("192.0.2.2", kind="beacon", subjects=["host:a", "cve:b"])],
    )
    keep(database, [sample("192.0.2.3")], NOON + HOUR)
    assert names(database, Wanted(kind="beacon")) == names(database, Wanted(subject="cve:b")) == ["host:a"]
    assert names(database, Wanted(agent="dns-guard")) == []
    assert len(names(database, Wanted(severity="high"))) == 2
    assert names(database, Wanted(since=NOON + HOUR)) == ["host:192.0.2.3"]
    insights.resolve(database, sample("192.0.2.3").id, "accepted", "", Act("alice", NOON))
    assert names(database, Wanted(state="resolved")) == ["host:192.0.2.3"]
    assert len(names(database, Wanted(state="open"))) == 2


def test_the_newest_statement_has_the_word(database: Database) -> None:
    """Whichever arrives last; how often it was seen is counted."""
    keep(database, [sample(score=10)], NOON + HOUR)
    kept = keep(database, [sample(score=90)], NOON, NOON + 2 * HOUR)
    assert kept.again == (sample().id,)
    record = insights.get(database, sample().id[:8])
    assert (record.insight.score, record.times, record.first_seen) == (10, 2, NOON + HOUR)
    assert record.last_seen == NOON + 2 * HOUR


def test_what_was_fixed_and_is_there_again_opens(database: Database) -> None:
    """What was accepted or no true alarm stays resolved; both are on record."""
    told = [sample("192.0.2.1"), sample("192.0.2.2")]
    keep(database, told)
    act = Act("alice", NOON + HOUR)
    insights.resolve(database, told[0].id, "fixed", "patched", act)
    record = insights.resolve(database, told[1].id, "false_positive", "the scanner of ours", act)
    assert (record.state, record.resolved_by, record.resolved) == ("resolved", "alice", NOON + HOUR)
    kept = keep(database, told, NOON + 2 * HOUR)
    assert kept.reopened == (told[0].id,)
    assert insights.get(database, told[0].id).state == "open"
    assert insights.get(database, told[1].id).comment == "the scanner of ours"
    with database.connection() as connection:
        kinds = connection.execute("SELECT kind FROM provenance WHERE kind LIKE 'insight%' ORDER BY seq").fetchall()
    assert [kind for (kind,) in kinds] == [
        *("insights.kept", "insight.resolved", "insight.resolved", "insights.kept", "insight.reopened")
    ]


def test_the_same_statement_changes_nothing(database: Database) -> None:
    """It is answered with what there is."""
    first = keep(database, [sample()])
    again = keep(database, [sample()])
    assert again.duplicate
    assert again.insights == first.insights
    found = insights.existing(database, first.statement)
    assert found == again
    assert insights.existing(database, "0" * 64) is None


@pytest.mark.parametrize("id_", ["0" * 64, "xyz", "'; drop", "12345678", "1234567"])
def test_what_is_not_there_is_not_found(database: Database, id_: str) -> None:
    """Neither by a whole id, nor by a beginning, nor by what is no id."""
    with pytest.raises(NotFound, match="There is no insight"):
        insights.get(database, id_)


def test_a_beginning_of_several_names_none(database: Database) -> None:
    """Ids that begin alike have to be told apart."""
    keep(database, [sample()])
    with database.connection() as connection:
        twin = sample().id[:63] + ("0" if sample().id[63] != "0" else "1")
        connection.execute(
            "INSERT INTO insight SELECT %s, statement, agent, kind, severity, subjects, body, first_seen, last_seen,"
            " times, state FROM insight",
            [twin],
        )
    with pytest.raises(BadRequest, match="More than one"):
        insights.get(database, twin[:20])


def test_a_comment_is_one_short_line(database: Database) -> None:
    """It is told in lists and on terminals."""
    keep(database, [sample()])
    for comment in ("a\nb", "\x1b[2J", "x" * 2000):
        with pytest.raises(BadRequest, match="one line"):
            insights.resolve(database, sample().id, "accepted", comment, Act("alice", NOON))
