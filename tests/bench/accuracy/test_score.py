"""Counting what was found, missed and false."""

from __future__ import annotations

from pathlib import Path

import pytest

from spectra.bench.accuracy import labels
from spectra.bench.accuracy.corpus import Corpus, read
from spectra.bench.accuracy.score import Score, identified, judge, reviewed, total
from tests.bench.accuracy.feeds import fill


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    """The corpus of a small folder."""
    fill(tmp_path)
    return read([tmp_path / "big" / "nvd_cves.jsonl.zst"], lambda text: None)


def test_only_what_the_corpus_can_know_counts(corpus: Corpus, tmp_path: Path) -> None:
    """An unknown CVE is not missed, a later one not false; a label's later versions correct it."""
    (case,) = labels.cases(tmp_path / "labels", "oldest")
    judged = judge(corpus, case)
    assert judged.found == {"CVE-2023-0001"}
    assert judged.missed == judged.disowned == {"CVE-2023-0003"}
    assert [a.cve for a in judged.false] == ["CVE-2023-0002"]
    assert judged.reviewed == {"CVE-2023-0002"}
    assert judged.later == 1
    assert total([judged]) == Score(1, 1, 1)
    assert reviewed([judged]) == Score(2, 0, 0)


def test_scores_are_those_of_information_retrieval() -> None:
    """Precision, recall and their harmonic mean; nothing to find is all found."""
    score = Score(found=6, missed=2, false=4)
    assert (score.precision, score.recall) == (0.6, 0.75)
    assert score.f1 == pytest.approx(2 * 0.6 * 0.75 / 1.35)
    assert Score(0, 0, 0) == (0, 0, 0)
    assert Score(0, 0, 0).precision == Score(0, 0, 0).recall == 1.0
    assert Score(0, 1, 1).f1 == 0.0


def test_banners_have_a_product_and_a_version(corpus: Corpus, tmp_path: Path) -> None:
    """A product under another of its names is right; what is read as nothing is missed, not wrong."""
    found, misses = identified(corpus, list(labels.named(tmp_path / "labels")))
    assert found == (2, 1, 1, 0)
    assert [(item.said, made) for item, made in misses] == [("qwertz", "")]
