"""Nodes show their state to a coordinator: real TPMs, and what a machine that lies could send."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from spectra.collect.attest import attest
from spectra.collect.tpm import Tpm
from spectra.errors import BadRequest, SetupError, SpectraError
from spectra.flow.attestation import BY, CHALLENGE_LIFE, GRACE, Attestations, Rules, rules
from spectra.identity import measure
from spectra.identity.errors import IdentityError
from spectra.identity.keys import SigningKey
from spectra.identity.measure import Measurement
from spectra.model.attestations import Challenge, Evidence, Quote, TpmKeys, Verdict, Word
from spectra.model.nodes import AttestationPolicy, NodeRecord, Role
from spectra.settings import AttestationSettings
from spectra.store import keys, nodes, presence
from spectra.store.accounts import Act
from spectra.store.database import Database
from spectra.store.presence import Seen
from tests.flow.desk import Clock
from tests.identity.test_tpmcredential import opened
from tests.store.machines import enrol, invite, member, told
from tests.support.papertpm import PaperTpm, self_signed
from tests.support.swtpm import SoftTpm, soft, soft_tpm

__all__ = ["soft"]
pytestmark = pytest.mark.engine

MEASURED = Measurement(
    binary="1" * 64, interpreter="2" * 64, configuration="3" * 64, software="1.2.0", python="3.11.2 (main)"
)
HOUR = timedelta(hours=1)


class Desk:
    """A coordinator that nodes show their state to."""

    def __init__(self, database: Database, clock: Clock, **said: Any) -> None:
        self.database, self.clock = database, clock
        self.changes = 0
        self.use(**said)

    def use(self, policy: AttestationPolicy = "preferred", **said: Any) -> None:
        """Start again with other rules."""
        asked = Rules(policies={"worker": policy, "full": policy}, **said)
        self.attestations = Attestations(self.database, asked, clock=self.clock, changed=self._changed)

    def _changed(self) -> None:
        self.changes += 1

    def node(self, name: str) -> NodeRecord:
        """What is known of a node."""
        return nodes.get(self.database, name)

    def admin(self) -> Act:
        """An admin acts now."""
        return Act("root", self.clock())


class Machine:
    """A member of the mesh; `tpm` is what it shows its state by, if anything."""

    def __init__(self, desk: Desk, name: str, tpm: Tpm | None = None, role: Role = "worker") -> None:
        self.desk, self.name, self.tpm = desk, name, tpm
        self.key = SigningKey.generate()
        self.measured = MEASURED
        member(desk.database, name, role=role, key=self.key)

    def show(self) -> Verdict | None:
        """As the agent does, without the network in between."""
        return attest(self._ask, node=self.name, key=self.key, tpm=self.tpm, measured=lambda: self.measured)

    def _ask(self, method: str, path: str, kind: type[Any], /, body: object = None) -> Any:
        asked = self.desk.attestations
        if method == "GET":
            return asked.challenge(self.name)
        if isinstance(body, TpmKeys):
            return asked.credential(self.name, body)
        assert isinstance(body, Evidence)
        return asked.verify(self.name, body)


class Liar:
    """A member whose TPM says whatever a test wants; it has been accepted once."""

    def __init__(self, desk: Desk, name: str = "liar") -> None:
        self.desk, self.name, self.paper = desk, name, PaperTpm()
        member(desk.database, name)
        asked, secret = self.bind(self.paper.keys)
        assert self.send(asked, self.paper.quote(bytes.fromhex(asked.nonce), secret)).ok

    def bind(self, sent: TpmKeys) -> tuple[Challenge, bytes]:
        """A credential, and what it holds as the TPM would tell."""
        asked = self.desk.attestations.credential(self.name, sent)
        return asked, opened(asked.credential, bytes.fromhex(asked.ak)) or b""

    def send(self, asked: Challenge, proof: Quote | Word) -> Verdict:
        """Answer a challenge."""
        return self.desk.attestations.verify(self.name, Evidence(asked.nonce, proof))

    def refused(self, forge: Callable[[bytes], Quote | Word]) -> str:
        """Why a new challenge's answer is refused."""
        asked = self.desk.attestations.challenge(self.name)
        with pytest.raises(SpectraError) as caught:
            self.send(asked, forge(bytes.fromhex(asked.nonce)))
        return caught.value.reason


