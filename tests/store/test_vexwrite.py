"""Which version of a VEX document counts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from spectra.errors import BadRequest
from spectra.store import provenance, vexwrite
from spectra.store.audit import plain
from spectra.store.database import Database
from spectra.store.vexwrite import Source
from tests.store.scribe import T0

DAY = timedelta(days=1)
FIRST = Source("urn:x", "openvex", "Acme", 2, T0, b"a" * 32)


def register(database: Database, source: Source) -> None:
    """Read it now."""
    vexwrite.register(database, source, by="alice", now=T0 + 9 * DAY)


@pytest.mark.parametrize(
    "later",
    [
        FIRST._replace(version=3, issued=T0 - DAY, sha256=b"b" * 32),
        FIRST._replace(issued=T0 + DAY, sha256=b"b" * 32),
        FIRST._replace(sha256=b"b" * 32),
        FIRST._replace(id="urn:y", version=1),
    ],
)
def test_a_later_one_counts(database: Database, later: Source) -> None:
    """By its version, then its time; what is no older takes the place too. All of it is in the chain."""
    for source in (FIRST, later):
        register(database, source)
        with database.connection() as connection:
            vexwrite.require_newest(connection, source)
    told = {link.subject: link.detail() for link in provenance.links(database) if link.kind == "vex.imported"}
    assert told == {subject: plain(detail) for subject, detail in vexwrite.details(database).items()}
    assert provenance.head(database)[0] == 2
    if later.id == FIRST.id:
        with database.connection() as connection, pytest.raises(BadRequest) as caught:
            vexwrite.require_newest(connection, FIRST)
        assert caught.value.reason == "vex_superseded"


def test_the_same_again(database: Database) -> None:
    """Is no change."""
    register(database, FIRST)
    register(database, FIRST)
    assert provenance.head(database)[0] == 1


@pytest.mark.parametrize("older", [FIRST._replace(version=1, issued=T0 + DAY), FIRST._replace(issued=T0 - DAY),
                                   FIRST._replace(issued=None)])  # fmt: skip
def test_an_older_one_is_refused(database: Database, older: Source) -> None:
    """With the version that was read, and nothing is written."""
    register(database, FIRST)
    with pytest.raises(BadRequest, match="Version 2 of 2026-01-01") as caught:
        register(database, older)
    assert caught.value.reason == "vex_older"
    assert provenance.head(database)[0] == 1


def test_a_document_that_nobody_read(database: Database) -> None:
    """Does not count."""
    with database.connection() as connection, pytest.raises(BadRequest):
        vexwrite.require_newest(connection, FIRST)
