"""How nodes showed their state, and what they are asked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from spectra.errors import BadRequest, NotFound
from spectra.model.nodes import AttestationRecord
from spectra.store import attestations, audit, nodes, presence
from spectra.store.attestations import MAX_OPEN, Open, Proof
from spectra.store.database import Database
from spectra.store.presence import Seen
from spectra.store.provenance import commit, links
from tests.store.machines import HOUR, ROOT, T0, enrol, invite, member, told

pytestmark = pytest.mark.engine

LATER = T0 + HOUR
ZEROS = {"pcr:0": "00" * 32, "pcr:7": "00" * 32}
CHANGED = ZEROS | {"pcr:7": "77" * 32}


def proof(**said: Any) -> Proof:
    """A good proof by a TPM."""
    fields: dict[str, Any] = {"kind": "tpm", "at": T0, "ok": True, "state": ZEROS, "versions": {}, "ek": "e1"}
    fields |= {"ak": b"ak"} | said
    return Proof(**fields)


def asked(number: int, **said: Any) -> Open:
    """A challenge with a nonce of its own, open for minutes."""
    fields: dict[str, Any] = {"nonce": bytes([number]) * 32, "expires": T0 + timedelta(minutes=3), "pcrs": (0, 7)}
    return Open(**(fields | said))


def settle(database: Database, node: str, one: Proof) -> None:
    """Keep a proof, and compare later ones with it."""

    def work(connection: Any) -> tuple[None, Any]:
        attestations.record(connection, node, one)
        return None, attestations.settle(connection, node, one, one.at)

    commit(database, work)


def shown(database: Database, node: str) -> tuple[Proof | None, Proof | None]:
    """The newest proof and the accepted one."""
    with database.connection() as connection:
        return attestations.proofs(connection, node)


def on_record(database: Database) -> bool:
    """Whether the rows are what the chain says, as the audit compares them."""
    said = {link.subject: link.detail() for link in links(database) if link.kind.startswith("attestation.")}
    return said == {name: audit.plain(detail) for name, detail in attestations.details(database).items()}


def test_a_challenge_is_taken_once(database: Database) -> None:
    """By the node it was for, as it was asked; not by another, twice, or after its time."""
    member(database, "attic")
    member(database, "barn")
    full = asked(1, secret=b"s" * 32, ek=b"ek", ak=b"ak")
    attestations.ask(database, "attic", full, T0)
    attestations.ask(database, "attic", asked(2), T0)
    assert attestations.take(database, "barn", full.nonce, T0) is None
    assert attestations.take(database, "attic", full.nonce, T0) == full
    assert attestations.take(database, "attic", full.nonce, T0) is None
    assert attestations.take(database, "attic", b"\2" * 32, T0 + timedelta(minutes=3)) is None


def test_few_challenges_are_open(database: Database) -> None:
    """The oldest of a node makes room for a new one, and of others' only what is expired goes."""
    member(database, "attic")
    member(database, "barn")
    attestations.ask(database, "barn", asked(99), T0)
    for number in range(MAX_OPEN + 2):
        attestations.ask(database, "attic", asked(number, expires=T0 + timedelta(seconds=60 + number)), T0)
    kept = [number for number in range(MAX_OPEN + 2) if attestations.take(database, "attic", bytes([number]) * 32, T0)]
    assert kept == list(range(2, MAX_OPEN + 2))
    assert attestations.take(database, "barn", b"\x63" * 32, T0)
    attestations.ask(database, "barn", asked(1), T0)
    attestations.ask(database, "attic", asked(2, expires=LATER + HOUR), LATER)
    assert attestations.take(database, "barn", b"\1" * 32, T0) is None


def test_proofs_are_kept_as_they_were(database: Database) -> None:
    """The newest and the accepted one; only what is accepted is on record, and only where it changed."""
    member(database, "attic")
    settle(database, "attic", proof())
    assert shown(database, "attic") == (proof(), proof())
    settle(database, "attic", proof(at=LATER))
    assert shown(database, "attic") == (proof(at=LATER), proof())
    other = proof(at=LATER, kind="statement", state={"binary": "11"}, versions={"binary": "1.2"}, ek="", ak=b"")
    settle(database, "attic", other)
    assert shown(database, "attic") == (other, other)
    assert told(database, "attestation.") == ["attestation.accepted"] * 2
    assert on_record(database)


def test_a_proof_that_does_not_hold_keeps_what_was_shown(database: Database) -> None:
    """The failure is told, and the last state that was proved stays; the first one that fails has none."""
    member(database, "attic")
    with database.transaction() as connection:
        attestations.failed(connection, "attic", "tpm", "forged", T0)
        assert attestations.newest(connection, ["attic"]) == {
            "attic": AttestationRecord("tpm", T0, False, {}, "forged")
        }
        assert attestations.accept(connection, "attic", T0) == []
        attestations.record(connection, "attic", proof())
        attestations.failed(connection, "attic", "statement", "forged", LATER)
        found = attestations.newest(connection, ["attic", "barn"])
    assert found == {"attic": AttestationRecord("tpm", LATER, False, ZEROS, "forged")}


