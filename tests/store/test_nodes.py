"""The life of a node: invited, enrolled, a member, kept away, thrown out; and whom the mesh lets in meanwhile."""

from __future__ import annotations

import pytest

from spectra.errors import BadRequest, NotFound
from spectra.identity.keys import SigningKey
from spectra.model.nodes import Load, NodeRecord
from spectra.store import certificates, jointokens, keys, nodes, presence
from spectra.store.accounts import Act
from spectra.store.database import Database
from spectra.store.presence import Beat, Seen
from spectra.store.provenance import commit, links
from tests.store.machines import ABLE, DAY, HOUR, ROOT, T0, certificate, enrol, invite, join, member, told, uri

pytestmark = pytest.mark.engine

LATER = Act("bob", T0 + HOUR)


def fails(reason: str) -> pytest.RaisesExc[BadRequest]:
    """Expects a refusal of this reason."""
    return pytest.raises(BadRequest, check=lambda error: error.reason == reason)


def test_a_machine_joins(database: Database) -> None:
    """It enrols with its token, and is a member once it says by which key it signs."""
    invite(database, "attic")
    enrolled = enrol(database, "attic")
    assert (enrolled.standing, enrolled.joined) == ("invited", None)
    assert enrolled.certificate == certificate("attic-spki-attic-011200", "spki-attic")
    key = SigningKey.generate()
    joined = join(database, "attic", key=key, at=T0 + HOUR)
    assert (joined.standing, joined.joined, joined.keyid) == ("active", T0 + HOUR, key.public.keyid)
    assert (joined.capabilities, joined.transport, joined.presence) == (ABLE, "mqtt", "never")
    known = keys.find(database, key.public.keyid)
    assert known
    assert (known.contributor, known.role, known.status) == ("node-attic", "module", "active")
    assert told(database) == [
        "node.invited",
        "join-token.added",
        "join-token.used",
        "node.enrolled",
        "key.registered",
        "node.joined",
    ]


def test_joining_again_changes_nothing(database: Database) -> None:
    """An answer was lost: the same key again, with the very same statement; with another, the former signs no more."""
    key = SigningKey.generate()
    first = member(database, "attic", key=key)
    before = told(database)
    assert join(database, "attic", key=key, at=T0 + HOUR) == first
    assert told(database) == before
    other = SigningKey.generate()
    assert join(database, "attic", key=other).keyid == other.public.keyid
    former = keys.find(database, key.public.keyid)
    assert former
    assert former.status == "revoked"


def test_who_may_not_join(database: Database) -> None:
    """A stranger, one without a certificate, one with another's key, and one whose key was revoked by itself."""
    with pytest.raises(NotFound):
        join(database, "attic")
    invite(database, "attic")
    with fails("not_joined"):
        join(database, "attic")
    key = SigningKey.generate()
    member(database, "barn", key=key)
    enrol(database, "attic")
    with fails("key_exists"):
        join(database, "attic", key=key)
    assert nodes.get(database, "attic").standing == "invited"
    keys.revoke(database, key.public.keyid, T0)
    with fails("revoked"):
        join(database, "barn", key=key)


def test_another_authority_may_have_issued_the_certificate(database: Database) -> None:
    """Then the mesh sees it first when its holder joins: the token was used up elsewhere."""
    invite(database, "attic")
    key = SigningKey.generate().public
    joined = nodes.join(
        database,
        "attic",
        keyid=key.keyid,
        public_key=key.raw,
        capabilities=ABLE,
        transport="nats",
        nonce="n",
        now=T0,
        certificate=certificate(7, "theirs"),
    )
    assert joined.certificate == certificate(7, "theirs")
    assert nodes.admitted(database, "attic", "theirs").standing == "active"


def test_a_machine_may_have_to_prove_itself_first(database: Database) -> None:
    """Then it is kept away until it has, by who asks for the proof; an admin's quarantine stays the admin's."""
    words = {"capabilities": ABLE, "nonce": "", "now": T0, "hold": "no proof yet"}
    for name in ("attic", "barn"):
        member(database, name)
    nodes.quarantine(database, "barn", "odd", LATER)
    for name, reason in (("attic", "no proof yet"), ("barn", "odd")):
        key = SigningKey.generate().public
        held = nodes.join(database, name, keyid=key.keyid, public_key=key.raw, transport="mqtt", **words)  # pyright: ignore[reportArgumentType]
        assert (held.standing, held.reason) == ("quarantined", reason)
    by = [link.detail()["by"] for link in links(database) if link.kind == "node.joined"]
    assert by == ["root", "root", "attestation", "bob"]


