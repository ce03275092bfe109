"""Vectors: what is missing, what is written, and the nearest by index against looking at every one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import numpy as np
import pytest

from spectra.store import embedders, vectors
from spectra.store.database import Database, one
from spectra.store.embedders import Embedder
from spectra.store.vectors import Filter, Vector
from tests.store.scribe import T0
from tests.store.test_embedders import begin
from tests.store.wordy import Wordy

pytestmark = pytest.mark.engine

HOUR = timedelta(hours=1)


def made(num: int, *numbers: float, digest: bytes = b"d") -> Vector:
    """A vector of a text."""
    return Vector(num, digest, np.array(numbers, ">f2").tobytes())


def again(database: Database, embedder: Embedder) -> Embedder:
    """The row as it is now."""
    with database.connection() as connection:
        found = embedders.get(connection, embedder.id)
    assert found is not None
    return found


@pytest.fixture
def wordy(database: Database) -> Wordy:
    """Tells of CVEs."""
    return Wordy(database)


def test_what_is_missing_or_may_have_changed_is_next(database: Database, wordy: Wordy) -> None:
    """Without a vector, or told anew since they were up to date, an hour's grace included; rejected ones only to go."""
    nums = [wordy.tell(f"CVE-2024-000{n}", f"text {n}") for n in range(5)]
    wordy.reject("CVE-2024-0004", T0)
    embedder = begin(database)
    assert vectors.texts(database) == 4
    assert vectors.behind(database, embedder) == 4
    found = vectors.next_texts(database, embedder, 0, 3)
    assert [(t.num, t.description, t.digest) for t in found] == [(nums[n], f"text {n}", None) for n in range(3)]
    assert [t.num for t in vectors.next_texts(database, embedder, found[-1].num, 3)] == [nums[3]]
    vectors.write(database, embedder, [made(num, 1, 0) for num in nums])
    assert vectors.is_behind(database, embedder), "it was never said up to when it is up to date"
    embedders.switch(database, embedder.id, T0 + 2 * HOUR, T0)
    embedder = again(database, embedder)
    assert not vectors.is_behind(database, embedder)
    assert vectors.behind(database, embedder) == 0
    wordy.tell("CVE-2024-0001", "another", at=T0 + HOUR + timedelta(minutes=1))  # committed late
    assert vectors.behind(database, embedder) == 0
    assert vectors.behind(database, embedder, late=True) == 1
    assert [t.digest for t in vectors.next_texts(database, embedder, 0, 9)] == [b"d"]
    wordy.reject("CVE-2024-0002", T0 + 3 * HOUR)
    assert vectors.is_behind(database, embedder)
    assert [(t.num, t.rejected) for t in vectors.next_texts(database, embedder, 0, 9)] == [
        (nums[1], False),
        (nums[2], True),
    ]


def test_one_that_is_new_is_missed_whatever_its_time(database: Database, wordy: Wordy) -> None:
    """A sync may date what it tells before the last look."""
    embedder = begin(database)
    embedders.switch(database, embedder.id, T0, T0)
    wordy.tell("CVE-2024-0001", "late", at=T0 - 10 * HOUR)
    assert vectors.is_behind(database, again(database, embedder))


def test_the_text_is_all_that_is_said(database: Database, wordy: Wordy) -> None:
    """CWE ids and the first products, in the order of their ids."""
    wordy.tell("CVE-2024-0001", "words", weaknesses=["CWE-79"], products=[(f"v{n}", f"p{n}") for n in range(9)])
    with database.connection() as connection:
        text = vectors.text_of(connection, "CVE-2024-0001")
        assert vectors.text_of(connection, "CVE-2024-9999") is None
    assert text is not None
    assert (text.description, text.weaknesses, text.products) == ("words", ["CWE-79"], [f"v{n} p{n}" for n in range(8)])
    assert vectors.next_texts(database, begin(database), 0, 1)[0][:5] == text[:5]


def test_a_sample_is_spread_and_always_the_same(database: Database, wordy: Wordy) -> None:
    """About as many as asked for, never more; all where there are no more; none of those rejected."""
    wordy.tell_all([(f"CVE-2024-{n:04}", f"text {n}") for n in range(400)])
    wordy.reject("CVE-2024-0007", T0)
    some = vectors.sample(database, 100, 400)
    assert 60 <= len(some) <= 100
    assert some == vectors.sample(database, 100, 400)
    assert some[-1].num - some[0].num > 200
    assert len(vectors.sample(database, 1000, 399)) == 399