@pytest.fixture
def desk(database: Database, clock: Clock) -> Desk:
    """A coordinator that prefers TPMs."""
    return Desk(database, clock)


def zeros(pcrs: range = range(8)) -> dict[str, str]:
    """The state of a TPM that nothing was measured into."""
    return {f"pcr:{pcr}": "00" * 32 for pcr in pcrs}


def test_a_tpm_is_bound_and_then_believed(desk: Desk, soft: SoftTpm, tmp_path: Path) -> None:
    """The first state is accepted, the next ones are compared; each shows in the node's record."""
    machine = Machine(desk, "attic", Tpm(soft.tcti, tmp_path))
    for _ in range(2):
        assert machine.show() == Verdict(ok=True, standing="active", every_s=3600, kind="tpm")
        found = desk.node("attic").attestation
        assert found is not None
        assert (found.kind, found.at, found.ok, found.state) == ("tpm", desk.clock(), True, zeros())
        desk.clock.advance(HOUR)
    soft.reboot()
    assert machine.show() == Verdict(ok=True, standing="active", every_s=3600, kind="tpm")
    assert told(desk.database, "attestation.") == ["attestation.accepted"]
    assert desk.changes == 0


def test_a_changed_pcr_is_quarantined_until_released(desk: Desk, soft: SoftTpm, tmp_path: Path) -> None:
    """It says which was what and is what now; back as it was it stays, and an admin's release accepts the new state."""
    machine = Machine(desk, "attic", Tpm(soft.tcti, tmp_path))
    machine.show()
    soft.extend(7)
    verdict = machine.show()
    assert verdict is not None
    assert (verdict.ok, verdict.standing) == (False, "quarantined")
    assert verdict.reason.startswith("PCR 7 was 000000000000 when it was accepted and is ")
    found = desk.node("attic")
    assert (found.standing, found.reason, desk.changes) == ("quarantined", verdict.reason, 1)
    soft.reboot()
    again = machine.show()
    assert again is not None
    assert (again.ok, again.standing, again.reason) == (False, "quarantined", verdict.reason)
    soft.extend(7)
    machine.show()
    nodes.release(desk.database, "attic", desk.admin())
    assert machine.show() == Verdict(ok=True, standing="active", every_s=3600, kind="tpm")
    soft.reboot()
    assert desk.node("attic").standing == "active"
    back = machine.show()
    assert back is not None
    assert "is 000000000000 now" in back.reason


def test_the_same_machine_may_join_again(desk: Desk, soft: SoftTpm, tmp_path: Path) -> None:
    """With a new attestation key of the same TPM; with another TPM it is another machine."""
    Machine(desk, "attic", Tpm(soft.tcti, tmp_path / "one")).show()
    again = Machine(desk, "attic-2", Tpm(soft.tcti, tmp_path / "two"))
    again.name = "attic"
    assert again.show() == Verdict(ok=True, standing="active", every_s=3600, kind="tpm")
    with soft_tpm() as other:
        again.tpm = Tpm(other.tcti, tmp_path / "two")
        verdict = again.show()
    assert verdict is not None
    assert "another TPM" in verdict.reason
    assert verdict.standing == "quarantined"