def test_a_coordinator_is_a_node_too(database: Database) -> None:
    """Active at once; its renewals change nothing but the certificate."""
    first = nodes.establish(database, "hub", uri("hub"), certificate=certificate(1, "a"), now=T0)
    assert (first.role, first.standing, first.joined) == ("coordinator", "active", T0)
    again = nodes.establish(database, "hub", uri("hub"), certificate=certificate(2, "a", T0 + HOUR), now=T0 + HOUR)
    assert again.joined == T0
    assert again.certificate == certificate(2, "a", T0 + HOUR)
    assert told(database) == ["node.joined"]
    member(database, "attic")
    with fails("name_taken"):
        nodes.establish(database, "attic", uri("attic"), certificate=certificate(3, "b"), now=T0)


def test_a_node_is_kept_away_and_let_in_again(database: Database) -> None:
    """With why and by whom; on record once, however often it is said; joining anew does not lift it."""
    member(database, "attic")
    kept = nodes.quarantine(database, "attic", "odd", LATER)
    assert (kept.standing, kept.reason) == ("quarantined", "odd")
    nodes.quarantine(database, "attic", "odd", LATER)
    assert join(database, "attic").standing == "quarantined"
    assert nodes.admitted(database, "attic", "spki-attic").standing == "quarantined"
    freed = nodes.release(database, "attic", LATER)
    assert (freed.standing, freed.reason) == ("active", "")
    nodes.release(database, "attic", LATER)
    assert [kind for kind in told(database, "node.") if kind in ("node.quarantined", "node.released")] == [
        "node.quarantined",
        "node.released",
    ]
    last = [link for link in links(database) if link.kind == "node.quarantined"][-1].detail()
    assert (last["by"], last["reason"]) == ("bob", "odd")


def test_what_cannot_be_decided(database: Database) -> None:
    """About nobody, about one that nobody came as, or about one that is thrown out."""
    invite(database, "attic")
    member(database, "barn")
    nodes.revoke(database, "barn", "stolen", ROOT)
    for name, problem in (("nobody", "unknown_node"), ("attic", "not_joined"), ("barn", "node_revoked")):
        with pytest.raises((BadRequest, NotFound), check=lambda error, problem=problem: error.reason == problem):
            nodes.quarantine(database, name, "x", ROOT)
        with pytest.raises((BadRequest, NotFound), check=lambda error, problem=problem: error.reason == problem):
            nodes.release(database, name, ROOT)
    with pytest.raises(NotFound):
        nodes.revoke(database, "nobody", "x", ROOT)


def test_a_decision_may_be_part_of_another_transaction(database: Database) -> None:
    """For who finds that a node's state has changed: of invited and revoked ones nothing is said."""
    member(database, "attic")
    invite(database, "barn")
    act = Act("attestation", T0)
    for name in ("attic", "barn"):
        commit(
            database,
            lambda connection, name=name: (None, nodes.set_standing(connection, name, "quarantined", "x", act=act)),
        )
    assert [node.standing for node in nodes.every(database)] == ["quarantined", "invited"]
    assert told(database)[-1] == "node.quarantined"


def test_a_revoked_node_is_out_for_good(database: Database) -> None:
    """Its keys, its signatures and its tokens with it; nothing brings it back, and it is on record once."""
    key = SigningKey.generate()
    member(database, "attic", key=key)
    certificates.record(database, "attic", certificate("next", "second", T0 + HOUR), T0 + HOUR)
    invite(database, "attic", token="again")
    out = nodes.revoke(database, "attic", "stolen", LATER)
    assert (out.standing, out.reason) == ("revoked", "stolen")
    assert certificates.revoked(database) == ("second", "spki-attic")
    signs = keys.find(database, key.public.keyid)
    assert signs
    assert signs.status == "revoked"
    for attempt in (
        lambda: nodes.admitted(database, "attic", "second"),
        lambda: enrol(database, "attic", token="again", spki="third"),
        lambda: certificates.record(database, "attic", certificate("x", "third"), T0),
        lambda: join(database, "attic"),
    ):
        with fails("revoked"):
            attempt()
    with pytest.raises(BadRequest, match="attic was revoked: stolen"):
        nodes.admitted(database, "attic", "second")
    before = told(database)
    assert nodes.revoke(database, "attic", "again", ROOT) == out
    assert told(database) == before
    assert before[-3:] == ["join-token.revoked", "key.revoked", "node.revoked"]


