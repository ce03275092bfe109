"""What happened, read back from the chain both ways, by topic, kind, text and time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from spectra.errors import Corrupt
from spectra.model.activity import TOPICS, Topic
from spectra.store import activity
from spectra.store.activity import Wanted
from spectra.store.database import Database
from spectra.store.provenance import Entry, commit
from tests.store.scribe import T0, Scribe, host, seen

pytestmark = pytest.mark.engine

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ALL = Wanted()


def happen(database: Database, kind: str, subject: str, at: datetime = NOW, **detail: object) -> None:
    """Put an entry on record."""
    commit(database, lambda _: (None, [Entry(kind, subject, detail, at)]))


@pytest.fixture
def busy(database: Database) -> Database:
    """Submissions, with acts of three topics between them, an hour apart."""
    for number in range(4):
        at = NOW + timedelta(hours=number)
        happen(database, "observation.accepted", f"{number:064x}", at)
        happen(database, "observation.settled", f"{number:064x}", at, status="merged", counts={"hosts": number})
        happen(database, "job.created", f"job-{number}", at, what=f"scan 50%_{number}", by="ann")
    happen(database, "block.added", "b", NOW + timedelta(hours=4), network="198.51.100.0/24", by="root", reason="x")
    happen(database, "moon.landed", "apollo", NOW + timedelta(hours=5), by="neil")
    return database


def only(*topics: Topic) -> Wanted:
    """Of these topics."""
    return Wanted(frozenset(topics))


def test_pages_newest_first_have_everything_once(busy: Database) -> None:
    """A submission is told when it is settled; pages go on where the last ended, whatever is asked for."""
    found = activity.page(busy, ALL)
    assert [one.kind for one in found.activity] == [
        "moon.landed", "block.added", *["job.created", "observation.settled"] * 4,
    ]  # fmt: skip
    assert (found.head, found.next_cursor) == (14, None)
    assert [one.topic for one in found.activity[:3]] == ["other", "law", "job"]
    for wanted in (ALL, only("job"), only("job", "law"), only("observation", "other"), Wanted(kinds=("job",))):
        whole = activity.page(busy, wanted).activity
        pages = [page := activity.page(busy, wanted, limit=2)]
        while page.next_cursor is not None:
            pages.append(page := activity.page(busy, wanted, limit=2, before=page.next_cursor))
        assert tuple(one for page in pages for one in page.activity) == whole
        assert all(wanted.holds(one) for one in whole)


def test_from_the_oldest_on_a_page_goes_on_where_the_last_ended(busy: Database) -> None:
    """And at the end with what is new since its head."""
    wanted = only("job", "other")
    first = activity.page(busy, wanted, after=0, limit=3)
    assert [one.subject for one in first.activity] == ["job-0", "job-1", "job-2"]
    assert first.next_cursor is not None
    last = activity.page(busy, wanted, after=first.next_cursor)
    assert [one.subject for one in last.activity] == ["job-3", "apollo"]
    assert last.next_cursor is None
    assert activity.page(busy, wanted, after=last.head).activity == ()
    happen(busy, "job.paused", "job-3")
    assert [one.kind for one in activity.page(busy, wanted, after=last.head).activity] == ["job.paused"]


def test_kinds_are_names_or_nouns(busy: Database) -> None:
    """Accepted submissions come where they are asked for by name; nothing comes of a topic that is not asked for."""
    assert len(activity.page(busy, Wanted(kinds=("observation.accepted",))).activity) == 4
    assert len(activity.page(busy, Wanted(kinds=("observation", "block.added"))).activity) == 9
    assert len(activity.page(busy, Wanted(kinds=("moon",))).activity) == 1
    assert activity.page(busy, Wanted(frozenset({"job"}), kinds=("moon", "block"))).activity == ()
    assert activity.page(busy, Wanted(frozenset())).activity == ()


def test_text_is_looked_for_as_it_is_a_stretch_at_a_time(busy: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """`%` and `_` are themselves; a page that has looked at its stretch says where the next one begins."""
    assert [one.subject for one in activity.page(busy, Wanted(text="50%_2")).activity] == ["job-2"]
    assert activity.page(busy, Wanted(text="50_2")).activity == ()
    monkeypatch.setattr(activity, "SPAN", 5)
    for forward in (False, True):
        found, cursor, rounds = [], 0 if forward else None, 0
        while rounds < 9:
            rounds += 1
            before, after = (None, cursor) if forward else (cursor, None)
            page = activity.page(busy, Wanted(text="JOB-"), before=before, after=after)
            found += [one.subject for one in page.activity]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert sorted(found) == ["job-0", "job-1", "job-2", "job-3"], forward
        assert rounds >= 3


def test_a_moment_is_a_cursor(busy: Database) -> None:
    """That of the last entry before it."""
    assert activity.cursor_at(busy, NOW) == 0
    assert activity.cursor_at(busy, NOW + timedelta(seconds=1)) == 3
    assert activity.cursor_at(busy, NOW + timedelta(hours=3)) == 9
    assert activity.cursor_at(busy, NOW + timedelta(days=1)) == activity.head(busy) == 14
    assert len(activity.page(busy, ALL, least=12).activity) == 2


def test_a_submission_is_told_with_whose_it_is(database: Database) -> None:
    """And found by that."""
    written = Scribe(database)([host("192.0.2.1", T0, seen(22, "ssh"))])
    happen(database, "observation.settled", written.observation_id, status="merged", counts={"hosts": 1})
    told = activity.page(database, ALL).activity[0]
    assert told.account
    assert told.account in told.title
    assert told.path == f"/observations/{written.observation_id}"
    assert [one.cursor for one in activity.page(database, Wanted(text=told.account)).activity] == [told.cursor]


def test_what_entries_say_comes_where_it_is_asked_for(busy: Database) -> None:
    """Whole, or not at all; and a damaged one is told."""
    assert activity.page(busy, only("law")).activity[0].detail == {}
    assert activity.page(busy, only("law"), whole=True).activity[0].detail["network"] == "198.51.100.0/24"
    assert [one.cursor for one in activity.following(busy, 12, 10)] == [13, 14]
    with busy.connection() as connection:
        connection.execute("UPDATE provenance SET subject = 'x' WHERE seq = 13")
    with pytest.raises(Corrupt, match="Entry 13 "):
        activity.page(busy, ALL)


def test_marks_change_with_what_they_stand_for(database: Database) -> None:
    """Of topics that there are."""
    before = activity.marks(database)
    assert before.keys() <= TOPICS.keys()
    assert activity.marks(database) == before
    assert activity.progress(database) == ()
