"""Insights as they are built: ids that stay, texts that the gate takes, numbers in one spelling."""

from __future__ import annotations

from datetime import timedelta, timezone

import msgspec
import pytest

from spectra.model.ai import Label
from spectra.model.insights import Insight, evidence, insight_id, label_name, line, number
from tests.support.insights import NOON, sample


def test_the_same_conclusion_has_the_same_id() -> None:
    """Whatever it rests on now; another kind, subject or key is another insight."""
    one = sample()
    assert one.id == sample(severity="low", what="", score=3, at=NOON + timedelta(days=1), evidence=[]).id
    assert one.id == insight_id("network-anomaly", "sweep", "host:192.0.2.7")
    assert len({one.id, sample(kind="beacon").id, sample("192.0.2.8").id, sample(key="22/tcp").id}) == 4
    assert one.digest != sample(score=3).digest


def test_texts_are_cut_and_plain() -> None:
    """Controls, line feeds and lone surrogates go, so that no log or terminal is driven; scores are whole, 0 to 100."""
    one = sample(title="a\x1b[2J\nb\ud800" + "x" * 300, score=1e9)
    assert one.title.startswith("a?[2J b?xx")
    assert (len(one.title), one.title[-1], one.score) == (200, "…", 100)
    assert evidence("a\tb", "host:192.0.2.7\n").record == "host:192.0.2.7 "
    assert line("short", 5) == "short"


@pytest.mark.parametrize(("value", "text"), [(3, "3"), (3.0, "3"), (2.71828, "2.718"), (1e-7, "1e-07"), ("x", "x")])
def test_numbers_have_one_spelling(value: float | str, text: str) -> None:
    """Whole ones as such, others to four digits."""
    assert number(value) == text


def test_times_are_told_in_utc() -> None:
    """Wherever they were taken."""
    assert sample(at=NOON.astimezone(timezone(timedelta(hours=2)))).at.isoformat() == "2027-01-01T12:00:00+00:00"


def test_labels_are_named() -> None:
    """As the API tells them."""
    assert [label_name(label) for label in Label] == ["CLOUD_DIRECT", "SANITIZED", "LOCAL_ONLY"]


def test_what_is_no_record_is_refused() -> None:
    """An id names its kind of record."""
    raw = msgspec.json.encode(sample(subjects=["host:192.0.2.7", "thing:1"]))
    with pytest.raises(msgspec.ValidationError, match="subjects"):
        msgspec.json.decode(raw, type=Insight)