def test_a_revoked_machine_does_not_come_back_under_another_name(database: Database) -> None:
    """Whatever token it has: its key is known."""
    member(database, "attic")
    nodes.revoke(database, "attic", "stolen", ROOT)
    invite(database, "barn")
    with fails("revoked"):
        enrol(database, "barn", spki="spki-attic")
    many = invite(database, token="many")
    with fails("revoked"):
        enrol(database, "cellar", token=many, spki="spki-attic")
    assert enrol(database, "barn").standing == "invited"


def test_revoking_whom_nobody_came_as_withdraws_the_invitation(database: Database) -> None:
    """The name is free again."""
    invite(database, "attic")
    assert nodes.revoke(database, "attic", "a slip", ROOT).standing == "revoked"
    assert nodes.find(database, "attic") is None
    assert jointokens.every(database, T0) == ()
    assert invite(database, "attic", token="again") == "again"


def test_a_node_leaves(database: Database) -> None:
    """At its own wish: revoked, and seen to have left."""
    member(database, "attic")
    gone = nodes.leave(database, "attic", Act("node-attic", T0 + HOUR))
    assert (gone.standing, gone.reason, gone.presence, gone.last_seen) == ("revoked", "left", "left", T0 + HOUR)


def test_whom_a_certificate_speaks_for(database: Database) -> None:
    """As of now, and only with a key that is not revoked."""
    key = SigningKey.generate()
    member(database, "attic", role="full", key=key)
    assert nodes.admitted(database, "attic", "spki-attic") == ("attic", "full", "active", key.public.keyid)
    with pytest.raises(NotFound):
        nodes.admitted(database, "nobody", "spki-attic")
    member(database, "barn")
    nodes.revoke(database, "barn", "stolen", ROOT)
    with fails("revoked"):
        nodes.admitted(database, "attic", "spki-barn")


def test_the_members(database: Database) -> None:
    """Those who may speak, with all that decides where; a number tells when to look again, and never goes back."""
    before = nodes.version(database)
    invite(database, "cellar")
    assert (nodes.members(database), nodes.version(database)) == ((), before)
    member(database, "barn", role="full")
    member(database, "attic")
    seen = [nodes.version(database)]
    for change in (
        lambda: nodes.quarantine(database, "attic", "odd", ROOT),
        lambda: certificates.record(database, "attic", certificate("n", "new", T0 + DAY), T0),
        lambda: nodes.revoke(database, "barn", "stolen", ROOT),
        lambda: nodes.establish(database, "hub", uri("hub"), certificate=certificate("h", "hub"), now=T0),
    ):
        change()
        seen.append(nodes.version(database))
    assert seen == sorted(set(seen))
    assert seen[0] > before
    assert nodes.members(database) == (
        ("attic", uri("attic"), "worker", "quarantined", "mqtt", T0 + 2 * DAY, "new"),
        ("hub", uri("hub"), "coordinator", "active", None, T0 + DAY, "hub"),
    )
    presence.heartbeats(database, [Beat("attic", T0, Load())])
    assert nodes.version(database) == seen[-1]


def names(found: tuple[NodeRecord, ...]) -> list[str]:
    """Whom a list has."""
    return [node.name for node in found]


def test_the_list_comes_by_name_in_pages(database: Database) -> None:
    """Of a role, a standing or a presence where that is asked for."""
    for name in ("barn", "attic", "den"):
        member(database, name, role="full" if name == "den" else "worker")
    invite(database, "cellar")
    nodes.quarantine(database, "barn", "odd", ROOT)
    presence.set_presence(database, [Seen("attic", "alive", T0)])
    assert names(nodes.every(database)) == ["attic", "barn", "cellar", "den"]
    assert names(nodes.page(database, limit=2)) == ["attic", "barn"]
    assert names(nodes.page(database, after="barn", limit=2)) == ["cellar", "den"]
    assert names(nodes.page(database, role="full")) == ["den"]
    assert names(nodes.page(database, standing="quarantined")) == ["barn"]
    assert names(nodes.page(database, presence="alive")) == ["attic"]
    assert names(nodes.page(database, presence="never", standing="active")) == ["den"]
    assert nodes.find(database, "nobody") is None
