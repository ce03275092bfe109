"""Vectors: which embedder is chosen, what its steps do, and how one takes the place of another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from spectra.errors import SpectraError
from spectra.flow.embedservice import Place, Service
from spectra.flow.vectorflow import Follower, Step, Vectors
from spectra.model.similar import EmbedderRecord
from spectra.store.blobs import BlobStore
from spectra.store.database import Database
from tests.flow.desk import Clock, rows
from tests.flow.embeddings import FakeEmbedder, serving
from tests.intel.embed import corpus
from tests.store.wordy import Wordy
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine

TEXTS = [(f"CVE-2024-{n:04}", text) for n, text in enumerate(corpus.texts())]
Make = Callable[..., Vectors]


@pytest.fixture
def wordy(database: Database) -> Wordy:
    """Tells of CVEs."""
    return Wordy(database)


@pytest.fixture
def make(database: Database, blobs: BlobStore, clock: Clock) -> Make:
    """Vectors with small bounds."""

    def made(service: Service | None = None, **bounds: int) -> Vectors:
        bounds = {"batch": 100, "learn_from": 300, "index_from": 200, **bounds}
        return Vectors(database, blobs, clock=clock, service=service, **bounds)

    return made


@pytest.fixture
def fake() -> Iterator[FakeEmbedder]:
    """A fake embedder over HTTP."""
    with serving(FakeEmbedder()) as one:
        yield one


def ready(vectors: Vectors) -> EmbedderRecord:
    """The embedder that answers."""
    found = vectors.status().ready
    assert found is not None
    return found


def held(database: Database) -> dict[int, int]:
    """How many vectors there are of each embedder."""
    return dict(rows(database, "SELECT embedder, count(*) FROM vuln_vector GROUP BY 1"))


def files(folder: Path) -> int:
    """How many blobs there are."""
    return sum(path.is_file() for path in (folder / "blobs").rglob("*"))


def test_it_works_from_the_first_weakness_on(make: Make, wordy: Wordy, database: Database) -> None:
    """By an embedder that knows nothing; without any weakness there is nothing to do."""
    vectors = make()
    assert not vectors.is_due()
    assert vectors.vectorize() == 0
    assert vectors.status() == make().status()
    assert vectors.status().vectors == "none"
    wordy.tell("CVE-2024-6387", "a race in sshd")
    assert vectors.is_due()
    assert vectors.status().behind == 1
    assert vectors.vectorize() == 1
    assert not vectors.is_due()
    assert (ready(vectors).kind, ready(vectors).done, ready(vectors).indexed) == ("hashed", 1, False)
    assert held(database) == {1: 1}


def test_with_enough_texts_it_is_learned(make: Make, wordy: Wordy, database: Database, tmp_path: Path) -> None:
    """From what there is; it takes the place of the one before, whose vectors go; its index stands. Once is enough."""
    wordy.tell_all(TEXTS[:100])
    vectors = make()
    vectors.vectorize()
    wordy.tell_all(TEXTS[100:])
    assert vectors.is_due()
    assert vectors.vectorize() == len(TEXTS)
    now = ready(vectors)
    assert (now.kind, now.texts, now.done, now.total, now.indexed) == ("learned", len(TEXTS), *[len(TEXTS)] * 2, True)
    assert held(database) == {now.id: len(TEXTS)}
    assert files(tmp_path) == 1
    assert not vectors.is_due()
    assert vectors.vectorize() == 0
    assert make(learn_from=10**6).is_due() is False, "what was learned is kept, though it would not be begun"


def test_only_what_changed_is_made_again(make: Make, wordy: Wordy, database: Database, clock: Clock) -> None:
    """A new text, another text, and none of one that was rejected or is gone; the same text told again is left."""
    wordy.tell_all(TEXTS[:249], at=clock())
    later = clock() + timedelta(hours=5)
    wordy.tell(*TEXTS[249], at=later - timedelta(hours=2))
    vectors = make()
    vectors.vectorize()
    wordy.tell(TEXTS[0][0], "quite another text", at=later)
    wordy.tell(*TEXTS[1], at=later)
    wordy.tell("CVE-2025-0001", "a new one", at=later)
    wordy.reject(TEXTS[2][0], later)
    wordy.forget(TEXTS[3][0])
    assert vectors.status().behind == 4
    assert vectors.is_due()
    plan = vectors.plan()
    assert plan.total == 5, "with what was told within the hour before"
    step = vectors.embed(plan.embedder, 0)
    assert (step.done, step.changed) == (5, 3)
    assert vectors.embed(plan.embedder, 0) == Step(step.after, 4, 0), "what is done is found done"
    assert vectors.embed(plan.embedder, step.after) == Step()
    vectors.vectorize()
    assert held(database) == {plan.embedder: 249}
    assert not vectors.is_due()


def test_what_grew_is_learned_anew(make: Make, wordy: Wordy) -> None:
    """Of twice as many texts there is more to be learned; asked for it is done at any time."""
    wordy.tell_all(TEXTS[:240])
    vectors = make(learn_from=200)
    vectors.vectorize()
    first = ready(vectors)
    wordy.tell_all(TEXTS[240:470])
    vectors.vectorize()
    assert (ready(vectors).id, ready(vectors).texts) == (first.id, 240)
    wordy.tell_all(TEXTS[470:])
    assert vectors.is_due()
    vectors.vectorize()
    assert (ready(vectors).id != first.id, ready(vectors).texts) == (True, len(TEXTS))
    assert vectors.vectorize(anew=True) == len(TEXTS)
    assert ready(vectors).id > first.id + 1


def test_a_lost_model_is_learned_again(make: Make, wordy: Wordy, database: Database, blobs: BlobStore) -> None:
    """A blob store that was not restored, and one of another release, stop nothing."""
    wordy.tell_all(TEXTS[:400])
    make().vectorize()
    [(digest,)] = rows(database, "SELECT blob FROM embedder")
    blobs.discard(digest)
    again = make()
    assert again.is_due()
    again.vectorize()
    assert held(database) == {2: 400}
    with database.connection() as connection:
        connection.execute("UPDATE embedder SET model = 'lsa-0' WHERE state = 'ready'")
    assert make().is_due()
    with pytest.raises(SpectraError):
        make().maker(make().current()[0])  # type: ignore[arg-type]


def test_a_service_takes_over_while_the_old_answers(
    make: Make, wordy: Wordy, database: Database, fake: FakeEmbedder
) -> None:
    """Until the last text has its vector and the index stands; then nothing of the old one is left. Texts go once."""
    wordy.tell_all(TEXTS[:250])
    make().vectorize()
    vectors = make(Service(Place(fake.url, "fake-model")))
    assert vectors.is_due()
    plan = vectors.plan()
    step = vectors.embed(plan.embedder, 0)
    status = vectors.status()
    assert (status.vectors, status.ready and status.ready.kind) == ("ready", "hashed")
    assert status.filling is not None
    assert (status.filling.kind, status.filling.done, status.filling.total) == ("service", 100, 250)
    assert status.behind == 150
    assert step.done == 100
    assert vectors.vectorize() == 150, "what was begun is gone on with"
    now = ready(vectors)
    assert (now.kind, now.model, now.dims, now.place) == ("service", "fake-model", 8, fake.url.removeprefix("http://"))
    assert held(database) == {now.id: 250}
    assert sorted(fake.texts) == sorted(text for _, text in TEXTS[:250])
    assert not vectors.is_due()


def test_another_model_or_place_is_another_embedder(make: Make, wordy: Wordy, fake: FakeEmbedder) -> None:
    """So are other dimensions; no text goes to a place that is no longer configured."""
    wordy.tell_all(TEXTS[:20])
    place = Place(fake.url, "one")
    make(Service(place)).vectorize()
    held_by = make().current()[0]
    assert held_by is not None
    assert make(Service(place)).is_due() is False
    assert make(Service(place._replace(model="two"))).is_due()
    assert make(Service(place._replace(dims=4))).is_due()
    assert make().is_due()
    assert make().maker(held_by) is None
    assert make(Service(place._replace(url="http://127.0.0.1:1"))).maker(held_by) is None
    other = make(Service(place._replace(model="two"))).maker(held_by)
    assert isinstance(other, Service)
    assert other.place.model == "one", "the old vectors' model is asked, not the new one"


def test_a_service_that_fails_midway_loses_nothing(make: Make, wordy: Wordy, fake: FakeEmbedder) -> None:
    """What was made stays; the next time goes on. One that was given up is replaced."""
    wordy.tell_all(TEXTS[:250])
    vectors = make(Service(Place(fake.url, "fake-model"), retries=0))
    fake.fail = lambda number: (400, {}, b"no") if number > 3 else None
    with pytest.raises(SpectraError, match="400"):
        vectors.vectorize()
    assert vectors.status().vectors == "filling"
    assert vectors.is_due()
    fake.fail = lambda number: None
    assert make().vectorize() == 250
    assert ready(vectors).kind == "hashed"
    assert make().status().filling is None


def test_a_filling_that_nobody_wants_is_given_up(
    make: Make, wordy: Wordy, fake: FakeEmbedder, database: Database
) -> None:
    """The settings went back before it was done: what answered goes on, what was made of the other goes."""
    wordy.tell_all(TEXTS[:150])
    make().vectorize()
    other = make(Service(Place(fake.url, "fake-model")))
    other.embed(other.plan().embedder, 0)
    assert len(held(database)) == 2
    assert make().vectorize() == 0
    assert held(database) == {1: 150}


def test_steps_of_what_is_past_do_nothing(make: Make, wordy: Wordy) -> None:
    """A workflow that was overtaken ends well."""
    wordy.tell_all(TEXTS[:10])
    vectors = make()
    vectors.vectorize()
    vectors.vectorize(anew=True)
    assert vectors.embed(1, 0) == Step()
    assert not vectors.index(1)
    vectors.switch(1, None)
    assert ready(vectors).id == 2


def test_nothing_is_due_while_a_feed_is_taken_in(make: Make, wordy: Wordy, database: Database) -> None:
    """It would be looked at again at once."""
    wordy.tell_all(TEXTS[:10])
    with database.connection() as connection:
        connection.execute(
            "INSERT INTO vuln_source (name, kind, source, checked, running) VALUES ('n', 'nvd', 'upload', now(), 'x')"
        )
    assert not make().is_due()


def test_the_follower_starts_what_is_due() -> None:
    """Again and again, whatever a look ends by; never where it is not to look."""
    looks, begun = iter([False, True, None, True]), list[int]()

    def due() -> bool:
        found = next(looks, False)
        if found is None:
            raise SpectraError("away")
        return found

    follower = Follower(due, lambda: begun.append(1), 0.001)
    follower.start()
    eventually(lambda: len(begun) == 2)
    follower.stop()
    idle = Follower(due, lambda: begun.append(1), 0)
    idle.start()
    idle.stop()
    assert not idle.look()