def test_a_release_accepts_what_was_shown_last(database: Database) -> None:
    """What had changed is what later proofs are compared with; a good state is nothing to accept."""
    member(database, "attic")
    settle(database, "attic", proof())
    changed = proof(at=LATER, ok=False, held=True, reason="PCR 7", state=CHANGED, ek="e2")

    def work(connection: Any) -> tuple[None, Any]:
        attestations.record(connection, "attic", changed)
        return None, attestations.accept(connection, "attic", LATER)

    commit(database, work)
    good = changed._replace(ok=True, held=False, reason="")
    assert shown(database, "attic") == (good, good)
    assert on_record(database)
    with database.transaction() as connection:
        assert attestations.accept(connection, "attic", LATER) == []


def test_keys_that_were_proved_are_known(database: Database) -> None:
    """Those of the newest proof and of the accepted one, each once."""
    member(database, "attic")
    with database.connection() as connection:
        assert attestations.keys_of(connection, "attic") == ()
    settle(database, "attic", proof())
    with database.transaction() as connection:
        assert attestations.keys_of(connection, "attic") == ("e1",)
        attestations.record(connection, "attic", proof(ek="e0", ok=False, held=True, reason="another"))
        assert attestations.keys_of(connection, "attic") == ("e0", "e1")


def test_a_revoked_machines_tpm_is_known(database: Database) -> None:
    """Its endorsement key is revoked with it, under whatever name it comes again."""
    member(database, "attic")
    member(database, "barn")
    settle(database, "attic", proof())
    with database.connection() as connection:
        assert attestations.revoked_as(connection, "e1", "barn") == ""
    nodes.revoke(database, "attic", "stolen", ROOT)
    with database.connection() as connection:
        assert attestations.revoked_as(connection, "e1", "barn") == "attic"
        assert attestations.revoked_as(connection, "e1", "attic") == ""
        assert attestations.revoked_as(connection, "e2", "barn") == ""


def test_releasing_a_node_accepts_its_state(database: Database) -> None:
    """The admin's decision and what is accepted by it are on record together, and the node shows it."""
    member(database, "attic")
    settle(database, "attic", proof())
    with database.transaction() as connection:
        changed = proof(at=LATER, ok=False, held=True, reason="PCR 7", state=CHANGED)
        attestations.record(connection, "attic", changed)
    nodes.quarantine(database, "attic", "PCR 7", ROOT)
    found = nodes.get(database, "attic")
    assert found.attestation == AttestationRecord("tpm", LATER, False, CHANGED, "PCR 7")
    released = nodes.release(database, "attic", ROOT)
    assert released.attestation == AttestationRecord("tpm", LATER, True, CHANGED)
    newest, accepted = shown(database, "attic")
    assert newest is not None
    assert accepted is not None
    assert accepted.state == newest.state == CHANGED
    assert on_record(database)


def test_only_members_show_their_state(database: Database) -> None:
    """Not who is unknown, only invited, or revoked."""
    invite(database, "den")
    enrol(database, "den")
    member(database, "attic")
    with database.transaction() as connection:
        assert attestations.member(connection, "attic")[:2] == ("worker", "active")
        with pytest.raises(NotFound):
            attestations.member(connection, "nobody")
        with pytest.raises(BadRequest, match="has not joined"):
            attestations.member(connection, "den")
    nodes.revoke(database, "attic", "stolen", ROOT)
    with database.transaction() as connection, pytest.raises(BadRequest, match="revoked"):
        attestations.member(connection, "attic")


def test_who_is_overdue_is_found(database: Database) -> None:
    """Active nodes that are heard, and showed nothing since a time, or ever; of the roles that are asked."""
    for name in ("alive", "fresh", "silent", "away", "kept"):
        member(database, name)
    member(database, "full", role="full")
    heard = ("alive", "fresh", "silent", "kept", "full")
    presence.set_presence(database, [Seen(name, "alive", T0) for name in heard])
    presence.set_presence(database, [Seen("away", "dead", T0)])
    settle(database, "alive", proof(at=T0 - HOUR))
    settle(database, "fresh", proof(at=LATER))
    nodes.quarantine(database, "kept", "why", ROOT)
    found = attestations.overdue(database, ["worker"], T0 + timedelta(minutes=1))
    assert [(one.name, one.role, one.presence, one.since, one.ever) for one in found] == [
        ("alive", "worker", "alive", T0 - HOUR, True),
        ("silent", "worker", "alive", T0, False),
    ]
    both = attestations.overdue(database, ["worker", "full"], T0 + timedelta(minutes=1))
    assert [one.name for one in both] == ["alive", "full", "silent"]
