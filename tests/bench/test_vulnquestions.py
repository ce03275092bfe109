"""The questions about CVEs: forty and more, different, all answered; and the nearest against an exact search."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from spectra.bench import feeds, vulnquestions
from spectra.bench.load import client_of
from spectra.bench.questions import answer, asked
from spectra.bench.server import BenchServer
from spectra.engines.postgres import PostgresServer
from spectra.errors import SpectraError
from spectra.flow.vectorflow import Vectors
from spectra.store.blobs import BlobStore
from spectra.store.database import Database
from tests.bench import weaknesses

pytestmark = pytest.mark.engine


def test_forty_and_more_different_questions() -> None:
    """By words, by filters and by both."""
    questions = vulnquestions.words()
    texts = [sorted((one.params or {}).items()) for one in questions]
    assert len({str(text) for text in texts}) == len(texts) >= 40
    assert sum(len(text) > 2 for text in texts) > 10


@pytest.fixture(scope="module")
def vectors(server: BenchServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vectors]:
    """The stores of the server, with the feeds of a small corpus and no vector yet."""
    folder: Path = tmp_path_factory.mktemp("feeds")
    weaknesses.fill(folder)
    feeds.take(server, feeds.feeds(folder), lambda _: None)
    with Database(PostgresServer(server.data_dir).url, pool_size=2) as database:
        blobs = BlobStore.local(tmp_path_factory.mktemp("blobs"))
        yield Vectors(database, blobs, clock=lambda: datetime.now(UTC))


@pytest.mark.slow
def test_all_are_answered(server: BenchServer, vectors: Vectors) -> None:
    """By words, and by texts whether or not there are vectors; most find something."""
    similar = vulnquestions.similar(vectors.database, 20)
    assert 10 <= len(similar) <= 20
    for questions in (vulnquestions.words(), similar):
        assert asked(server, questions, rounds=1).p95 > 0
    with client_of(server) as client:
        assert all(answer(client, one)["similar"] for one in similar)
        found = [answer(client, one)["vulns"] for one in vulnquestions.words()]
    assert sum(map(bool, found)) >= 2, "the corpus has few words"


@pytest.mark.slow
def test_the_nearest_of_few_vectors_are_all_found(vectors: Vectors) -> None:
    """Without vectors that is said; with few of them, where each is looked at, none is missed."""
    if vectors.current()[0] is None:
        with pytest.raises(SpectraError, match="no vector"):
            vulnquestions.nearest(vectors, lambda _: None)
    vectors.vectorize()
    found = vulnquestions.nearest(vectors, lambda _: None, count=20)
    assert found.recall == 1.0
    assert found.ms_p95 > 0
