"""Who is in the state it was accepted in: asking nodes, judging what they answer, and what follows for their standing.

A TPM's keys are bound to a node the first time: the coordinator makes a credential that only the TPM with this
endorsement key opens, and only where it holds this attestation key. From then on a quote by that key is enough.
The first state that holds is the one later ones are compared with. What differs and should not has the node
quarantined until an admin releases it, which accepts the new state. A proof that is missing or does not hold has it
quarantined until one comes that does.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from cryptography import x509

from spectra.errors import BadRequest, SetupError, SpectraError
from spectra.flow import proving
from spectra.flow.proving import Shown
from spectra.identity import tpm
from spectra.identity.ekcertificate import require_maker
from spectra.identity.errors import IdentityError
from spectra.identity.keys import PublicKey
from spectra.identity.tpmcredential import SECRET_BYTES, make_credential
from spectra.model.attestations import Challenge, Evidence, Quote, TpmKeys, Verdict
from spectra.model.nodes import AttestationPolicy, Kind, Role, Standing
from spectra.settings import AttestationSettings
from spectra.store import attestations, keys, nodes
from spectra.store.accounts import Act
from spectra.store.attestations import Member, Open, Proof
from spectra.store.database import Connection, Database
from spectra.store.provenance import Entry, commit

BY: Final = "attestation"
"""Who quarantines here. A quarantine by anybody else is not ended by a good proof."""

CHALLENGE_LIFE: Final = timedelta(minutes=3)
"""A TPM on a slow bus takes tens of seconds to make its keys and sign."""

MISSED: Final = 3
"""Times in a row that a node may miss to show its state."""

GRACE: Final = timedelta(minutes=5)
"""How long a node may be heard while it is overdue: one that was away shows its state as soon as it is back."""

_NONCE_BYTES: Final = 32
_MAX_MAKERS_BYTES: Final = 4 * 1024 * 1024
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What is asked of whom; a role that is not named is not asked.

    `pcrs`: what quotes are about, in ascending order. `makers`: whose TPMs count; empty: any.
    """

    policies: Mapping[Role, AttestationPolicy]
    pcrs: tuple[int, ...] = tuple(range(8))
    every_s: float = 3600.0
    makers: tuple[x509.Certificate, ...] = field(default=())

    def of(self, role: Role) -> AttestationPolicy:
        """The policy for nodes of this role."""
        return self.policies.get(role, "off")


def rules(settings: AttestationSettings) -> Rules:
    """As the settings have them. Raises `SetupError` where the makers' certificates cannot be read."""
    return Rules(
        policies={"worker": settings.worker, "full": settings.full},
        pcrs=tuple(sorted(set(settings.pcrs))),
        every_s=settings.every_s,
        makers=_makers(settings.tpm_makers) if settings.tpm_makers else (),
    )


def _makers(path: Path) -> tuple[x509.Certificate, ...]:
    try:
        with path.open("rb") as file:
            return tuple(x509.load_pem_x509_certificates(file.read(_MAX_MAKERS_BYTES)))
    except (OSError, ValueError) as error:
        raise SetupError(f"cannot read the certificates in {path}: {error}.", hint="It has to be PEM.") from error


def _nothing() -> None:
    """Nobody wants to know."""


