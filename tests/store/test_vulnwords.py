"""Weaknesses by the words of a text."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.store.database import Database
from spectra.store.vectors import Filter
from spectra.store.vulnwords import Wording, chosen, ranked
from tests.store.wordy import Wordy

pytestmark = pytest.mark.engine


@pytest.fixture
def told(database: Database) -> dict[str, int]:
    """Many weaknesses with common words, a few with rare ones; gives the numbers."""
    wordy = Wordy(database)
    wordy.tell_all([(f"CVE-2020-{n:04}", f"SQL injection in the login of product number{n}") for n in range(300)])
    wordy.tell("CVE-2024-6387", "A race condition in the signal handler of sshd", severity="high", kev=date(2024, 7, 2))
    wordy.tell("CVE-2006-5051", "Signal handler race in OpenSSH", severity="low")
    wordy.tell("CVE-2024-0009", "Signal handler race", status="rejected")
    with database.connection() as connection:
        connection.execute("ANALYZE vuln_text")
        return dict(connection.execute("SELECT cve, num FROM vuln").fetchall())


def test_rare_words_decide(database: Database, told: dict[str, int]) -> None:
    """Any of them is enough, and more of them are better; rejected ones are not found; words are told."""
    found, wording = ranked(database, "injection by a signal handler race in sshd", 10)
    assert found[:2] == [told["CVE-2024-6387"], told["CVE-2006-5051"]]
    assert told["CVE-2024-0009"] not in found
    assert {"signal", "handler", "race", "sshd"} < set(wording.words)
    assert ranked(database, "signal handler race", 1)[0] in ([told["CVE-2024-6387"]], [told["CVE-2006-5051"]])


def test_filters_hold(database: Database, told: dict[str, int]) -> None:
    """As for vectors."""
    text = "signal handler race"
    assert ranked(database, text, 9, only=Filter(("low",)))[0] == [told["CVE-2006-5051"]]
    assert ranked(database, text, 9, only=Filter(kev=True))[0] == [told["CVE-2024-6387"]]
    assert ranked(database, text, 9, only=Filter(without=told["CVE-2024-6387"]))[0] == [told["CVE-2006-5051"]]


@pytest.mark.parametrize(
    "text", ["", "the of and", "'; DROP TABLE vuln; --", "a\\' | ! & (x:*) <-> y", "\0 nul", "'" * 99]
)
def test_any_text_can_be_asked_for(database: Database, told: dict[str, int], text: str) -> None:
    """Nothing of it is read as anything but words."""
    ranked(database, text, 5)
    assert len(told) == 303


@given(st.lists(st.tuples(st.text("abcdef", min_size=1, max_size=3), st.floats(0, 1e6)), unique_by=lambda one: one[0]))
def test_what_is_read_is_bounded(expected: list[tuple[str, float]]) -> None:
    """Rare words together are in 2,000 texts at most, the rarest come first."""
    wording = chosen(expected, 1e6)
    rows = dict(expected)
    assert sum(rows[word] for word in wording.rare) <= 2000
    assert len(wording.words) == min(len(expected), 24)
    assert [rows[word] for word in wording.words] == sorted(rows.values())[:24]
    assert list(wording.weights) == sorted(wording.weights, reverse=True)
    assert all(weight > 0 for weight in wording.weights)


def test_common_words_are_looked_for_together() -> None:
    """One that is everywhere says nothing alone."""
    found = chosen([("sql", 50_000.0), ("login", 9_000.0), ("sshd", 12.0)], 100_000)
    assert found[:2] == Wording(("sshd",), ("login", "sql"))[:2]