def test_a_revoked_machine_comes_back_under_no_name(desk: Desk, soft: SoftTpm, tmp_path: Path) -> None:
    """Its TPM is known: the new name gets no work, and says whose it was."""
    Machine(desk, "attic", Tpm(soft.tcti, tmp_path / "one")).show()
    nodes.revoke(desk.database, "attic", "stolen", desk.admin())
    second = Machine(desk, "barn", Tpm(soft.tcti, tmp_path / "two"))
    with pytest.raises(BadRequest, match="revoked as attic") as caught:
        second.show()
    assert caught.value.reason == "machine_revoked"
    found = desk.node("barn")
    assert (found.standing, found.reason) == (
        "quarantined",
        "its proof does not hold: this machine was revoked as attic",
    )


def test_a_machine_that_left_may_come_again(desk: Desk, soft: SoftTpm, tmp_path: Path) -> None:
    """Under another name, with the same TPM; thrown out afterwards it may not."""
    Machine(desk, "attic", Tpm(soft.tcti, tmp_path / "one")).show()
    nodes.leave(desk.database, "attic", desk.admin())
    second = Machine(desk, "barn", Tpm(soft.tcti, tmp_path / "two"))
    assert second.show() == Verdict(ok=True, standing="active", every_s=3600, kind="tpm")
    nodes.revoke(desk.database, "attic", "was stolen", desk.admin())
    with pytest.raises(BadRequest, match="revoked as attic"):
        second.show()
    assert desk.node("barn").standing == "quarantined"


def test_nobody_is_banned_by_a_claim(desk: Desk) -> None:
    """Who shows another machine's endorsement key without holding it has not that machine revoked along."""
    victim = PaperTpm().keys
    member(desk.database, "thief")
    asked = desk.attestations.credential("thief", TpmKeys(ek=victim.ek, ak=PaperTpm().keys.ak))
    guess = PaperTpm().quote(bytes.fromhex(asked.nonce), b"s" * 32)
    with pytest.raises(IdentityError):
        desk.attestations.verify("thief", Evidence(asked.nonce, guess))
    nodes.revoke(desk.database, "thief", "lies", desk.admin())
    assert Liar(desk, "victim").paper.keys.ek == victim.ek
    assert desk.node("victim").standing == "active"


def test_without_a_tpm_the_machines_word_will_do(desk: Desk) -> None:
    """An upgrade may change what runs; something else that changed it may not."""
    machine = Machine(desk, "attic")
    assert machine.show() == Verdict(ok=True, standing="active", every_s=3600, kind="statement")
    machine.measured = msgspec.structs.replace(MEASURED, software="1.3.0", binary="4" * 64)
    assert machine.show() == Verdict(ok=True, standing="active", every_s=3600, kind="statement")
    machine.measured = msgspec.structs.replace(machine.measured, binary="5" * 64)
    verdict = machine.show()
    assert verdict is not None
    assert verdict.reason == "the binary was 444444444444 when it was accepted and is 555555555555 now"
    assert desk.node("attic").standing == "quarantined"
    nodes.release(desk.database, "attic", desk.admin())
    assert machine.show() == Verdict(ok=True, standing="active", every_s=3600, kind="statement")
    assert told(desk.database, "attestation.") == ["attestation.accepted"] * 3


def test_a_tpm_that_is_gone_is_a_change(desk: Desk, soft: SoftTpm, tmp_path: Path) -> None:
    """A machine that had one does not get by with its word; one that gets one is welcome."""
    machine = Machine(desk, "attic")
    machine.show()
    machine.tpm = Tpm(soft.tcti, tmp_path)
    assert machine.show() == Verdict(ok=True, standing="active", every_s=3600, kind="tpm")
    machine.tpm = None
    verdict = machine.show()
    assert verdict is not None
    assert "only gives its word now" in verdict.reason


