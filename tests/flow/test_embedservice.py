"""A service that makes vectors, asked over real HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from spectra.errors import SetupError, Unavailable
from spectra.flow import embedservice
from spectra.flow.embedservice import EmbeddingError, Place, Service
from tests.flow.embeddings import Answer, FakeEmbedder, serving


@pytest.fixture
def fake() -> Iterator[FakeEmbedder]:
    """A fake embedder of eight dimensions."""
    with serving(FakeEmbedder()) as one:
        yield one


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two tries is no time to speak of."""
    monkeypatch.setattr(embedservice, "_LONGEST_PAUSE_S", 0.01)


def service(fake: FakeEmbedder, **place: object) -> Service:
    """Asks the fake."""
    return Service(Place(fake.url, "fake-model", **place))  # type: ignore[arg-type]


def test_vectors_come_in_order_and_of_length_one(fake: FakeEmbedder) -> None:
    """In requests of at most `batch` texts, with the key; what says nothing is not sent; dimensions are asked once."""
    asked = service(fake, key="secret", batch=2)
    texts = ["heap overflow", "race", " ", "sql injection", "xss"]
    found = asked.embed(texts)
    assert found.shape == (5, 8)
    lengths = np.linalg.norm(found, axis=1)
    np.testing.assert_allclose(lengths, [1, 1, 0, 1, 1], atol=1e-6)
    for text, vector in zip(texts, found, strict=True):
        np.testing.assert_allclose(vector * 3, fake.vector("fake-model", text), atol=1e-5)
    assert [r["input"] for r in fake.requests] == [["probe"], texts[:2], texts[3:]]
    assert {(r["path"], r["model"], r["encoding_format"]) for r in fake.requests} == {
        ("/v1/embeddings", "fake-model", "float")
    }
    assert all("dimensions" not in r for r in fake.requests)
    assert {h["authorization"] for h in fake.headers} == {"Bearer secret"}
    assert asked.dims == 8


@pytest.mark.parametrize("end", ["", "/", "/v1", "/v1/", "/v1/embeddings"])
def test_the_url_may_be_written_in_any_way(fake: FakeEmbedder, end: str) -> None:
    """Of the server, of its API, or of the very path; without a key none is sent."""
    place = Place(fake.url + end, "m", dims=8)
    Service(place).embed(["x"])
    assert fake.requests[-1]["path"] == "/v1/embeddings"
    assert fake.requests[-1]["dimensions"] == 8
    assert "authorization" not in fake.headers[-1]
    assert place.host == fake.url.removeprefix("http://")


def test_what_passes_is_tried_again(fake: FakeEmbedder) -> None:
    """Too many requests and errors of the server, a bounded number of times; `once` tries once."""
    fake.fail = lambda number: (429 if number == 1 else 503, {"retry-after": "1"}, b"busy") if number < 3 else None
    assert service(fake, dims=8).embed(["x"]).shape == (1, 8)
    assert len(fake.requests) == 3
    fake.fail = lambda number: (500, {}, b"")
    fake.requests.clear()
    with pytest.raises(Unavailable, match="answered 500"):
        service(fake, dims=8).embed(["x"])
    assert len(fake.requests) == 4
    fake.requests.clear()
    with pytest.raises(Unavailable):
        service(fake, dims=8).once().embed(["x"])
    assert len(fake.requests) == 1


def test_waiting_ends_with_the_engine(fake: FakeEmbedder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who stops does not wait for the next try."""
    monkeypatch.setattr(embedservice, "_LONGEST_PAUSE_S", 600)
    fake.fail = lambda number: (503, {"retry-after": "600"}, b"")
    stopped = threading.Event()
    stopped.set()
    with pytest.raises(Unavailable):
        Service(Place(fake.url, "m", dims=8), stopped=stopped).embed(["x"])
    assert len(fake.requests) == 1


def test_a_service_that_is_away_is_unavailable(fake: FakeEmbedder) -> None:
    """Nobody listens there."""
    with pytest.raises(Unavailable, match="cannot be asked"):
        Service(Place("http://127.0.0.1:1", "m", dims=8), retries=0).embed(["x"])


def answered(body: object, status: int = 200, **headers: str) -> Answer:
    """An answer with a JSON body."""
    return status, headers, json.dumps(body).encode()


def item(index: int, *numbers: float) -> dict[str, object]:
    """A vector of an answer."""
    return {"index": index, "embedding": numbers}


EIGHT = (1.0,) * 8
BAD: dict[str, Answer] = {
    "refused": answered({"error": "no such model"}, 404),
    "unauthorized": answered({"error": "who?"}, 401),
    "no JSON": (200, {}, b"<html>"),
    "other JSON": answered({"vectors": []}),
    "too few": answered({"data": []}),
    "too many": answered({"data": [item(0, *EIGHT), item(1, *EIGHT)]}),
    "other index": answered({"data": [item(7, *EIGHT)]}),
    "other dimensions": answered({"data": [item(0, 1.0)]}),
    "no dimensions": answered({"data": [item(0)]}),
    "infinite": (200, {}, b'{"data": [{"index": 0, "embedding": [1e39,0,0,0,0,0,0,0]}]}'),
    "endless": (200, {}, b" " * 200_000),
    "redirect": (307, {"location": "http://127.0.0.1:1/"}, b""),
    "deep": (200, {}, b"[" * 60_000),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_are_no_vectors_is_refused(fake: FakeEmbedder, kind: str) -> None:
    """At once: asking the same again would not help. No redirect is followed."""
    fake.fail = lambda number: BAD[kind]
    with pytest.raises(EmbeddingError):
        service(fake, dims=8).embed(["x"])
    assert len(fake.requests) == 1


def test_more_dimensions_than_can_be_searched_are_refused() -> None:
    """It says so before anything is stored."""
    with serving(FakeEmbedder(4001)) as fake, pytest.raises(SetupError, match="4000"):
        service(fake).probe()
