"""Weaknesses like a text or like another one: by words and by vectors, fused, and each result explained."""

from __future__ import annotations

import logging
from typing import Final, NamedTuple

import msgspec

from spectra.errors import NotFound, SpectraError
from spectra.flow.embedservice import Service
from spectra.flow.vectorflow import Vectors
from spectra.intel.embed.fusion import Fused, fuse
from spectra.intel.embed.texts import composed
from spectra.model.similar import SimilarPage, SimilarVuln, VectorState
from spectra.model.vulnrecords import VulnSummary
from spectra.store import vectors, vulnwords
from spectra.store.database import Database
from spectra.store.embedders import Embedder
from spectra.store.vectors import Filter, Near, Text
from spectra.store.vulnsearch import summaries

_log = logging.getLogger("spectra.vectors")

CANDIDATES: Final = 100
"""Results of each of the two ways that are fused."""
_TRIES: Final = 3  # an embedder may be replaced while it is asked
_TOLD_WORDS: Final = 24


class _Vectored(NamedTuple):
    """What vectors say: the nearest, whose vectors those are, and why there are none where there should be some."""

    near: list[Near]
    state: VectorState
    embedder: str = ""
    note: str = ""


class Similar:
    """Answers from one database."""

    def __init__(self, made: Vectors) -> None:
        self._vectors = made
        self._database: Database = made.database

    @property
    def leaves(self) -> bool:
        """Whether a text that is looked for is sent to a service on another machine."""
        ready, _ = self._vectors.current()
        maker = self._vectors.maker(ready) if ready else None
        return isinstance(maker, Service) and not maker.place.on_this_machine

    def to_text(self, text: str, k: int, only: Filter = Filter()) -> SimilarPage:  # noqa: B008 - immutable
        """The `k` weaknesses that are most like `text`. It goes nowhere but to the configured embedder."""
        return self._fused(text, text, k, only)

    def to_cve(self, cve: str, k: int, only: Filter = Filter()) -> SimilarPage:  # noqa: B008 - immutable
        """The `k` weaknesses that are most like `cve`; raises `NotFound`."""
        with self._database.connection() as connection:
            told = vectors.text_of(connection, cve)
        if told is None:
            raise NotFound(f"{cve} is not known.", hint="`spectra feeds status` shows what is.")
        text = composed(told.title, told.description, told.weaknesses, told.products)
        words = f"{told.title}\n{told.description}"
        page = self._fused(words, text, k, only._replace(without=told.num), told)
        return msgspec.structs.replace(page, cve=cve)

    def _fused(self, words: str, text: str, k: int, only: Filter, told: Text | None = None) -> SimilarPage:
        most = max(CANDIDATES, k)
        worded, wording = vulnwords.ranked(self._database, words, most, only=only)
        vectored = self._nearest(text, most, only, told, worded)
        best = fuse(worded, [near.num for near in vectored.near])[:k]
        cosines = {near.num: near.cosine for near in vectored.near}
        with self._database.connection() as connection:
            known = dict(zip([f.item for f in best], summaries(connection, [f.item for f in best]), strict=False))
        return SimilarPage(
            similar=tuple(_explained(f, known[f.item], cosines.get(f.item)) for f in best if f.item in known),
            vectors=vectored.state,
            embedder=vectored.embedder,
            words=wording.words[:_TOLD_WORDS],
            note=vectored.note,
        )

    def _nearest(self, text: str, most: int, only: Filter, told: Text | None, worded: list[int]) -> _Vectored:
        """The nearest by the index, and those of `worded` that are as near: an index misses some, mostly of texts that
        are unlike any.
        """
        for _ in range(_TRIES):
            ready, filling = self._vectors.current()
            if ready is None:
                return _Vectored([], "filling" if filling else "none")
            try:
                vector, note = self._vector(ready, text, told)
            except SpectraError as error:
                _log.warning("the embedder cannot be asked: %s", error.message)
                return _Vectored([], "ready", ready.model, f"By words alone: {error.message}")
            if not vector:
                return _Vectored([], "ready", ready.model, note)
            found = vectors.nearest(self._database, ready, vector, most, only=only)
            found += vectors.among(self._database, ready, vector, worded)
            near = sorted(set(found), key=lambda one: (-one.cosine, one.num))[:most]
            if self._vectors.current()[0] == ready or near:
                return _Vectored(near, "ready", ready.model, note)
        return _Vectored([], "ready")

    def _vector(self, ready: Embedder, text: str, told: Text | None) -> tuple[str, str]:
        """The vector that is looked for, as text, or "" and why there is none."""
        if told is not None:
            with self._database.connection() as connection:
                if stored := vectors.stored(connection, ready, told.num):
                    return stored, ""
        maker = self._vectors.maker(ready)
        if maker is None:
            return "", f"By words alone: the vectors are of {ready.place}, which is not the configured service."
        if isinstance(maker, Service):
            maker = maker.once()
        vector = maker.embed([text])[0]
        return (vectors.written(vector.tolist()), "") if vector.any() else ("", "")


def _explained(fused: Fused, vuln: VulnSummary, cosine: float | None) -> SimilarVuln:
    text_rank, vector_rank = fused.ranks
    return SimilarVuln(
        **{name: getattr(vuln, name) for name in VulnSummary.__struct_fields__},
        score=round(fused.score, 6),
        text_rank=text_rank,
        vector_rank=vector_rank,
        cosine=None if cosine is None else round(cosine, 4),
    )
