"""The feeds of weaknesses that are kept."""

from __future__ import annotations

from datetime import timedelta

import pytest

from spectra.errors import NotFound
from spectra.model.envelope import Problem
from spectra.model.vulnfeeds import Unread, VulnTotals
from spectra.model.vulns import Epss
from spectra.store import vulnscores, vulnsources
from spectra.store.database import Database
from spectra.store.feeds import Validators
from spectra.store.vulnsources import Coverage, Taken
from tests.store.vulnfeed import NOW, record, write

LATER = NOW + timedelta(hours=1)
UNREAD = Unread(30, (Problem("no id", 7),))


def test_the_life_of_a_feed(database: Database) -> None:
    """Expected, begun, taken, found to be as it was, and failed: what was taken stays until more is taken."""
    with database.transaction() as connection:
        vulnsources.expect(connection, "nvd", "", "https://example.org/a", NOW)
        vulnsources.begin(connection, "nvd", "vulnsync-1")
        assert vulnsources.get(connection, "nvd").running == "vulnsync-1"
        taken = Taken("nvd", "2.0", NOW, "ab" * 32, 7, 3, "alice", Validators("e", "m"), NOW)
        vulnsources.finish(connection, "nvd", taken, UNREAD, LATER)
        found = vulnsources.get(connection, "nvd")
        assert (found.kind, found.version, found.sha256, found.records, found.unread) == (
            "nvd",
            "2.0",
            "ab" * 32,
            3,
            UNREAD,
        )
        assert (found.running, found.updated, found.etag, found.since, found.tells) == ("", LATER, "e", NOW, "nvd")
        vulnsources.attempted(connection, "nvd", LATER + timedelta(hours=1), "away\x00")
        failed = vulnsources.get(connection, "nvd")
        assert failed == found._replace(checked=LATER + timedelta(hours=1), error="away")
        vulnsources.attempted(connection, "nvd", LATER)
        assert vulnsources.get(connection, "nvd") == found
        vulnsources.refuse(connection, "nvd", LATER, "a web page")
        assert vulnsources.get(connection, "nvd").error == "a web page"
        assert vulnsources.built(connection, "nvd") == NOW
        assert vulnsources.built(connection, "kev") is None
        vulnsources.remove(connection, "nvd")
        with pytest.raises(NotFound):
            vulnsources.get(connection, "nvd")


def test_another_url_is_another_server(database: Database) -> None:
    """What the one before said of its file says nothing of this one's."""
    with database.transaction() as connection:
        vulnsources.expect(connection, "kev", "", "https://example.org/a", NOW)
        vulnsources.finish(connection, "kev", Taken("kev", validators=Validators("e", "m")), Unread(), NOW)
        vulnsources.expect(connection, "kev", "", "https://example.org/a", NOW)
        assert vulnsources.get(connection, "kev").etag == "e"
        vulnsources.expect(connection, "kev", "", "https://example.org/b", NOW)
        found = vulnsources.get(connection, "kev")
        assert (found.etag, found.modified, found.kind) == ("", "", "kev")


def test_one_coordinator_looks_for_more(database: Database) -> None:
    """Until its lease is over, or somebody looked."""
    with database.transaction() as connection:
        vulnsources.expect(connection, "kev", "", "https://example.org/a", NOW)
    (seen,) = vulnsources.every(database)
    assert vulnsources.claim(database, seen, NOW, LATER)
    assert not vulnsources.claim(database, seen, NOW, LATER)
    assert vulnsources.claim(database, seen, LATER + timedelta(seconds=1), LATER + timedelta(hours=1))
    with database.transaction() as connection:
        vulnsources.attempted(connection, "kev", LATER)
    assert not vulnsources.claim(database, seen, LATER, LATER + timedelta(hours=1))


def test_feeds_that_tell_the_same(database: Database) -> None:
    """The NVD's files and its API do."""
    with database.transaction() as connection:
        for name, kind in (("files", "nvd"), ("api", "nvd-api"), ("list", "cve")):
            vulnsources.expect(connection, name, kind, "upload", NOW)
        assert vulnsources.others_of(connection, vulnsources.get(connection, "files"))
        assert not vulnsources.others_of(connection, vulnsources.get(connection, "list"))


def test_what_is_covered(database: Database) -> None:
    """By source, and in all."""
    write(database, [record(1, "httpd"), record(2, metrics=()), record(3, status="rejected")])
    write(database, [record(1, source="cve", metrics=()), record(4, "proxy", source="cve")])
    with database.transaction() as connection:
        vulnscores.replace_epss(connection, [Epss("CVE-2026-0009", 0.5)])
    covered = vulnsources.coverage(database)
    assert covered["nvd"] == Coverage(3, 1, 2)
    assert covered["cve"] == Coverage(2, 1, 1)
    assert (covered["epss"].cves, covered["kev"].cves) == (1, 0)
    assert vulnsources.totals(database) == VulnTotals(4, 1, 2, 3, 0, 0, 2)