def test_where_a_tpm_is_required_there_is_no_work_without(desk: Desk, soft: SoftTpm, tmp_path: Path) -> None:
    """A node is held as it joins; its word does not help, its TPM does, and at once."""
    desk.use("required")
    why = desk.attestations.hold_at_join("worker")
    assert "mesh.attestation.worker requires" in why
    machine = Machine(desk, "attic")
    nodes.quarantine(desk.database, "attic", why, Act(BY, desk.clock()))
    verdict = machine.show()
    assert verdict is not None
    assert (verdict.ok, verdict.standing) == (False, "quarantined")
    assert verdict.reason == "it has no TPM to prove its state by, which mesh.attestation.worker requires"
    machine.tpm = Tpm(soft.tcti, tmp_path)
    assert machine.show() == Verdict(ok=True, standing="active", every_s=3600, kind="tpm")
    assert desk.changes == 2


def test_policies_are_by_role(desk: Desk) -> None:
    """Who is not asked is not asked; who was waiting for that alone works again."""
    desk.use("required")
    machine = Machine(desk, "attic")
    machine.show()
    assert desk.node("attic").standing == "quarantined"
    desk.use("off")
    assert desk.attestations.hold_at_join("worker") == ""
    assert desk.attestations.hold_at_join("coordinator") == ""
    assert machine.show() is None
    assert desk.node("attic").standing == "active"
    assert desk.attestations.credential("attic", PaperTpm().keys).policy == "off"
    desk.use("preferred")
    assert machine.show() == Verdict(ok=True, standing="active", every_s=3600, kind="statement")


def test_what_changed_outlives_the_policy(desk: Desk) -> None:
    """Asking no more does not let out who was found changed."""
    machine = Machine(desk, "attic")
    machine.show()
    machine.measured = msgspec.structs.replace(MEASURED, binary="5" * 64)
    machine.show()
    desk.use("off")
    assert machine.show() is None
    assert desk.node("attic").standing == "quarantined"


def test_an_admins_quarantine_is_the_admins_to_end(desk: Desk) -> None:
    """No proof releases whom an admin put away, nor is the admin's reason written over."""
    machine = Machine(desk, "attic")
    nodes.quarantine(desk.database, "attic", "smells of smoke", desk.admin())
    verdict = machine.show()
    assert verdict is not None
    assert (verdict.ok, verdict.standing) == (True, "quarantined")
    machine.measured = msgspec.structs.replace(MEASURED, binary="5" * 64)
    machine.show()
    assert desk.node("attic").reason == "smells of smoke"


def test_a_nonce_is_answered_once(desk: Desk) -> None:
    """A replayed answer, one to nobody's question, another's, or one that is late, counts for nothing."""
    liar = Liar(desk)
    asked = desk.attestations.challenge("liar")
    good = liar.paper.quote(bytes.fromhex(asked.nonce))
    Machine(desk, "attic")
    for send in (
        lambda: desk.attestations.verify("attic", Evidence(asked.nonce, good)),
        lambda: desk.attestations.verify("liar", Evidence("0a" * 32, good)),
    ):
        with pytest.raises(BadRequest) as caught:
            send()
        assert caught.value.reason == "no_challenge"
    assert liar.send(asked, good).ok
    with pytest.raises(BadRequest):
        liar.send(asked, good)
    late = desk.attestations.challenge("liar")
    desk.clock.advance(CHALLENGE_LIFE)
    with pytest.raises(BadRequest):
        liar.send(late, liar.paper.quote(bytes.fromhex(late.nonce)))
    assert desk.node("liar").standing == "active"


def signed(paper: PaperTpm, nonce: bytes, message: bytes) -> Quote:
    """Something else than a quote, signed by the TPM's own key."""
    return Quote(message, paper.sign(message), paper.quote(nonce).pcrs)


def valued(paper: PaperTpm, nonce: bytes, *pcrs: bytes) -> Quote:
    """A quote with other values than it is about."""
    return msgspec.structs.replace(paper.quote(nonce), pcrs=pcrs)