def test_writing_replaces_and_counts(database: Database, wordy: Wordy) -> None:
    """The same vector twice is one; one of a CVE that is gone meanwhile is not stored; an embedder's own alone."""
    nums = [wordy.tell(f"CVE-2024-000{n}", "text") for n in range(3)]
    one = begin(database)
    vectors.write(database, one, [made(num, 1, 0) for num in [*nums, 999]])
    vectors.write(database, one, [made(nums[0], 0, 1, digest=b"e")], gone=[nums[2]])
    assert again(database, one).done == 2
    embedders.switch(database, one.id, T0, T0)
    two = begin(database, "two", dims=3)
    vectors.write(database, two, [made(nums[0], 1, 1, 1)])
    with database.connection() as connection:
        rows = connection.execute("SELECT embedder, num, digest, embedding::text FROM vuln_vector ORDER BY 1, 2")
        assert rows.fetchall() == [
            (one.id, nums[0], b"e", "[0,1]"),
            (one.id, nums[1], b"d", "[1,0]"),
            (two.id, nums[0], b"d", "[1,1,1]"),
        ]
        assert vectors.stored(connection, one, nums[0]) == "[0,1]"
        assert vectors.stored(connection, two, nums[1]) is None
    vectors.count(database, two, 7)
    assert (again(database, two).total, again(database, two).done) == (7, 1)
    wordy.forget("CVE-2024-0000")
    assert vectors.nearest(database, one, "[0,1]", 5)[0].num == nums[1]


def test_what_was_retired_is_not_written_to(database: Database, wordy: Wordy) -> None:
    """A step of a workflow that lost its place does nothing."""
    num = wordy.tell("CVE-2024-0001", "text")
    old = begin(database)
    begin(database, "two")
    vectors.write(database, old, [made(num, 1, 0)])
    assert again(database, old).done == 0
    assert not vectors.build_index(database, old, least=0)


def test_writers_of_the_same_do_not_meet(database: Database, wordy: Wordy) -> None:
    """A workflow that was believed to be lost writes beside the one that took it over: each vector is there once."""
    nums = [wordy.tell(f"CVE-2024-{n:04}", "text") for n in range(50)]
    embedder = begin(database)
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(vectors.write, database, embedder, [made(n, 1, 0) for n in nums]) for _ in range(8)]:
            done.result(60)
    assert again(database, embedder).done == 50


@pytest.fixture
def cloud(database: Database, wordy: Wordy) -> tuple[Embedder, np.ndarray]:
    """Six hundred vectors of eight dimensions, indexed, and their numbers in a matrix."""
    wordy.tell_all([(f"CVE-2024-{n:04}", f"text {n}") for n in range(600)])
    embedder = begin(database, dims=8)
    numbers = np.random.default_rng(7).standard_normal((600, 8)).astype(np.float16)
    with database.connection() as connection:
        nums = [num for (num,) in connection.execute("SELECT num FROM vuln ORDER BY num")]
        connection.execute(
            "UPDATE vuln SET severity = CASE WHEN num % 2 = 0 THEN 'high' ELSE 'low' END, cvss = num % 10"
        )
        connection.execute("UPDATE vuln SET kev = %s WHERE num %% 50 = 0", [date(2024, 1, 1)])
    vectors.write(database, embedder, [made(num, *row) for num, row in zip(nums, numbers.tolist(), strict=True)])
    assert vectors.build_index(database, embedder, least=100)
    embedders.switch(database, embedder.id, T0, T0)
    return again(database, embedder), np.column_stack([nums, numbers])


def naive(cloud: np.ndarray, vector: np.ndarray, k: int) -> list[int]:
    """The numbers of the nearest, by a second hand."""
    rows = cloud[:, 1:]
    cosines = rows @ vector / np.linalg.norm(rows, axis=1) / np.linalg.norm(vector)
    return [int(num) for num in cloud[np.argsort(-cosines)][:k, 0]]


