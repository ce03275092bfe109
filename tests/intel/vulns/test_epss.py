"""EPSS scores in all forms that were ever published."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.intel.vulns import VulnFeedError, open_feed
from spectra.model.envelope import Problem
from spectra.model.vulns import Epss
from tests.intel.vulns.samples import feed, packed

SCORE = Epss("CVE-2024-0001", 0.5, 0.9)


@pytest.mark.parametrize(
    "data",
    [
        b"#model_version:v2025.03.14,score_date:2026-08-16T00:00:00+0000\ncve,epss,percentile\nCVE-2024-0001,0.5,0.9\n",
        b"cve,epss,percentile\r\nCVE-2024-0001,0.50000,0.90000\r\n",
        b'"cve","epss","percentile"\n"CVE-2024-0001","0.5","0.9"\n',
        b"cve;epss;percentile\nCVE-2024-0001;0.5;0.9\n",
        b"CVE-2024-0001,0.5,0.9\n",
        b"percentile,cve,epss\n0.9,CVE-2024-0001,5e-1\n",
        packed({"status": "OK", "data": [{"cve": "CVE-2024-0001", "epss": "0.500", "percentile": "0.9", "date": "x"}]}),
        packed({"data": [{"id": "CVE-2024-0001", "epss": 0.5, "percentile": 0.9}]}),
        packed({"cve": "CVE-2024-0001", "epss": 0.5, "percentile": 0.9}),
    ],
)
def test_every_form_says_the_same(data: bytes) -> None:
    """With and without the comment line and the header, of the API and of mirrors."""
    with feed(data) as read:
        assert read.kind == "epss"
        assert list(read) == [SCORE]


def test_the_comment_line_says_of_when_it_is() -> None:
    """The model and the day; the JSON of mirrors has the day."""
    head = b"#model_version:v2025.03.14,score_date:2026-08-16T00:00:00+0000\ncve,epss,percentile\n"
    with feed(head + b"CVE-2024-0001,0.5,0.9\n") as read:
        assert (read.version, read.built) == ("v2025.03.14", datetime(2026, 8, 16, tzinfo=UTC))
    with feed(packed({"score_date": "2021-08-31T00:00:00+0000", "data": []})) as mirror:
        assert (mirror.kind, mirror.built, list(mirror)) == ("epss", datetime(2021, 8, 31, tzinfo=UTC), [])


def test_without_percentile_there_is_none() -> None:
    """As in the first model, of 2021."""
    assert list(feed(b"cve,epss\nCVE-2024-0001,0.5\n")) == [Epss("CVE-2024-0001", 0.5)]
    assert list(feed(b"cve,epss,percentile\nCVE-2024-0001,0.5,\n")) == [Epss("CVE-2024-0001", 0.5)]


@pytest.mark.parametrize(
    "row", ["CVE-2024-0001", "CVE-1,0.5,0.9", "CVE-2024-0001,1.5,0.9", "CVE-2024-0001,x,0.9", "CVE-2024-0001,nan,"]
)
def test_a_bad_row_is_a_problem_with_its_line(row: str) -> None:
    """No number, none between 0 and 1, no CVE."""
    problem, good = feed(f"cve,epss,percentile\n{row}\nCVE-2024-0001,0.5,0.9\n".encode())
    assert isinstance(problem, Problem)
    assert problem.line == 2
    assert good == SCORE


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_is_rows_problems_or_no_feed(header: str, row: str) -> None:
    """Nothing else gets out."""
    for start in (header, "cve,epss,percentile"):
        try:
            for item in feed(f"{start}\n{row}\n".encode("utf-8", "surrogatepass")):
                assert isinstance(item, Epss | Problem)
        except VulnFeedError:
            continue


def test_real_scores_are_read(shared_data: Path) -> None:
    """As many as there are; of 2021 without percentiles."""
    with open_feed(shared_data / "epss" / "epss_scores-2026-08-16.csv.zst") as read:
        scores = [item for item in read if isinstance(item, Epss)]
    assert len(scores) == 360_142
    assert all(item.percentile is not None for item in scores)
    with open_feed(shared_data / "epss" / "epss_2021-08-31.json.zst") as read:
        old = list(read)
        assert read.built == datetime(2021, 8, 31, tzinfo=UTC)
    assert len(old) == 72_272
