"""Rankings of CVEs put together: those that the graph finds, those that words find, those that vectors find.

Reciprocal rank fusion (Cormack, Clarke and Büttcher, 2009): the score is the sum of `weight / (60 + rank)`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from spectra.ai.retrieval.lines import Focus
from spectra.model.similar import SimilarPage

_K: Final = 60


def by_words(page: SimilarPage) -> list[str]:
    """The CVEs that words found, the best first."""
    return _ranked([(one.text_rank, one.cve) for one in page.similar])


def by_vectors(page: SimilarPage) -> list[str]:
    """The CVEs that vectors found, the best first."""
    return _ranked([(one.vector_rank, one.cve) for one in page.similar])


def _ranked(found: Sequence[tuple[int | None, str]]) -> list[str]:
    return [cve for _, cve in sorted((rank, cve) for rank, cve in found if rank is not None)]


def by_question(focus: Focus, texts: Mapping[str, str]) -> list[str]:
    """The CVEs whose texts have words of the question, those with most of them first; of equal ones as they came."""
    scores = {cve: focus.boost(text) for cve, text in texts.items()}
    return sorted((cve for cve in texts if scores[cve]), key=lambda cve: -scores[cve])


def fused(*rankings: Sequence[str], weights: Sequence[float] = ()) -> list[str]:
    """All CVEs of some rankings (each the best first), the best first; of equal ones the lower id. `weights` are 1
    where there are none.
    """
    scores: dict[str, float] = {}
    for ranking, weight in zip(rankings, weights or [1.0] * len(rankings), strict=True):
        for rank, cve in enumerate(dict.fromkeys(ranking), 1):
            scores[cve] = scores.get(cve, 0.0) + weight / (_K + rank)
    return sorted(scores, key=lambda cve: (-scores[cve], cve))
