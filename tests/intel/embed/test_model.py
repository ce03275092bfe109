"""Embedders: vectors of length one, the same every time, near where texts are alike."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.errors import BadRequest, Corrupt
from spectra.intel.embed import model
from spectra.intel.embed.lsa import Floats
from spectra.intel.embed.model import DIMS, Embedder, Hashed
from tests.intel.embed import corpus

TEXTS = corpus.texts()
NAMES = ("hashed", "learned")


@cache
def learned() -> bytes:
    """What the texts teach. Seconds of work, which only those wait for who run a test of it."""
    return model.fit(TEXTS)


@cache
def embedder_of(name: str) -> Embedder:
    """One of each kind."""
    return Hashed() if name == "hashed" else model.load(learned())


@pytest.mark.parametrize("name", NAMES)
@given(st.lists(st.text(max_size=200) | st.sampled_from(TEXTS), max_size=4))
def test_vectors_have_length_one_and_are_the_same_twice(name: str, given: Sequence[str]) -> None:
    """Whatever the texts are, alone or together; zeros where nothing is said. Bit by bit."""
    embedder = embedder_of(name)
    found = embedder.embed(given)
    assert found.shape == (len(given), DIMS)
    assert found.dtype == np.float32
    for text, vector in zip(given, found, strict=True):
        length = np.linalg.norm(vector)
        assert length == 0 or abs(length - 1) < 1e-5
        assert embedder.embed([text])[0].tobytes() == vector.tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_the_nearest_is_of_the_same_product_and_kind(name: str) -> None:
    """For nearly every text of the corpus: of the same product, and mostly of the same kind of weakness."""
    vectors = embedder_of(name).embed(TEXTS)
    cosines = vectors @ vectors.T - 2 * np.eye(len(TEXTS))
    best = [TEXTS[n] for n in cosines.argmax(1)]
    same = [
        (a.split("\n")[2] == b.split("\n")[2], a.split("\n")[1] == b.split("\n")[1])
        for a, b in zip(TEXTS, best, strict=True)
    ]
    assert np.mean([product for product, _ in same]) > 0.9
    assert np.mean([kind for _, kind in same]) > 0.6


@pytest.fixture(scope="module")
def real_ones(shared_data: Path) -> tuple[dict[str, str], Embedder, Floats]:
    """Texts of real CVEs by id, an embedder learned of them, and their vectors."""
    known = dict(corpus.real(shared_data))
    embedder = model.load(model.fit(list(known.values())))
    return known, embedder, embedder.embed(list(known.values()))


def nearest(real_ones: tuple[dict[str, str], Embedder, Floats], text: str, k: int) -> list[str]:
    """The ids of the `k` texts nearest to one."""
    known, embedder, vectors = real_ones
    order = np.argsort(-(vectors @ embedder.embed([text])[0]))
    return [list(known)[n] for n in order[:k]]


@pytest.mark.parametrize(("cve", "word"), [("CVE-2016-0777", "openssh"), ("CVE-2014-0160", "openssl")])
def test_neighbours_of_real_weaknesses_are_of_their_kind(
    real_ones: tuple[dict[str, str], Embedder, Floats], cve: str, word: str
) -> None:
    """A weakness is nearest to itself, and most of its neighbours are in the same software."""
    known = real_ones[0]
    found = nearest(real_ones, known[cve], 11)
    assert found[0] == cve
    assert sum(word in known[one].lower() for one in found[1:]) >= 6


def test_other_words_for_the_same_are_near(real_ones: tuple[dict[str, str], Embedder, Floats]) -> None:
    """`XSS` and `cross-site scripting` have no word in common; which goes with which was learned."""
    embedder = real_ones[1]
    pairs = [
        ("XSS", "cross-site scripting"),
        ("directory traversal", "dot dot in a path"),
        ("DoS", "denial of service"),
    ]
    one, other = (embedder.embed([pair[side] for pair in pairs])[:, : model._TOPICS] for side in (0, 1))
    assert (one @ other.T).argmax(1).tolist() == [0, 1, 2]


def test_a_product_nobody_told_of_is_found_by_its_name() -> None:
    """A word that the sample did not have counts as a rare one."""
    vectors = embedder_of("learned").embed(
        ["zyxwvut flaw in login", "zyxwvut denies its service", "wiki denies its service"]
    )
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]


def test_learning_twice_gives_the_same_vectors() -> None:
    """Up to rounding: nothing of it is left to chance."""
    again = model.load(model.fit(TEXTS)).embed(TEXTS[:50])
    np.testing.assert_allclose(again, embedder_of("learned").embed(TEXTS[:50]), atol=1e-3)


def test_too_few_texts_teach_nothing() -> None:
    """It says so rather than to learn chance."""
    with pytest.raises(BadRequest, match="too few"):
        model.fit(TEXTS[:20])
    with pytest.raises(BadRequest, match="too few"):
        model.fit([])


@pytest.mark.parametrize(
    ("before", "part"),
    [
        (b"", slice(0)),
        (b"x" * 100, slice(0)),
        (b"", slice(50)),
        (b"", slice(-1)),
        (b"SPCLSA\x00\x02", slice(8, None)),
    ],
)
def test_damaged_bytes_are_no_embedder(before: bytes, part: slice) -> None:
    """Cut off, of another release, or something else."""
    with pytest.raises(Corrupt):
        model.load(before + learned()[part])


def test_threads_may_share_one() -> None:
    """Each gets what it would get alone."""
    alone = [embedder_of("learned").embed([text])[0].tobytes() for text in TEXTS[:40]]
    shared = model.load(learned())
    with ThreadPoolExecutor(4) as pool:
        together = pool.map(shared.embed, [[text] for text in TEXTS[:40]])
        assert [vectors[0].tobytes() for vectors in together] == alone


def test_halves_are_as_the_database_takes_them() -> None:
    """Big-endian binary16."""
    assert model.halves(np.array([[1.0, -2.0], [0.0, 0.5]], np.float32)) == [b"\x3c\0\xc0\0", b"\0\0\x38\0"]


@given(st.integers(1, 300))
def test_signs_are_fair_and_fixed(dims: int) -> None:
    """Of many hashes, about as many of each, and the first do not depend on how many there are."""
    ids = np.arange(1, 2000, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    found = model.signs(ids, dims)
    assert set(np.unique(found)) == {-1, 1}
    assert np.abs(found.mean(0)).max() < 0.12
    assert (found[:, : min(dims, 64)] == model.signs(ids, 64)[:, :dims]).all()
