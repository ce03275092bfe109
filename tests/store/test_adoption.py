"""Certificates from another CA: recorded when they are shown, and a new key costs a token."""

from __future__ import annotations

from datetime import datetime

import pytest

from spectra.errors import BadRequest, NotFound
from spectra.model.nodes import CertificateRecord, NodeRecord
from spectra.store import certificates, jointokens, nodes
from spectra.store.accounts import Act
from spectra.store.adoption import adopt
from spectra.store.database import Database
from tests.store.machines import DAY, HOUR, ROOT, T0, certificate, invite, join, told, uri

pytestmark = pytest.mark.engine


def come(database: Database, name: str, record: CertificateRecord, at: datetime = T0) -> NodeRecord | None:
    """A machine shows a certificate of `name`."""
    return adopt(database, name, uri(name), record, at)


def test_the_first_certificate_uses_the_invitation_up(database: Database) -> None:
    """As a certificate of our own CA would; the same key again is a renewal and costs nothing."""
    invite(database, "attic")
    first = certificate("1", "spki-a")
    enrolled = come(database, "attic", first)
    assert enrolled
    assert (enrolled.standing, enrolled.certificate) == ("invited", first)
    (token,) = jointokens.every(database, T0, all=True)
    assert token.used == 1
    join(database, "attic")
    before = told(database)
    assert come(database, "attic", certificate("2", "spki-a"), T0 + HOUR) is None
    assert certificates.holder(database, "2") == "attic"
    assert told(database) == before


def test_another_key_costs_a_token(database: Database) -> None:
    """Whoever gets certificates of the same name there takes nobody's place; who is invited anew does."""
    invite(database, "attic")
    come(database, "attic", certificate("1", "spki-a"))
    with pytest.raises(BadRequest) as caught:
        come(database, "attic", certificate("2", "spki-b"))
    assert caught.value.reason == "unknown_token"
    assert certificates.holder(database, "2") == ""
    invite(database, "attic", token="token-2")
    with pytest.raises(BadRequest):
        come(database, "attic", certificate("2", "spki-b"), T0 + DAY)  # the invitation has expired
    assert come(database, "attic", certificate("2", "spki-b"))
    assert certificates.is_revoked(database, "spki-a")
    with pytest.raises(BadRequest) as late:
        come(database, "attic", certificate("3", "spki-a"))
    assert late.value.reason in ("revoked", "unknown_token")


def test_who_is_not_taken_in(database: Database) -> None:
    """Strangers, and those who were thrown out."""
    with pytest.raises(NotFound):
        come(database, "nobody", certificate("1", "spki-a"))
    invite(database, "attic")
    come(database, "attic", certificate("1", "spki-a"))
    nodes.revoke(database, "attic", "stolen", Act(ROOT.by, T0))
    with pytest.raises(BadRequest) as caught:
        come(database, "attic", certificate("2", "spki-a"))
    assert caught.value.reason == "revoked"
