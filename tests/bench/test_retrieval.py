"""Recall is counted of answers that are known, by each way of finding them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from spectra.bench.aiworld import World
from spectra.bench.retrieval import WAYS, Row, catalogue, markdown, measured, questions

pytestmark = pytest.mark.engine

WORDS = {f"CVE-2023-{number:04}": f"Catalogued words of number {number}." for number in range(1, 40)}


def test_every_question_has_answers_that_its_kind_promises(world: World) -> None:
    """The same ones each time: they are made of the world alone."""
    asked, again = list(questions(world, WORDS, 4)), list(questions(world, WORDS, 4))
    assert asked == again
    assert {"described", "elsewhere"} <= {one.kind for one in asked}
    assert all(one.answers and one.question for one in asked)
    assert all(len([one for one in asked if one.kind == kind]) <= 4 for kind in {one.kind for one in asked})


def test_recall_is_a_part_of_the_answers(world: World) -> None:
    """A row for each kind and one for all."""
    rows = measured(world, WORDS, lambda _: None, per_kind=2)
    assert rows[-1].kind == "all"
    assert rows[-1].questions == sum(row.questions for row in rows[:-1])
    assert all(0 <= row.recall[way] <= 1 for row in rows for way in WAYS)
    assert "| all |" in markdown(rows)


def test_a_table() -> None:
    """Three decimals for each way."""
    row = Row("all", 7, dict.fromkeys(WAYS, 0.5))
    assert markdown([row]).splitlines()[-1] == "| all | 7 | 0.500 | 0.500 | 0.500 | 0.500 | 0.500 |"


def test_the_catalogue(tmp_path: Path) -> None:
    """Plain or packed; entries without words are left out, and a missing file has none."""
    entries = {"vulnerabilities": [{"cveID": "CVE-1", "shortDescription": "x"}, {"cveID": "CVE-2"}]}
    plain, packed = tmp_path / "kev.json", tmp_path / "kev.json.gz"
    plain.write_text(json.dumps(entries))
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert catalogue(plain) == catalogue(packed) == {"CVE-1": "x"}
    assert catalogue(None) == {}