def test_the_index_finds_what_looking_at_all_finds(database: Database, cloud: tuple[Embedder, np.ndarray]) -> None:
    """Nearly always; looking at all finds exactly what a second hand does, with its cosines. The index is used."""
    embedder, rows = cloud
    queries = np.random.default_rng(8).standard_normal((20, 8))
    found = missed = 0
    for query in queries:
        text = vectors.written(query.tolist())
        exact = vectors.exact(database, embedder, text, 20)
        assert [n.num for n in exact] == naive(rows, query, 20)
        near = vectors.nearest(database, embedder, text, 20)
        assert [n.cosine for n in near] == sorted((n.cosine for n in near), reverse=True)
        found += len({n.num for n in near} & {n.num for n in exact})
        missed += len({n.num for n in exact} - {n.num for n in near})
        assert vectors.among(database, embedder, text, [*[n.num for n in exact][::-1], 10**6]) == exact
    assert found / (found + missed) >= 0.98
    with database.transaction() as connection:
        connection.execute("SET LOCAL enable_seqscan = off")
        index = f"vuln_vector_{embedder.id}"

        def scans() -> int:
            return one(connection.execute("SELECT pg_stat_get_xact_numscans(%s::regclass)", [index]))[0]

        before = scans()
        assert len(vectors._by_distance(connection, embedder, "[1,0,0,0,0,0,0,0]", 20, Filter()).fetchall()) == 20
        assert scans() == before + 1


@pytest.mark.parametrize("few", [True, False])
def test_filters_narrow_without_losing_any(
    database: Database, cloud: tuple[Embedder, np.ndarray], few: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of severity, score, KEV and all but one: as many as asked for, each of them allowed, looked at or read on."""
    monkeypatch.setattr(vectors, "_EXACT_UNTIL", 10_000 if few else 1)
    embedder, rows = cloud
    query = np.random.default_rng(9).standard_normal(8)
    text = vectors.written(query.tolist())

    def allowed(num: float, only: Filter) -> bool:
        return (
            (not only.severities or (num % 2 == 0) == ("high" in only.severities))
            and (only.kev is None or (num % 50 == 0) == only.kev)
            and (only.min_cvss is None or num % 10 >= only.min_cvss)
            and num != only.without
        )

    nearest = naive(rows, query, 1)[0]
    for only in (
        Filter(("high",)),
        Filter(kev=True),
        Filter(kev=False, min_cvss=7.0),
        Filter(("low",), without=nearest),
        Filter(without=nearest),
    ):
        mine = rows[[allowed(num, only) for num in rows[:, 0]]]
        found = [n.num for n in vectors.nearest(database, embedder, text, 10, only=only)]
        expected = naive(mine, query, 10)
        assert len(found) == 10
        assert len(set(found) & set(expected)) >= (10 if few and only.narrows else 9), only


def test_a_text_that_says_nothing_is_near_to_nothing(database: Database, wordy: Wordy) -> None:
    """Its vector is zeros, and no cosine is one."""
    nums = [wordy.tell(f"CVE-2024-000{n}", "") for n in range(2)]
    embedder = begin(database)
    vectors.write(database, embedder, [made(nums[0], 0, 0), made(nums[1], 1, 0)])
    assert [n.num for n in vectors.nearest(database, embedder, "[1,1]", 5)] == [nums[1]]
    assert [n.num for n in vectors.nearest(database, embedder, "[1,1]", 5, only=Filter(kev=False))] == [nums[1]]


def test_an_index_is_made_once_and_dropped_with_its_vectors(
    database: Database, cloud: tuple[Embedder, np.ndarray]
) -> None:
    """Not for few vectors; a second time it is there; what is dropped is gone, in pieces, and twice is no error."""
    embedder, _ = cloud
    assert vectors.build_index(database, embedder, least=10**6)
    other = begin(database, "other", dims=8)
    assert not vectors.build_index(database, other, least=1)
    assert not again(database, other).indexed
    for _ in range(2):
        vectors.drop(database, embedder, batch=250)
    with database.connection() as connection:
        assert connection.execute("SELECT count(*) FROM vuln_vector").fetchone() == (0,)
        assert connection.execute("SELECT to_regclass(%s)", [f"vuln_vector_{embedder.id}"]).fetchone() == (None,)


def test_memory_of_a_build_is_bounded() -> None:
    """It follows the vectors, between bounds."""
    assert vectors._memory(100, 256) == "64MB"
    assert 250 <= int(vectors._memory(222_000, 256).removesuffix("MB")) <= 500
    assert vectors._memory(10**7, 4000) == "1024MB"


def test_a_feed_that_is_taken_in_is_waited_for(database: Database) -> None:
    """What comes of it would have to be looked at again."""
    assert vectors.settled(database)
    with database.connection() as connection:
        connection.execute(
            "INSERT INTO vuln_source (name, kind, source, checked, running) VALUES ('n', 'nvd', 'upload', now(), 'x')"
        )
    assert not vectors.settled(database)