FORGERIES: dict[str, Callable[[PaperTpm, bytes], Quote]] = {
    "another nonce": lambda paper, _: paper.quote(b"m" * 32),
    "another key": lambda _, nonce: PaperTpm().quote(nonce),
    "another value": lambda paper, nonce: valued(paper, nonce, *list(paper.pcrs.values())[:-1], bytes(32)),
    "one value less": lambda paper, nonce: valued(paper, nonce, *list(paper.pcrs.values())[:-1]),
    "fewer PCRs": lambda paper, nonce: PaperTpm(ak=paper.ak, pcrs={0: bytes(32)}).quote(nonce),
    "cut off": lambda paper, nonce: signed(paper, nonce, paper.attest(nonce)[:-5]),
    "no quote": lambda paper, nonce: signed(paper, nonce, paper.attest(nonce, kind=0x8017)),
    "of no TPM": lambda paper, nonce: signed(paper, nonce, paper.attest(nonce, magic=1)),
    "nothing": lambda _paper, _nonce: Quote(b"", b"", ()),
}


@pytest.mark.parametrize("what", FORGERIES)
def test_a_forged_quote_is_refused_and_shows(desk: Desk, what: str) -> None:
    """The node gets no more work and says why, what it proved before stays, and the next good proof ends it."""
    liar = Liar(desk)
    before = desk.node("liar").attestation
    assert before is not None
    desk.clock.advance(HOUR)
    assert liar.refused(lambda nonce: FORGERIES[what](liar.paper, nonce)) in ("bad_quote", "bad_tpm_data")
    found = desk.node("liar")
    assert found.attestation is not None
    assert found.standing == "quarantined"
    assert found.reason.startswith("its proof does not hold: ")
    assert (found.attestation.ok, found.attestation.state) == (False, before.state)
    asked = desk.attestations.challenge("liar")
    assert liar.send(asked, liar.paper.quote(bytes.fromhex(asked.nonce))).standing == "active"


def test_a_copied_credential_does_not_open(desk: Desk) -> None:
    """Without the TPM that holds the keys the secret is not known, and the keys are not bound."""
    member(desk.database, "attic")
    paper = PaperTpm()
    asked = desk.attestations.credential("attic", paper.keys)
    with pytest.raises(IdentityError, match="not opened"):
        desk.attestations.verify("attic", Evidence(asked.nonce, paper.quote(bytes.fromhex(asked.nonce), b"s" * 32)))
    assert desk.attestations.challenge("attic").ak == ""


def test_a_key_that_could_leave_is_not_bound(desk: Desk) -> None:
    """An attestation key that is none is refused without a quarantine: the machine may still give its word."""
    machine = Machine(desk, "attic")
    soft_key = PaperTpm(ak_attributes=0x00040072).keys  # not restricted
    for wrong in (soft_key, TpmKeys(ek=soft_key.ak, ak=PaperTpm().keys.ak), TpmKeys(ek=b"x", ak=b"y")):
        with pytest.raises(IdentityError):
            desk.attestations.credential("attic", wrong)
    assert desk.node("attic").standing == "active"
    assert machine.show() == Verdict(ok=True, standing="active", every_s=3600, kind="statement")


def test_a_word_by_another_key_is_refused(desk: Desk) -> None:
    """A statement has to be signed by a key of this very node that is not revoked."""
    machine, other = Machine(desk, "attic"), Machine(desk, "barn")

    def say(key: SigningKey) -> None:
        asked = desk.attestations.challenge("attic")
        raw = measure.build(key, node="attic", nonce=asked.nonce, measured=MEASURED).decode()
        desk.attestations.verify("attic", Evidence(asked.nonce, Word(raw)))

    for key in (other.key, SigningKey.generate()):
        with pytest.raises(IdentityError, match="no key of this node"):
            say(key)
    say(machine.key)
    keys.revoke(desk.database, machine.key.public.keyid, desk.clock())
    with pytest.raises(IdentityError, match="no key of this node"):
        say(machine.key)


