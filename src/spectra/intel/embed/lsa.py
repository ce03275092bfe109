"""Latent semantic analysis (Deerwester et al., 1990): a vocabulary weighed by rarity, and a truncated SVD of a sample.

The SVD is the randomised one of Halko, Martinsson and Tropp (2011, algorithms 4.4 and 5.1), whose only large operations
are products of the sparse matrix with thin dense ones; those go row by row, so that memory stays bounded without a
library for sparse matrices.
"""

from __future__ import annotations

import itertools
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from spectra.intel.embed.features import Counted

Floats = npt.NDArray[np.float32]

_SEED: Final = 20_260_301
_SPARE: Final = 16  # more columns than asked for, so that the last of those are right (their section 4.3)
_ROUNDS: Final = 2  # power iterations: the spectrum of texts falls slowly


class Vocabulary(NamedTuple):
    """The features that count: sorted hashes, and the weight of each."""

    ids: npt.NDArray[np.uint64]
    weights: Floats


def vocabulary(sample: Counted, *, size: int, least: int, most: float) -> Vocabulary:
    """The `size` most common features of `sample` that are in `least` texts or more, and at most in the part `most`.

    Weights are smoothed inverse document frequencies: `ln((1 + n) / (1 + df)) + 1`.
    """
    n = len(sample.starts) - 1
    ids, df = np.unique(sample.ids, return_counts=True)
    kept = np.flatnonzero((df >= least) & (df <= max(most * n, least)))
    if len(kept) > size:
        common = np.lexsort((ids[kept], -df[kept]))[:size]  # of equally common ones always the same
        kept = np.sort(kept[common])
    weights = np.log((1 + n) / (1 + df[kept])) + 1
    return Vocabulary(ids[kept], weights.astype(np.float32))


def found(texts: Counted, words: Vocabulary) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """The vocabulary's column of each feature, and whether it has one. The vocabulary is not empty."""
    columns = np.searchsorted(words.ids, texts.ids)
    columns[columns == len(words.ids)] = 0
    return columns, words.ids[columns] == texts.ids


def weighed(texts: Counted, words: Vocabulary) -> Counted:
    """Rows over the vocabulary's columns: `(1 + ln count) * weight`, of length 1 where any feature is known."""
    columns, known = found(texts, words)
    starts = np.concatenate(([0], np.cumsum(known)))[texts.starts].astype(np.int64)
    columns = columns[known]
    values = (1 + np.log(texts.counts[known])) * words.weights[columns]
    rows = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    lengths = np.sqrt(np.bincount(rows, values.astype(np.float64) ** 2, len(starts) - 1))
    values = values / np.maximum(lengths, 1e-12)[rows]
    return Counted(starts, columns.astype(np.uint64), values.astype(np.float32))


def times(matrix: Counted, dense: Floats | npt.NDArray[np.float16]) -> Floats:
    """`matrix @ dense`: (texts, columns) by (columns, k)."""
    out = np.zeros((len(matrix.starts) - 1, dense.shape[1]), np.float32)
    columns, starts = matrix.ids.astype(np.int64), matrix.starts.tolist()
    for row, (begin, end) in enumerate(itertools.pairwise(starts)):
        if begin < end:
            out[row] = matrix.counts[begin:end] @ dense[columns[begin:end]].astype(np.float32, copy=False)
    return out


def transposed(matrix: Counted, columns: int) -> Counted:
    """The same numbers, row by column."""
    order = np.argsort(matrix.ids, kind="stable")
    ids = matrix.ids[order].astype(np.int64)
    starts = np.searchsorted(ids, np.arange(columns + 1)).astype(np.int64)
    return Counted(starts, matrix.rows[order].astype(np.uint64), matrix.counts[order])


def directions(matrix: Counted, columns: int, rank: int) -> tuple[Floats, Floats]:
    """The `rank` right singular vectors (columns, rank) of `matrix` with the largest singular values, and those.

    The same bytes for the same input on one machine; fewer where `matrix` has not that many rows or columns.
    """
    width = min(rank + _SPARE, columns, len(matrix.starts) - 1)
    turned = transposed(matrix, columns)
    start = np.random.default_rng(_SEED).standard_normal((columns, width), np.float32)
    basis = _orthonormal(times(matrix, start))
    for _ in range(_ROUNDS):
        basis = _orthonormal(times(matrix, _orthonormal(times(turned, basis))))
    small = times(turned, basis)  # (columns, width): the transpose of basis' @ matrix
    left, values, _ = np.linalg.svd(small, full_matrices=False)
    left, values = left[:, :rank], values[:rank]
    signs = np.sign(left[np.abs(left).argmax(0), np.arange(left.shape[1])])  # else it is up to the library
    return np.ascontiguousarray(left * signs), values.astype(np.float32)


def _orthonormal(dense: Floats) -> Floats:
    return np.linalg.qr(dense)[0].astype(np.float32)
