"""How jobs and targets read: every state in a word, and what was lost on the way."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from spectra.cli import jobpage
from spectra.model.work import AttemptRecord, JobRecord, TargetCounts, TargetRecord
from tests.cli.worksamples import NOW, attempt, job, over, target


def page(**fields: Any) -> str:
    """The page of a job."""
    record = msgspec.convert(job(**fields), JobRecord)
    return "\n".join(line.plain for line in jobpage.job_page(record, NOW))


def test_what_is_known_is_told() -> None:
    """And nothing is where nothing is known."""
    assert "waits" not in page()
    assert "where" not in page()
    told = page(
        constraints={"node": "attic", "region": "eu-west", "relay": True},
        windows=["Mon-Fri 22:00-06:00"],
        waits_for="attic is busy",
        schedule="lab",
        permission={
            "by": "alice",
            "reason": "contract 17",
            "granted": NOW.isoformat(),
            "expires": (NOW + timedelta(days=3)).isoformat(),
            "allow": ["192.168.0.0/16"],
        },
    )
    for words in (
        "on attic, in eu-west, through a relay",
        "Mon-Fri 22:00-06:00",
        "attic is busy",
        "schedule lab",
        "special-use 192.168.0.0/16",
    ):
        assert words in told
    assert "after 4 min" in page(**{name: over()[name] for name in ("state", "counts", "ended")})


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        (TargetCounts(), ""),
        (TargetCounts(waiting=1), "1 waiting"),
        (
            TargetCounts(1, 2, 3, 4000, 5, 6),
            "4,000 done, 2 being scanned, 3 being taken in, 1 waiting, 5 in review, 6 cancelled",
        ),
    ],
)
def test_counts_in_words(counts: TargetCounts, words: str) -> None:
    """What there is of, and in the order that somebody asks for it."""
    assert jobpage.counted(counts) == words


def test_targets_in_a_word() -> None:
    """However many addresses one has."""
    assert jobpage.what(()) == ""
    assert jobpage.what(("192.0.2.0/28",)) == "192.0.2.0/28"
    assert jobpage.what(("192.0.2.0/28", "a.example", "b.example")) == "192.0.2.0/28 and 2 more"


def test_a_target_that_waits_says_until_when() -> None:
    """Where nothing else is told of it."""
    columns = {column.name: column for column in jobpage.target_columns(NOW)}
    later = (NOW + timedelta(seconds=40)).isoformat()
    waits = msgspec.convert(target(state="waiting", not_before=later), TargetRecord)
    assert columns["reason"].value(waits) == "again in 40 s"
    assert columns["reason"].value(msgspec.structs.replace(waits, not_before=NOW)) == ""


def test_loss_is_told_not_hidden() -> None:
    """How much was lost, by which way, where to, and what was done about it."""
    loss = {
        "via": "socks5://relay:1080",
        "vantage": "the direct way",
        "compared": 20,
        "answered": 5,
        "dropping": ["198.51.100.0/24"],
        "rotated": 2,
    }
    record = msgspec.convert(attempt(end="done", stats={"found": 3, "loss": loss}), AttemptRecord)
    told = "\n".join(line.plain for line in jobpage.attempt_lines(record, NOW))
    assert "5 of 20 endpoints that did not answer by socks5://relay:1080 did by the direct way" in told
    assert "dropped on the way to 198.51.100.0/24, another relay was taken 2 times" in told
    none = msgspec.convert(attempt(stats={"loss": {"via": "x"}}), AttemptRecord)
    assert "did not answer" not in "\n".join(line.plain for line in jobpage.attempt_lines(none, NOW))


def test_an_attempt_that_lasts_says_what_it_does() -> None:
    """In the tool's own words; the note of one that ended is of no interest any more."""
    going = msgspec.convert(attempt(end="", ended=None, reason="", message="", note="SYN scan"), AttemptRecord)
    assert "SYN scan" in "\n".join(line.plain for line in jobpage.attempt_lines(going, NOW))
    ended = msgspec.convert(attempt(note="SYN scan"), AttemptRecord)
    assert "SYN scan" not in "\n".join(line.plain for line in jobpage.attempt_lines(ended, NOW))
