"""Embedders: `Hashed` knows nothing and works from the first text on, `Learned` knows what its sample said.

A vector of `Learned` has two halves: what a text is about (latent semantic analysis: texts are near that use words that
occur together), and the very words, by random signs (Achlioptas, 2003: products of signed sums estimate products of the
rare words themselves). The first alone confuses products that have the same kind of weakness; the second alone finds
nothing that is said in other words.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Final, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from spectra.errors import BadRequest, Corrupt
from spectra.intel.embed import lsa
from spectra.intel.embed.features import Counted, Reader, are_pairs
from spectra.intel.embed.lsa import Floats, Vocabulary

HASHED: Final = "hashed-1"
LEARNED: Final = "lsa-1"
"""Names of what this release makes vectors by. Another number: vectors of the one are none of the other."""

DIMS: Final = 256
_TOPICS: Final = 128  # dimensions of the analysis; the signs have the rest
_WORDS: Final = 32_768  # of the vocabulary
_LEAST: Final = 3  # texts of the sample that a feature has to be in
_MOST: Final = 0.3  # part of the sample that it may be in
_WORDED: Final = 1.4  # weight of the very words beside what the text is about
_PAIR: Final = 0.5  # weight of two neighbouring words beside that of a word
_BATCH: Final = 256  # texts at a time: bounds memory
_MAGIC: Final = b"SPCLSA\x00\x01"


class Embedder(Protocol):
    """Makes vectors of `dims` dimensions."""

    @property
    def dims(self) -> int:
        """How many numbers a vector has."""
        ...

    def embed(self, texts: Sequence[str]) -> Floats:
        """A vector of length 1 for each text, (texts, dims); zeros for one that says nothing."""
        ...


class Hashed:
    """By the words alone, all alike. Thread-safe."""

    def __init__(self, dims: int = DIMS) -> None:
        self.dims = dims
        self._reader = Reader()
        self._lock = threading.Lock()

    def embed(self, texts: Sequence[str]) -> Floats:
        """See `Embedder`."""
        return _stacked(self._part(counted) for counted in _counted(self._reader, self._lock, texts))

    def _part(self, counted: Counted) -> Floats:
        weights = np.where(are_pairs(counted.ids), _PAIR, 1.0)
        return signed(counted, weights, self.dims)


class Learned:
    """By a vocabulary and what was learned of its words. Thread-safe. Made by `load` of what `fit` gave."""

    def __init__(self, words: Vocabulary, topics: npt.NDArray[np.float16], unknown: float) -> None:
        self._words = words
        self._topics = topics
        self._unknown = unknown  # the weight of a word that no text of the sample had
        self._reader = Reader()
        self._lock = threading.Lock()

    @property
    def dims(self) -> int:
        """See `Embedder`."""
        return DIMS

    def embed(self, texts: Sequence[str]) -> Floats:
        """See `Embedder`."""
        return _stacked(self._part(counted) for counted in _counted(self._reader, self._lock, texts))

    def _part(self, counted: Counted) -> Floats:
        topics = unit(lsa.times(lsa.weighed(counted, self._words), self._topics))
        wanted = DIMS - topics.shape[1]
        return unit(np.hstack((topics, _WORDED * signed(counted, self._weights(counted), wanted))))

    def _weights(self, counted: Counted) -> npt.NDArray[np.float64]:
        """Of words by how rare they are; of pairs only those that are known: most of the others are chance."""
        columns, known = lsa.found(counted, self._words)
        pairs = are_pairs(counted.ids)
        weights = np.where(pairs, 0.0, self._unknown)
        weights[known] = self._words.weights[columns[known]]
        return np.where(pairs, _PAIR * weights, weights)


def fit(texts: Sequence[str]) -> bytes:
    """Learn from a sample of texts; the same texts give the same vectors up to rounding.

    Takes about 15 s and 250 MB for 30,000 texts. Raises `BadRequest` where they are too few to learn anything from.
    """
    reader = Reader()
    sample = _joined([reader.count(texts[i : i + 1000]) for i in range(0, len(texts), 1000)])
    words = lsa.vocabulary(sample, size=_WORDS, least=_LEAST, most=_MOST)
    if len(words.ids) <= _TOPICS or len(texts) <= _TOPICS:
        raise BadRequest(f"{len(texts)} texts are too few to learn from.", reason="too_few_texts")
    matrix = lsa.weighed(sample, words)
    topics = lsa.directions(matrix, len(words.ids), _TOPICS)[0].astype(np.float16)
    head = msgspec.json.encode(_Head(len(words.ids), topics.shape[1], float(np.log(1 + len(texts)) + 1)))
    parts = (words.ids.astype("<u8"), words.weights.astype("<f4"), topics.astype("<f2"))
    return _MAGIC + len(head).to_bytes(4) + head + b"".join(part.tobytes() for part in parts)


class _Head(msgspec.Struct, frozen=True):
    words: int
    topics: int
    unknown: float


def load(data: bytes) -> Learned:
    """The embedder that `fit` learned; raises `Corrupt` for anything else, also of another release."""
    size = int.from_bytes(data[len(_MAGIC) : len(_MAGIC) + 4])
    at = len(_MAGIC) + 4 + size
    if data[: len(_MAGIC)] != _MAGIC:
        raise Corrupt("This is no embedder of this release.", reason="embedder_corrupt")
    try:
        head = msgspec.json.decode(data[at - size : at], type=_Head)
        ids = np.frombuffer(data, "<u8", head.words, at)
        weights = np.frombuffer(data, "<f4", head.words, at + 8 * head.words)
        topics = np.frombuffer(data, "<f2", head.words * head.topics, at + 12 * head.words)
    except (ValueError, msgspec.DecodeError) as error:
        raise Corrupt(f"The embedder cannot be read: {error}", reason="embedder_corrupt") from error
    return Learned(Vocabulary(ids, weights), topics.reshape(head.words, head.topics), head.unknown)


def halves(vectors: Floats) -> list[bytes]:
    """Each vector as big-endian IEEE 754 binary16, as the database takes it."""
    return [row.tobytes() for row in vectors.astype(">f2")]


def unit(vectors: Floats) -> Floats:
    """The rows at length 1; zeros stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def signed(counted: Counted, weights: npt.NDArray[np.float64], dims: int) -> Floats:
    """Sums of random signs of each text's features, weighed, at length 1: (texts, dims)."""
    ids, at = np.unique(counted.ids, return_inverse=True)
    values = ((1 + np.log(counted.counts)) * weights).astype(np.float32)
    row = Counted(counted.starts, at.astype(np.uint64), values)
    return unit(lsa.times(row, signs(ids, dims)))


