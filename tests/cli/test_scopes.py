"""`spectra scope`: the files of the law."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from spectra.cli.scopes import law
from spectra.collect.consent import load
from spectra.collect.scope import OutOfScope
from spectra.settings import Settings
from tests.cli.conftest import Run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The user's configuration folder."""
    return tmp_path / "config" / "spectra"


def test_deny_keeps_what_is_written(run: Run, folder: Path) -> None:
    """Entries are added once, comments stay, and what is taken off is gone."""
    folder.mkdir(parents=True)
    (folder / "do-not-scan.txt").write_text("# ours\n192.0.2.1  # the printer\n")
    assert run("scope", "deny", "192.0.2.1", "*.example.org", "--reason", "asked\nto").code == 0
    assert (folder / "do-not-scan.txt").read_text() == "# ours\n192.0.2.1  # the printer\n*.example.org  # asked to\n"
    assert run("scope", "deny", "--remove", "192.0.2.1").code == 0
    assert (folder / "do-not-scan.txt").read_text() == "# ours\n*.example.org  # asked to\n"
    assert run("scope", "deny", "--remove", "192.0.2.77").code == 4


def test_what_is_no_target_is_refused(run: Run, folder: Path) -> None:
    """A slip is not written into the law."""
    assert run("scope", "deny", "not a target").code == 2
    assert run("scope", "allow", "example.org").code == 2
    assert run("scope", "consent", "http://x/", "--reason", "y").code == 2
    assert not folder.exists() or not list(folder.iterdir())


def test_allow_is_a_setting(run: Run) -> None:
    """Allowed networks stand in the settings, so that the server reads the same."""
    assert run("scope", "allow", "10.0.0.0/8", "192.168.1.0/24").code == 0
    assert Settings().scan.allow == ["10.0.0.0/8", "192.168.1.0/24"]
    assert run("scope", "allow", "10.0.0.0/8").code == 0
    assert run("scope", "allow", "--remove", "10.0.0.0/8").code == 0
    assert Settings().scan.allow == ["192.168.1.0/24"]
    assert run("scope", "allow", "--remove", "10.0.0.0/8").code == 4


def test_consent_is_on_record(run: Run, folder: Path) -> None:
    """Who, why and until when; without a reason there is no consent."""
    assert (
        run("scope", "consent", "192.0.2.0/24", "--reason", "ticket 4711", "--by", "alice", "--until", "30d").code == 0
    )
    (record,) = load(folder / "consent.jsonl")
    assert (record.targets, record.by, record.reason) == (("192.0.2.0/24",), "alice", "ticket 4711")
    assert record.expires is not None
    assert timedelta(days=29) < record.expires - datetime.now(UTC) < timedelta(days=31)
    assert run("scope", "consent", "192.0.2.0/24", "--reason", " ").code == 2
    assert run("scope", "consent", "192.0.2.0/24", "--reason", "x", "--until", "2001-01-01").code == 2


def test_show(run: Run) -> None:
    """Everything that holds is shown with the place it is written in."""
    assert "Nothing is allowed" in run("scope", "show").err
    run("scope", "allow", "10.0.0.0/8")
    run("scope", "deny", "10.0.0.1")
    run("scope", "consent", "10.0.0.0/8", "--reason", "ours\x1b[2J", "--by", "alice")
    rows = [json.loads(line) for line in run("scope", "show", "--json").lines]
    assert [(row["rule"], row["targets"]) for row in rows] == [
        ("allow", "10.0.0.0/8"),
        ("deny", "10.0.0.1"),
        ("consent", "10.0.0.0/8"),
    ]
    table = run("scope", "show").out
    assert "until further notice" in table
    assert "\x1b" not in table


def test_the_law_is_what_was_written(run: Run) -> None:
    """The scanner is given allow, deny and consent as the commands left them."""
    run("scope", "allow", "10.0.0.0/8")
    run("scope", "deny", "10.0.0.1")
    run("scope", "consent", "10.0.0.0/8", "--reason", "ours")
    now = datetime.now(UTC) + timedelta(seconds=1)
    rules = law(Settings())
    rules.check("10.0.0.2", now)
    for forbidden in ("10.0.0.1", "192.0.2.1", "192.168.0.1"):
        with pytest.raises(OutOfScope):
            rules.check(forbidden, now)


def test_a_damaged_list_stops_everything(run: Run, folder: Path) -> None:
    """A do-not-scan list that cannot be read is a reason not to scan."""
    folder.mkdir(parents=True)
    (folder / "do-not-scan.txt").write_text("192.0.2.1\nnot a target at all\n")
    result = run("scan", "192.0.2.9", "--scanner", "connect", "--consent", "test")
    assert result.code == 2
    assert "do-not-scan.txt:2" in result.err
