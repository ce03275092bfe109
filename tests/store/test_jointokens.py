"""Join tokens: who may come, once or often, until when; on record, and of two at once one."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from spectra.errors import BadRequest, NotFound
from spectra.store import jointokens, nodes
from spectra.store.accounts import Act
from spectra.store.database import Database
from spectra.store.jointokens import NewToken
from spectra.store.provenance import links
from tests.store.machines import DAY, HOUR, ROOT, T0, enrol, invite, join, member, told, uri

pytestmark = pytest.mark.engine


def refused(database: Database, name: str, token: str, *, reason: str, spki: str = "", hours: float = 0) -> None:
    """Coming with this token is refused for this reason."""
    with pytest.raises(BadRequest) as caught:
        enrol(database, name, token=token, spki=spki, at=T0 + hours * HOUR)
    assert caught.value.reason == reason


def test_a_token_invites_its_node(database: Database) -> None:
    """The node is there before anybody came, and both are on record, by whom."""
    invite(database, "attic", role="full")
    node = nodes.get(database, "attic")
    assert (node.role, node.standing, node.presence, node.uri) == ("full", "invited", "never", uri("attic"))
    (token,) = jointokens.every(database, T0)
    assert (token.id, token.name, token.role, token.created_by) == ("token-attic", "attic", "full", "root")
    assert (token.used, token.reusable, token.revoked, token.expires) == (0, False, None, T0 + HOUR)
    assert jointokens.find(database, "token-attic") == token
    assert jointokens.find(database, "another") is None
    assert told(database) == ["node.invited", "join-token.added"]


def test_a_reusable_token_names_nobody(database: Database) -> None:
    """And one that is good once has to."""
    invite(database, token="many")
    assert nodes.every(database) == ()
    for wrong in (NewToken("x", "worker", T0 + HOUR), NewToken("x", "worker", T0 + HOUR, "attic", reusable=True)):
        with pytest.raises(ValueError, match="names"):
            jointokens.add(database, wrong, "", ROOT)


def test_a_token_is_good_once(database: Database) -> None:
    """For the machine that came first; its use is on record."""
    token = invite(database, "attic")
    enrol(database, "attic")
    assert jointokens.every(database, T0) == ()
    (used,) = jointokens.every(database, T0, all=True)
    assert used.used == 1
    refused(database, "attic", token, spki="another", reason="token_used")
    assert told(database, "join-token.") == ["join-token.added", "join-token.used"]


def test_an_answer_that_was_lost_does_not_cost_the_token(database: Database) -> None:
    """The same key comes again with it, and gets a certificate: counted once, on record once."""
    token = invite(database, "attic")
    enrol(database, "attic")
    before = told(database)
    assert jointokens.enrolled(database, token, "spki-attic") == "attic"
    assert jointokens.enrolled(database, token, "another") == ""
    assert enrol(database, "attic", at=T0 + HOUR / 2).standing == "invited"
    assert told(database) == before
    refused(database, "attic", token, hours=1, reason="token_expired")


def test_a_token_that_is_none(database: Database) -> None:
    """Unknown, expired, revoked, or another's: nobody gets in."""
    token = invite(database, "attic")
    refused(database, "attic", "another", reason="unknown_token")
    refused(database, "barn", token, reason="name_mismatch")
    refused(database, "attic", token, hours=1, reason="token_expired")
    jointokens.revoke(database, token, ROOT)
    refused(database, "attic", token, reason="token_revoked")
    assert nodes.every(database) == ()


def test_of_many_at_once_one_gets_in(database: Database) -> None:
    """One token copied to several machines: the others are refused, whoever is first."""
    invite(database, "attic")
    start = threading.Barrier(4)

    def attempt(number: int) -> str:
        start.wait(30)
        try:
            enrol(database, "attic", spki=f"key-{number}")
        except BadRequest as error:
            return error.reason
        return ""

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(attempt, range(4))) == ["", *["token_used"] * 3]
    assert jointokens.every(database, T0, all=True)[0].used == 1