def signs(ids: npt.NDArray[np.uint64], dims: int) -> Floats:
    """-1 or 1 for each hash and dimension, by SplitMix64 (Steele, Lea and Flood, 2014) of the hash."""
    steps = np.arange(1, -(-dims // 64) + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = ids[:, None] + steps
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    bits = np.unpackbits(mixed.astype("<u8").view(np.uint8), axis=1)[:, :dims]
    return bits.astype(np.float32) * 2 - 1


def _counted(reader: Reader, lock: threading.Lock, texts: Sequence[str]) -> Iterator[Counted]:
    for begin in range(0, len(texts), _BATCH):
        with lock:
            counted = reader.count(texts[begin : begin + _BATCH])
        yield counted


def _stacked(parts: Iterator[Floats]) -> Floats:
    found = list(parts)
    return np.vstack(found) if found else np.zeros((0, DIMS), np.float32)


def _joined(parts: Sequence[Counted]) -> Counted:
    if not parts:
        return Reader().count([])
    offsets = np.cumsum([0, *(len(part.ids) for part in parts)])
    starts = [part.starts[1:] + offset for part, offset in zip(parts, offsets, strict=False)]
    zero = np.zeros(1, np.int64)
    ids, counts = np.concatenate([p.ids for p in parts]), np.concatenate([p.counts for p in parts])
    return Counted(np.concatenate([zero, *starts]), ids, counts)