def test_only_members_are_asked(desk: Desk) -> None:
    """Not who is only invited, nor who was revoked, also while a challenge is open."""
    invite(desk.database, "den")
    enrol(desk.database, "den")
    with pytest.raises(BadRequest, match="has not joined"):
        desk.attestations.challenge("den")
    liar = Liar(desk)
    asked = desk.attestations.challenge("liar")
    nodes.revoke(desk.database, "liar", "lies", desk.admin())
    with pytest.raises(BadRequest, match="was revoked"):
        liar.send(asked, liar.paper.quote(bytes.fromhex(asked.nonce)))
    with pytest.raises(BadRequest, match="was revoked"):
        desk.attestations.credential("liar", liar.paper.keys)
    assert desk.node("liar").standing == "revoked"


def test_who_stops_showing_its_state_is_quarantined(desk: Desk) -> None:
    """After three times missed, where it is heard for a while; who is away is not, and answering ends it."""
    machine, away = Machine(desk, "attic"), Machine(desk, "barn")
    machine.show()
    away.show()
    presence.set_presence(desk.database, [Seen("attic", "alive", desk.clock()), Seen("barn", "dead", desk.clock())])
    desk.clock.advance(3 * HOUR)
    assert desk.attestations.lapsed() == 0  # exactly three times
    desk.clock.advance(timedelta(seconds=1))
    assert desk.attestations.lapsed() == 0  # it may just be back
    desk.clock.advance(GRACE)
    assert desk.attestations.lapsed() == 1
    assert desk.attestations.lapsed() == 0
    found = desk.node("attic")
    assert found.standing == "quarantined"
    assert found.reason.startswith("it has not shown its state since 2027-01-01 12:00 UTC")
    assert desk.node("barn").standing == "active"
    assert machine.show() == Verdict(ok=True, standing="active", every_s=3600, kind="statement")


def test_who_never_showed_its_state_is_quarantined(desk: Desk) -> None:
    """A machine that joined and never answered is told apart from one that stopped."""
    Machine(desk, "attic")
    presence.set_presence(desk.database, [Seen("attic", "alive", desk.clock())])
    desk.clock.advance(timedelta(days=400))
    desk.attestations.lapsed()
    desk.clock.advance(GRACE)
    assert desk.attestations.lapsed() == 1
    assert "has not shown its state ever" in desk.node("attic").reason


def test_more_pcrs_may_be_asked_for_later(desk: Desk, soft: SoftTpm, tmp_path: Path) -> None:
    """Their first values are accepted; those of before still count when they are asked for again."""
    machine = Machine(desk, "attic", Tpm(soft.tcti, tmp_path))
    machine.show()
    desk.use(pcrs=(14,))
    assert machine.show() == Verdict(ok=True, standing="active", every_s=3600, kind="tpm")
    soft.extend(7)
    assert machine.show() == Verdict(ok=True, standing="active", every_s=3600, kind="tpm")
    desk.use(pcrs=(7, 14))
    verdict = machine.show()
    assert verdict is not None
    assert "PCR 7" in verdict.reason


def test_makers_may_be_asked_for(desk: Desk, tmp_path: Path) -> None:
    """Where the settings name whose TPMs count, others are not bound; what they say has to be readable."""
    path = tmp_path / "makers.pem"
    path.write_bytes(self_signed().public_bytes(Encoding.PEM))
    asked = rules(AttestationSettings(worker="required", pcrs=[7, 0, 7], tpm_makers=path))
    assert (asked.of("worker"), asked.of("full"), asked.of("coordinator")) == ("required", "preferred", "off")
    assert (asked.pcrs, len(asked.makers)) == ((0, 7), 1)
    member(desk.database, "attic")
    strict = Attestations(desk.database, asked, clock=desk.clock)
    with pytest.raises(IdentityError) as caught:
        strict.credential("attic", PaperTpm().keys)
    assert caught.value.reason == "unknown_tpm_maker"
    path.write_bytes(b"none")
    for wrong in (path, tmp_path / "gone"):
        with pytest.raises(SetupError):
            rules(AttestationSettings(tpm_makers=wrong))
