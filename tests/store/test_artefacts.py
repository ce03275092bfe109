"""Artefacts: listed by what they belong to, also the hosts that their observations saw."""

from __future__ import annotations

from datetime import timedelta

import pytest

from spectra.errors import BadRequest, NotFound
from spectra.model.results import ArtefactClaim
from spectra.model.work import ArtefactRecord
from spectra.store import artefacts
from spectra.store.artefacts import NewArtefact
from spectra.store.database import Database
from spectra.store.leases import Leased
from tests.store.scribe import Scribe, host, seen
from tests.store.toil import T0, ask, digest, job, submit, workers

pytestmark = pytest.mark.engine


def claim(name: str, kind: str = "raw") -> ArtefactClaim:
    """A file of this name."""
    return ArtefactClaim("log" if kind == "log" else "raw", name, "text/xml", digest(name), len(name))


def brought(database: Database, lease: Leased, observations: tuple[str, ...], *files: NewArtefact) -> list[int]:
    """Have a result stored that comes with these files."""
    claims = tuple(file.claim for file in files)
    submit(database, lease, observations=observations, artefacts=claims)
    with database.transaction() as connection:
        return artefacts.insert(connection, lease.lease, files, T0)


def names(found: tuple[list[ArtefactRecord], str]) -> list[str]:
    """What the files of a page are called."""
    return [artefact.name for artefact in found[0]]


def test_files_are_found_by_all_they_belong_to(database: Database, write: Scribe) -> None:
    """Job, target, scan, observation and host; a log is of every host that its attempt saw, an output of its own."""
    workers(database, "attic")
    first, second = job(database, 1), job(database, 1, scan_id="scan-2")
    one, two = ask(database, "attic", count=2)
    web = write([host("10.0.0.1", T0, seen(80))]).observation_id
    ssh = write([host("10.0.0.2", T0, seen(22))]).observation_id
    other = write([host("10.0.0.1", T0, seen(443))]).observation_id
    ids = brought(
        database,
        one,
        (web, ssh),
        NewArtefact(claim("a.log", "log")),
        NewArtefact(claim("web.xml"), web),
        NewArtefact(claim("ssh.xml"), ssh),
    )
    brought(database, two, (other,), NewArtefact(claim("other.xml"), other))
    assert artefacts.get(database, ids[1]) == ArtefactRecord(
        id=ids[1],
        kind="raw",
        name="web.xml",
        media_type="text/xml",
        sha256=digest("web.xml"),
        size=7,
        job=first.job,
        target=one.target,
        lease=one.lease,
        node="attic",
        created=T0,
        scan_id="scan-1",
        observation_id=web,
    )
    assert names(artefacts.page(database)) == ["other.xml", "ssh.xml", "web.xml", "a.log"]
    assert names(artefacts.page(database, job=second.job)) == ["other.xml"]
    assert names(artefacts.page(database, target=one.target)) == ["ssh.xml", "web.xml", "a.log"]
    assert names(artefacts.page(database, scan_id="scan-2")) == ["other.xml"]
    assert names(artefacts.page(database, observation_id=ssh)) == ["ssh.xml", "a.log"]
    assert names(artefacts.page(database, host="10.0.0.1")) == ["other.xml", "web.xml", "a.log"]
    assert names(artefacts.page(database, host="10.0.0.2")) == ["ssh.xml", "a.log"]
    assert names(artefacts.page(database, host="10.0.0.1", job=first.job)) == ["web.xml", "a.log"]
    later = T0 + timedelta(seconds=1)
    assert names(artefacts.page(database, host="10.0.0.2", seen_from=T0, seen_by=T0)) == ["ssh.xml", "a.log"]
    assert names(artefacts.page(database, host="10.0.0.2", seen_from=later)) == []
    nothing = ({"host": "2001:db8::1"}, {"observation_id": "x"}, {"job": "job-x"}, {"scan_id": "x"}, {"target": 9999})
    for where in nothing:
        assert artefacts.page(database, **where) == ([], "")  # pyright: ignore[reportArgumentType]


def test_pages(database: Database) -> None:
    """Newest first, and a cursor of elsewhere is refused, as is a host that is none."""
    workers(database, "attic")
    job(database, 1)
    (lease,) = ask(database, "attic")
    brought(database, lease, (), *(NewArtefact(claim(f"{n}.xml")) for n in range(5)))
    found, cursor = artefacts.page(database, limit=3)
    rest, end = artefacts.page(database, limit=3, cursor=cursor)
    assert ([artefact.name for artefact in (*found, *rest)], end) == ([f"{n}.xml" for n in (4, 3, 2, 1, 0)], "")
    for field, where in (("cursor", {"cursor": "x"}), ("host", {"host": "example.org"})):
        with pytest.raises(BadRequest) as caught:
            artefacts.page(database, **where)  # pyright: ignore[reportArgumentType]
        assert caught.value.field == field


def test_what_there_is_not(database: Database) -> None:
    """No artefact without a lease; none of this id."""
    with database.transaction() as connection:
        assert artefacts.insert(connection, "x", [], T0) == []
        with pytest.raises(NotFound):
            artefacts.insert(connection, "0" * 32, [NewArtefact(claim("a.xml"))], T0)
    with pytest.raises(NotFound) as caught:
        artefacts.get(database, 1)
    assert caught.value.reason == "unknown_artefact"
