"""Certificates of nodes: renewed while neither node nor key is revoked, remembered for as long as that matters."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from spectra.errors import BadRequest, NotFound
from spectra.store import certificates, nodes
from spectra.store.accounts import Act
from spectra.store.database import Database, one
from tests.store.machines import DAY, HOUR, ROOT, T0, certificate, member, told

pytestmark = pytest.mark.engine


def serials(database: Database, name: str = "attic") -> list[str]:
    """The serials that are stored of a node."""
    with database.connection() as connection:
        found = connection.execute("SELECT serial FROM node_certificate WHERE node = %s ORDER BY not_after", [name])
        return [row[0] for row in found]


def test_a_renewal_is_recorded(database: Database) -> None:
    """The same key for longer is no act; another key is."""
    member(database, "attic")
    before = told(database)
    certificates.record(database, "attic", certificate(2, "spki-attic", T0 + HOUR), T0 + HOUR)
    assert told(database) == before
    assert nodes.get(database, "attic").certificate == certificate(2, "spki-attic", T0 + HOUR)
    certificates.record(database, "attic", certificate(3, "new", T0 + 2 * HOUR), T0 + 2 * HOUR)
    assert told(database) == [*before, "node.certified"]
    assert nodes.members(database)[0].spki == "new"
    with pytest.raises(NotFound):
        certificates.record(database, "nobody", certificate(4, "x"), T0)


def test_a_revoked_key_gets_no_certificate(database: Database) -> None:
    """Whoever shows it; the answer to a certificate says whose it was."""
    member(database, "attic")
    member(database, "barn")
    nodes.revoke(database, "barn", "stolen", ROOT)
    assert certificates.is_revoked(database, "spki-barn")
    assert not certificates.is_revoked(database, "spki-attic")
    assert certificates.revoked(database) == ("spki-barn",)
    with pytest.raises(BadRequest) as caught:
        certificates.record(database, "attic", certificate(2, "spki-barn"), T0)
    assert caught.value.reason == "revoked"
    assert serials(database) == ["attic-spki-attic-011200"]


def test_of_a_renewal_and_a_revocation_at_once_the_node_is_out(database: Database) -> None:
    """In whatever order: a key that was certified is revoked with it, or it is not certified any more."""
    start = threading.Barrier(2)

    def renew(name: str) -> None:
        start.wait(30)
        with contextlib.suppress(BadRequest):
            certificates.record(database, name, certificate(f"r-{name}", f"new-{name}"), T0)

    def revoke(name: str) -> None:
        start.wait(30)
        nodes.revoke(database, name, "stolen", ROOT)

    for number in range(5):
        name = f"n{number}"
        member(database, name)
        with ThreadPoolExecutor(2) as pool:
            for future in [pool.submit(renew, name), pool.submit(revoke, name)]:
                future.result(60)
        stored = {f"new-{name}"} if f"r-{name}" in serials(database, name) else set[str]()
        assert stored | {f"spki-{name}"} == {k for k in certificates.revoked(database) if k.endswith(f"-{name}")}


def test_what_is_long_over_is_forgotten(database: Database) -> None:
    """Of a key the newest certificate is kept while it may matter; a key nobody came with for 90 days is not."""
    member(database, "attic")
    for day in range(1, 4):
        certificates.record(database, "attic", certificate(day, "spki-attic", T0 + day * DAY), T0 + day * DAY)
    assert len(serials(database)) == 2  # the newest, and the one that was valid when it came
    certificates.record(database, "attic", certificate(10, "new", T0 + 10 * DAY), T0 + 10 * DAY)
    assert serials(database) == ["3", "10"]
    certificates.record(database, "attic", certificate(99, "new", T0 + 99 * DAY), T0 + 99 * DAY)
    assert serials(database) == ["99"]


def test_a_certificate_is_found_by_its_serial(database: Database) -> None:
    """Whom it was given to."""
    member(database, "attic")
    assert certificates.holder(database, "attic-spki-attic-011200") == "attic"
    assert certificates.holder(database, "7") == ""


def test_the_certificates_that_hold_for_nothing(database: Database) -> None:
    """For a revocation list: those that have not expired, with when they were revoked."""
    for name in ("attic", "barn", "cellar"):
        member(database, name)
    nodes.revoke(database, "attic", "x", Act("root", T0))
    nodes.revoke(database, "barn", "x", Act("root", T0 + HOUR))
    listed = (("barn-spki-barn-011200", T0 + HOUR), ("attic-spki-attic-011200", T0))
    assert certificates.revoked_serials(database, T0 + HOUR) == listed
    assert certificates.revoked_serials(database, T0 + DAY) == ()


def test_the_same_certificate_twice_is_one(database: Database) -> None:
    """A caller that was not answered tries again."""
    member(database, "attic")
    for _ in range(2):
        certificates.record(database, "attic", certificate(2, "spki-attic", T0 + HOUR), T0 + HOUR)
    with database.connection() as connection:
        assert one(connection.execute("SELECT count(*) FROM node_certificate"))[0] == 2