class Attestations:
    """The coordinator's side. `changed` is called after the standing of a node did."""

    def __init__(
        self, database: Database, rules: Rules, *, clock: Callable[[], datetime], changed: Callable[[], None] = _nothing
    ) -> None:
        self._database = database
        self._rules = rules
        self._clock = clock
        self._changed = changed
        self._overdue: dict[str, datetime] = {}

    def hold_at_join(self, role: Role) -> str:
        """Why a node of this role gets no work yet when it joins; empty where it does."""
        if self._rules.of(role) != "required":
            return ""
        return f"it has not proved its state by a TPM yet, which mesh.attestation.{role} requires"

    def challenge(self, node: str) -> Challenge:
        """What the node is asked. Raises `BadRequest` for one that is no member."""
        with self._database.transaction() as connection:
            member = attestations.member(connection, node)
            newest, accepted = attestations.proofs(connection, node)
        if self._rules.of(member.role) == "off":
            if not (newest and newest.held):
                self._decide(node, "")
            return Challenge(policy="off", every_s=self._rules.every_s)
        known = _known(newest, accepted)
        return self._ask(node, member, ak=tpm.read_public(known.ak).name.hex() if known else "")

    def credential(self, node: str, sent: TpmKeys) -> Challenge:
        """What the node is asked to show that its TPM holds these keys.

        Raises `IdentityError` for keys that are not those of a TPM, or of a maker that is not trusted, and
        `BadRequest("machine_revoked")` for a machine that was revoked under another name.
        """
        now = self._clock()
        with self._database.transaction() as connection:
            member = attestations.member(connection, node)
        if self._rules.of(member.role) == "off":
            return Challenge(policy="off", every_s=self._rules.every_s)
        try:
            ek, ak = tpm.read_public(sent.ek), tpm.read_public(sent.ak)
            tpm.require_attestation(ak)
            if self._rules.makers:
                require_maker(sent.ek_certificate, ek, self._rules.makers, now)
            secret = secrets.token_bytes(SECRET_BYTES)
            credential = make_credential(ek, ak.name, secret)
            with self._database.connection() as connection:
                _refuse_banned(connection, proving.ek_hash(sent.ek), node)
        except BadRequest as error:  # keys of another kind are no offence: the machine may give its word instead
            self._refuse(node, "tpm", error, now)
            raise
        asked = self._ask(node, member, ak=ak.name.hex(), secret=secret, sent=sent)
        return msgspec.structs.replace(asked, credential=credential)

    def verify(self, node: str, evidence: Evidence) -> Verdict:
        """Judge an answer, keep it, and have the node's standing follow.

        A challenge is answered once, whatever comes of it. Raises `BadRequest("no_challenge")`, and `IdentityError`
        where the proof does not hold.
        """
        now = self._clock()
        asked = attestations.take(self._database, node, bytes.fromhex(evidence.nonce), now)
        if asked is None:
            raise BadRequest(
                "This node was not asked with this nonce, or answered already, or too late.",
                reason="no_challenge",
                hint="Ask again.",
            )
        kind: Kind = "tpm" if isinstance(evidence.proof, Quote) else "statement"
        try:
            shown = self._shown(node, evidence, asked)
            return self._judged(node, shown, now)
        except (IdentityError, BadRequest) as error:
            self._refuse(node, kind, error, now)
            raise

    def lapsed(self) -> int:
        """Quarantine nodes that are heard but stopped showing their state; how many. To be called now and then."""
        now = self._clock()
        before = now - MISSED * timedelta(seconds=self._rules.every_s)
        roles: list[Role] = [role for role, policy in self._rules.policies.items() if policy != "off"]
        found = attestations.overdue(self._database, roles, before)
        self._overdue = {one.name: self._overdue.get(one.name, now) for one in found}
        late = [one for one in found if one.presence == "alive" and now - self._overdue[one.name] >= GRACE]
        for one in late:
            since = f"since {one.since:%Y-%m-%d %H:%M} UTC" if one.ever else "ever"
            with suppress(BadRequest):  # revoked meanwhile
                self._decide(one.name, f"it has not shown its state {since}, though it is asked for it")
        return len(late)

    def _ask(
        self, node: str, member: Member, *, ak: str, secret: bytes = b"", sent: TpmKeys | None = None
    ) -> Challenge:
        now = self._clock()
        asked = Open(
            nonce=secrets.token_bytes(_NONCE_BYTES),
            expires=now + CHALLENGE_LIFE,
            pcrs=self._rules.pcrs,
            secret=hashlib.sha256(secret).digest() if secret else b"",
            ek=sent.ek if sent else b"",
            ak=sent.ak if sent else b"",
        )
        attestations.ask(self._database, node, asked, now)
        return Challenge(
            policy=self._rules.of(member.role),
            every_s=self._rules.every_s,
            nonce=asked.nonce.hex(),
            expires=asked.expires,
            pcrs=asked.pcrs,
            ak=ak,
        )

    def _shown(self, node: str, evidence: Evidence, asked: Open) -> Shown:
        if not isinstance(evidence.proof, Quote):
            return proving.by_word(evidence.proof, asked, node, lambda keyid: self._key(node, keyid))
        with self._database.connection() as connection:
            known = _known(*attestations.proofs(connection, node))
        return proving.by_tpm(evidence.proof, asked, known)

    def _key(self, node: str, keyid: str) -> PublicKey | None:
        record = keys.find(self._database, keyid)
        if record is None or record.contributor != nodes.contributor(node) or record.status in ("revoked", "disabled"):
            return None
        return PublicKey.from_b64(record.public_key)

    def _judged(self, node: str, shown: Shown, now: datetime) -> Verdict:
        def work(connection: Connection) -> tuple[tuple[Proof, Standing], list[Entry]]:
            member = attestations.member(connection, node)
            if shown.ek:
                _refuse_banned(connection, shown.ek, node)
            newest, accepted = attestations.proofs(connection, node)
            policy = self._rules.of(member.role)
            ruling = proving.judge(shown, newest, accepted, policy=policy, role=member.role, now=now)
            attestations.record(connection, node, ruling.proof)
            entries = attestations.settle(connection, node, ruling.accepted, now) if ruling.accepted else []
            standing, followed = _follow(connection, node, member, ruling.proof.reason, now)
            return (ruling.proof, standing), [*entries, *followed]

        proof, standing = self._commit(work)
        return Verdict(
            ok=proof.ok, standing=standing, every_s=self._rules.every_s, kind=proof.kind, reason=proof.reason
        )

    def _refuse(self, node: str, kind: Kind, error: SpectraError, now: datetime) -> None:
        """Keep that a proof did not hold, and let the node have no work until one does."""

        def work(connection: Connection) -> tuple[None, list[Entry]]:
            member = attestations.member(connection, node)
            newest = attestations.proofs(connection, node)[0]
            reason = f"its proof does not hold: {error.message.rstrip('.')}"
            if newest and newest.held:
                return None, []
            attestations.failed(connection, node, kind, reason, now)
            return None, _follow(connection, node, member, reason, now)[1]

        self._commit(work)

    def _decide(self, node: str, reason: str) -> None:
        now = self._clock()

        def work(connection: Connection) -> tuple[None, list[Entry]]:
            return None, _follow(connection, node, attestations.member(connection, node), reason, now)[1]

        self._commit(work)

    def _commit(self, work: Callable[[Connection], tuple[T, list[Entry]]]) -> T:
        """As `provenance.commit`; who wants to know is told where a node's standing changed."""
        told: list[Entry] = []

        def noted(connection: Connection) -> tuple[T, list[Entry]]:
            result, entries = work(connection)
            told[:] = entries
            return result, entries

        result = commit(self._database, noted)
        if any(entry.kind.startswith("node.") for entry in told):
            self._changed()
        return result


def _known(newest: Proof | None, accepted: Proof | None) -> Proof | None:
    """The proof with the key by which the node's TPM is known."""
    return next((proof for proof in (newest, accepted) if proof and proof.ak), None)


def _refuse_banned(connection: Connection, ek: str, node: str) -> None:
    if revoked := attestations.revoked_as(connection, ek, node):
        raise BadRequest(
            f"this machine was revoked as {revoked}.", reason="machine_revoked", hint="No other name brings it back."
        )


def _follow(
    connection: Connection, node: str, member: Member, reason: str, now: datetime
) -> tuple[Standing, list[Entry]]:
    """Quarantine a node for a reason, or end a quarantine of ours where there is none. Others' are left alone."""
    ours = member.standing == "quarantined" and member.by == BY
    act = Act(BY, now)
    if reason and (member.standing == "active" or ours):
        return "quarantined", nodes.set_standing(connection, node, "quarantined", reason, act=act)
    if not reason and ours:
        return "active", nodes.set_standing(connection, node, "active", "", act=act)
    return member.standing, []
