"""The randomised SVD and the products it is made of, against numpy's own on dense matrices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.intel.embed import lsa
from spectra.intel.embed.features import Counted, Reader
from tests.intel.embed.corpus import texts


def sparse(dense: np.ndarray) -> Counted:
    """The rows of a dense matrix."""
    rows, columns = np.nonzero(dense)
    starts = np.searchsorted(rows, np.arange(len(dense) + 1)).astype(np.int64)
    return Counted(starts, columns.astype(np.uint64), dense[rows, columns].astype(np.float32))


def dense(matrix: Counted, columns: int) -> np.ndarray:
    """The matrix, whole."""
    out = np.zeros((len(matrix.starts) - 1, columns), np.float32)
    out[matrix.rows, matrix.ids.astype(np.int64)] = matrix.counts
    return out


@given(st.integers(1, 8), st.integers(1, 9), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_products_are_those_of_dense_matrices(rows: int, columns: int, wide: int, seed: int) -> None:
    """Also where rows or columns are empty, and of the transpose."""
    rng = np.random.default_rng(seed)
    matrix = rng.integers(-2, 3, (rows, columns)) * (rng.random((rows, columns)) < 0.4)
    right, left = rng.standard_normal((columns, wide), np.float32), rng.standard_normal((rows, wide), np.float32)
    np.testing.assert_allclose(lsa.times(sparse(matrix), right), matrix @ right, atol=1e-5)
    np.testing.assert_allclose(lsa.times(lsa.transposed(sparse(matrix), columns), left), matrix.T @ left, atol=1e-5)


@pytest.mark.parametrize("shape", [(300, 200), (200, 300), (40, 60)])
def test_the_leading_directions_are_found(shape: tuple[int, int]) -> None:
    """Of a matrix whose singular values fall: the values are numpy's, and so is the space."""
    rng = np.random.default_rng(1)
    left, right = np.linalg.qr(rng.standard_normal(shape))[0], np.linalg.qr(rng.standard_normal(shape[::-1]))[0]
    values = 0.8 ** np.arange(min(shape))
    matrix = (left[:, : len(values)] * values) @ right[:, : len(values)].T
    found, sizes = lsa.directions(sparse(matrix), shape[1], 10)
    true = np.linalg.svd(matrix)[2][:10].T
    np.testing.assert_allclose(sizes, np.linalg.svd(matrix)[1][:10], rtol=1e-3)
    np.testing.assert_allclose(np.abs(np.sum(found * true, axis=0)), 1, atol=1e-3)
    assert lsa.directions(sparse(matrix), shape[1], 10)[0].tobytes() == found.tobytes(), "not the same twice"


def test_a_small_matrix_has_fewer() -> None:
    """No more than it has rows or columns."""
    assert lsa.directions(sparse(np.eye(3)), 3, 10)[0].shape == (3, 3)


def test_a_vocabulary_is_of_what_tells_texts_apart() -> None:
    """Neither what hardly any nor what nearly every text has; of too many the most common, and rare ones weigh more."""
    counted = Reader().count(
        ["heap overflow everywhere", "heap overflow everywhere", "stack everywhere", "x9 everywhere"]
    )
    heap, stack = (Reader().count([word]).ids[0] for word in ("heap", "stack"))
    words = lsa.vocabulary(counted, size=100, least=2, most=0.5)
    assert heap in words.ids
    assert stack not in words.ids
    assert Reader().count(["everywhere"]).ids[0] not in words.ids
    all_of_them = lsa.vocabulary(counted, size=100, least=1, most=1)
    weights = dict(zip(all_of_them.ids.tolist(), all_of_them.weights.tolist(), strict=True))
    assert weights[int(stack)] > weights[int(heap)]
    assert len(lsa.vocabulary(counted, size=2, least=1, most=1).ids) == 2
    assert list(words.ids) == sorted(words.ids)


def test_rows_over_a_vocabulary_have_length_one() -> None:
    """Or none, where nothing is known; words outside of it are left out."""
    counted = Reader().count(texts())
    words = lsa.vocabulary(counted, size=500, least=3, most=0.3)
    matrix = lsa.weighed(Reader().count([*texts()[:50], "nothing of it", ""]), words)
    lengths = np.linalg.norm(dense(matrix, len(words.ids)), axis=1)
    np.testing.assert_allclose(lengths[:50], 1, atol=1e-5)
    assert lengths[50:].tolist() == [0, 0]
