"""Weaknesses that are alike: two rankings fused, each result explained, and words alone where there are no vectors."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from spectra.errors import NotFound
from spectra.flow.embedservice import Place, Service
from spectra.flow.similar import Similar
from spectra.flow.vectorflow import Vectors
from spectra.intel.embed.fusion import K
from spectra.store.blobs import BlobStore
from spectra.store.database import Database
from spectra.store.vectors import Filter
from tests.flow.desk import Clock
from tests.flow.embeddings import FakeEmbedder, serving
from tests.intel.embed import corpus
from tests.store.wordy import Wordy

pytestmark = pytest.mark.engine

RACE = "A race condition in the signal handler of sshd runs code as root"


@pytest.fixture
def wordy(database: Database) -> Wordy:
    """Tells of some CVEs."""
    told = Wordy(database)
    told.tell_all([(f"CVE-2020-{n:04}", text) for n, text in enumerate(corpus.texts())])
    told.tell("CVE-2024-6387", RACE, severity="high", cvss=8.1, products=[("openbsd", "openssh")])
    told.tell("CVE-2006-5051", "Signal handler race in sshd", severity="high", cvss=9.3, kev=date(2024, 7, 2))
    told.tell("CVE-2024-0009", RACE, status="rejected")
    return told


@pytest.fixture
def vectors(database: Database, blobs: BlobStore, clock: Clock, wordy: Wordy) -> Vectors:
    """Nothing is made yet."""
    assert wordy
    return Vectors(database, blobs, clock=clock, learn_from=300, index_from=10**6)


def test_both_ways_are_fused_and_told(vectors: Vectors) -> None:
    """The score is the sum over both places; what the text says word by word is first in each."""
    vectors.vectorize()
    page = Similar(vectors).to_text("race in a signal handler of sshd", 10)
    assert (page.vectors, page.embedder, page.note) == ("ready", "lsa-1", "")
    assert {one.cve for one in page.similar[:2]} == {"CVE-2024-6387", "CVE-2006-5051"}
    assert "CVE-2024-0009" not in {one.cve for one in page.similar}
    assert {"race", "sshd"} < set(page.words)
    assert len(page.similar) == 10
    for one in page.similar:
        places = [rank for rank in (one.text_rank, one.vector_rank) if rank is not None]
        assert one.score == pytest.approx(sum(1 / (K + rank) for rank in places), abs=1e-6)
        assert (one.cosine is None) == (one.vector_rank is None)
    assert [one.score for one in page.similar] == sorted((one.score for one in page.similar), reverse=True)
    first = next(one for one in page.similar if one.cve == "CVE-2024-6387")
    assert (first.severity, first.cvss, first.products, first.description) == ("high", 8.1, ("openbsd:openssh",), RACE)


def test_like_another_one_but_not_itself(vectors: Vectors) -> None:
    """By the vector that it has; by its text where it has none, as one that was rejected."""
    vectors.vectorize()
    similar = Similar(vectors)
    page = similar.to_cve("CVE-2024-6387", 5)
    assert page.cve == "CVE-2024-6387"
    assert all("race" in one.description.lower() for one in page.similar)
    assert "CVE-2024-6387" not in {one.cve for one in page.similar}
    assert similar.to_cve("CVE-2024-0009", 5).similar[0].cve == "CVE-2024-6387"
    with pytest.raises(NotFound):
        similar.to_cve("CVE-1999-9999", 5)


def test_without_vectors_words_alone_answer(vectors: Vectors) -> None:
    """And it says so: none, or being made."""
    similar = Similar(vectors)
    page = similar.to_text("signal handler race", 5)
    assert (page.vectors, page.embedder) == ("none", "")
    assert page.similar[0].vector_rank is None
    assert {one.cve for one in page.similar[:2]} == {"CVE-2024-6387", "CVE-2006-5051"}
    vectors.embed(vectors.plan().embedder, 0)
    assert similar.to_text("signal handler race", 5).vectors == "filling"


def test_filters_hold_in_both(vectors: Vectors) -> None:
    """Severity, score and KEV; as many as there are."""
    vectors.vectorize()
    similar = Similar(vectors)
    assert [one.cve for one in similar.to_text(RACE, 9, Filter(("high",))).similar] == [
        "CVE-2024-6387",
        "CVE-2006-5051",
    ]
    assert [one.cve for one in similar.to_text(RACE, 9, Filter(kev=True)).similar] == ["CVE-2006-5051"]
    assert [one.cve for one in similar.to_cve("CVE-2024-6387", 9, Filter(min_cvss=9.0)).similar] == ["CVE-2006-5051"]


@pytest.mark.parametrize("text", ["", "the", "?!", "zzzzqqqq"])
def test_a_text_that_says_nothing_finds_what_it_finds(vectors: Vectors, text: str) -> None:
    """Nothing, or whatever is near to a word that nobody uses; no error."""
    vectors.vectorize()
    page = Similar(vectors).to_text(text, 5)
    assert all(one.text_rank is None for one in page.similar)


def test_whether_texts_leave_is_told(vectors: Vectors, database: Database, blobs: BlobStore, clock: Clock) -> None:
    """Where vectors are made here they do not, nor where nothing makes any; a service at loopback is this machine."""
    assert not Similar(vectors).leaves
    with serving(FakeEmbedder()) as fake:
        served = Vectors(database, blobs, clock=clock, service=Service(Place(fake.url, "fake-model")))
        served.vectorize()
        assert not Similar(served).leaves
    urls = ("http://localhost:1", "http://[::1]:1", "http://10.0.0.5:1", "https://embeddings.example.org/v1")
    assert [Place(url, "m").on_this_machine for url in urls] == [True, True, False, False]


def test_a_service_that_is_away_leaves_words(
    vectors: Vectors, database: Database, blobs: BlobStore, clock: Clock
) -> None:
    """The answer comes at once, and says why. A text goes to no other place than the one that made the vectors; another
    CVE's neighbours need no service at all.
    """
    with serving(FakeEmbedder()) as fake, serving(FakeEmbedder()) as other:
        place = Place(fake.url, "fake-model")
        served = Vectors(database, blobs, clock=clock, service=Service(place))
        served.vectorize()
        assert Similar(served).to_text(RACE, 5).similar[0].vector_rank is not None
        assert fake.requests[-1]["input"] == [RACE]
        fake.fail = lambda number: (503, {}, b"")
        page = Similar(served).to_text(RACE, 5)
        assert page.note.startswith("By words alone: ")
        assert (page.vectors, page.embedder, page.similar[0].cve) == ("ready", "fake-model", "CVE-2024-6387")
        elsewhere = Vectors(database, blobs, clock=clock, service=Service(place._replace(url=other.url)))
        page = Similar(elsewhere).to_text(RACE, 5)
        assert "which is not the configured service" in page.note
        assert other.requests == []
        assert Similar(elsewhere).to_cve("CVE-2024-6387", 5).similar[0].vector_rank is not None
        assert Similar(vectors).to_text(RACE, 5).similar[0].vector_rank is None


def test_real_weaknesses_have_neighbours_of_their_kind(
    database: Database, blobs: BlobStore, clock: Clock, shared_data: Path
) -> None:
    """Of the CVEs of network products: what is like one of OpenSSH is mostly about SSH, and a description in other
    words finds it.
    """
    told = corpus.real(shared_data)
    Wordy(database).tell_all(told)
    vectors = Vectors(database, blobs, clock=clock)
    assert vectors.vectorize() == len(told)
    assert vectors.status().ready is not None
    texts = dict(told)
    page = Similar(vectors).to_cve("CVE-2016-0777", 10)
    assert sum("ssh" in texts[one.cve].lower() for one in page.similar) >= 6
    page = Similar(vectors).to_text("TLS heartbeat reads beyond a buffer and leaks private keys", 10)
    assert "CVE-2014-0160" in {one.cve for one in page.similar}