def test_a_reusable_token_lets_many_in(database: Database) -> None:
    """Each under a name that nobody had; the same key again under its own."""
    token = invite(database, token="many", role="full")
    for name in ("attic", "barn"):
        assert enrol(database, name, token=token).role == "full"
    refused(database, "attic", token, spki="another", reason="name_taken")
    refused(database, "cellar", token, spki="spki-attic", reason="name_mismatch")
    refused(database, "tokens", token, spki="another", reason="name_taken")
    enrol(database, "attic", token=token)
    assert jointokens.every(database, T0)[0].used == 2


def test_of_two_tokens_for_a_name_the_newest_counts(database: Database) -> None:
    """The first was lost, or went astray; it may say another role, while nobody came."""
    invite(database, "attic", token="first")
    invite(database, "attic", token="second", role="full")
    refused(database, "attic", "first", reason="token_revoked")
    assert enrol(database, "attic", token="second").role == "full"


def test_a_machine_is_replaced_by_invitation(database: Database) -> None:
    """A token for a node that has joined: whoever comes takes its place, and the keys of the former are revoked."""
    member(database, "attic")
    with pytest.raises(BadRequest) as caught:
        invite(database, "attic", token="again", role="full")
    assert caught.value.reason == "role_conflict"
    invite(database, "attic", token="again")
    enrol(database, "attic", token="again", spki="new")
    joined = join(database, "attic")
    assert joined.standing == "active"
    assert joined.certificate
    assert joined.certificate.spki == "new"
    with pytest.raises(BadRequest, match="revoked"):
        nodes.admitted(database, "attic", "spki-attic")


def test_nobody_is_invited_under_a_revoked_name(database: Database) -> None:
    """Nor under one that the API needs itself."""
    member(database, "attic")
    nodes.revoke(database, "attic", "stolen", ROOT)
    for name, reason in (("attic", "node_revoked"), ("refusals", "name_taken")):
        with pytest.raises(BadRequest) as caught:
            invite(database, name, token="again")
        assert caught.value.reason == reason


def test_an_invitation_is_withdrawn(database: Database) -> None:
    """With its token; a node that came stays, though its token is revoked."""
    for name in ("attic", "barn"):
        invite(database, name)
    enrol(database, "barn")
    assert jointokens.revoke(database, "token-attic", Act("bob", T0 + HOUR)).revoked == T0 + HOUR
    jointokens.revoke(database, "token-barn", ROOT)
    assert [node.name for node in nodes.every(database)] == ["barn"]
    before = told(database)
    jointokens.revoke(database, "token-attic", ROOT)
    assert told(database) == before
    assert before[-3:] == ["join-token.revoked", "node.removed", "join-token.revoked"]
    with pytest.raises(NotFound):
        jointokens.revoke(database, "another", ROOT)


def test_names_of_those_who_never_came_are_free_again(database: Database) -> None:
    """A day after the token expired, when the next is made."""
    invite(database, "attic")
    invite(database, "barn", act=Act("root", T0 + DAY))
    assert [node.name for node in nodes.every(database)] == ["attic", "barn"]
    invite(database, "cellar", act=Act("root", T0 + DAY + HOUR))
    assert [node.name for node in nodes.every(database)] == ["barn", "cellar"]
    removed = [link.detail() for link in links(database) if link.kind == "node.removed"]
    assert removed == [{"name": "attic", "why": "nobody came"}]


def test_the_list(database: Database) -> None:
    """Newest first; without those that let nobody in any more unless all are asked for."""
    for hours, name in enumerate(("attic", "barn", "cellar")):
        invite(database, name, act=Act("root", T0 + hours * HOUR / 4))
    jointokens.revoke(database, "token-cellar", ROOT)
    now = T0 + HOUR
    assert [token.name for token in jointokens.every(database, now)] == ["barn"]
    assert [token.name for token in jointokens.every(database, now, all=True)] == ["cellar", "barn", "attic"]


def test_what_is_on_record_is_what_the_rows_say(database: Database) -> None:
    """The newest entry of each token, for who audits the chain."""
    invite(database, "attic")
    enrol(database, "attic")
    last = {link.subject: link.detail() for link in links(database) if link.kind.startswith("join-token.")}
    rows = jointokens.details(database)
    assert last.keys() == rows.keys() == {"join-token:token-attic"}
    assert last["join-token:token-attic"]["used"] == rows["join-token:token-attic"]["used"] == 1
