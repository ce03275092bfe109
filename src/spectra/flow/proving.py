"""What a node's answer proves, and what is to be thought of it. Nothing here looks anything up or decides by itself."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from datetime import datetime
from typing import Final, NamedTuple

from spectra.identity import measure, tpm
from spectra.identity.errors import IdentityError
from spectra.identity.keys import PublicKey
from spectra.identity.measure import State
from spectra.model.attestations import Quote, Word
from spectra.model.nodes import AttestationPolicy, Role
from spectra.store.attestations import Open, Proof

_TOLD: Final = 4  # changes that a reason names


class Shown(NamedTuple):
    """A state that was proved. `ek` (SHA-256 in hex) and `ak` (TPM2B_PUBLIC): of the TPM that did."""

    state: State
    ek: str = ""
    ak: bytes = b""


def ek_hash(ek: bytes) -> str:
    """What an endorsement key (TPM2B_PUBLIC) is known by: the SHA-256 of its TPMT_PUBLIC in hex."""
    return hashlib.sha256(tpm.read_public(ek).area).hexdigest()


def by_tpm(quote: Quote, asked: Open, known: Proof | None) -> Shown:
    """What a quote proves: by the key that `asked` was about, if the credential made for it was opened, else by the
    one that `known` has.

    Raises `IdentityError`.
    """
    if asked.secret:
        return _first(quote, asked)
    if known is None or not known.ak:
        raise IdentityError("the key of this node's TPM is not known.", reason=tpm.BAD_KEY)
    return Shown(_quoted(quote, asked, tpm.read_public(known.ak))[0], known.ek, known.ak)


def _first(quote: Quote, asked: Open) -> Shown:
    ek, ak = tpm.read_public(asked.ek), tpm.read_public(asked.ak)
    if not hmac.compare_digest(hashlib.sha256(quote.secret).digest(), asked.secret):
        raise IdentityError("the credential was not opened by the TPM that it was made for.", reason=tpm.REFUSED)
    state, signer = _quoted(quote, asked, ak)
    if signer != tpm.qualified_name(ek, ak):
        raise IdentityError("the attestation key is no child of the endorsement key.", reason=tpm.REFUSED)
    return Shown(state, ek_hash(asked.ek), asked.ak)


def _quoted(quote: Quote, asked: Open, ak: tpm.TpmPublic) -> tuple[State, bytes]:
    if len(quote.pcrs) != len(asked.pcrs):
        raise IdentityError("the quote comes with more or fewer values than were asked for.", reason=tpm.REFUSED)
    values = dict(zip(asked.pcrs, quote.pcrs, strict=True))
    quoted = tpm.verify_quote(ak, quote.quote, quote.signature, nonce=asked.nonce, pcrs=values)
    return State("tpm", quoted.state, {}), quoted.signer


def by_word(word: Word, asked: Open, node: str, key_of: Callable[[str], PublicKey | None]) -> Shown:
    """What a statement says; `key_of` gives the node's signing key of this id. Raises `IdentityError`."""
    raw = word.statement.encode()
    key = key_of(measure.signer(raw))
    if key is None:
        raise IdentityError("the statement is by no key of this node.", reason="unknown_key")
    return Shown(measure.verify(raw, key=key, node=node, nonce=asked.nonce.hex()).state)


class Ruling(NamedTuple):
    """What is thought of a state: `proof` is how it is kept, `accepted` what later ones are compared with, if good."""

    proof: Proof
    accepted: Proof | None


def judge(
    shown: Shown, newest: Proof | None, accepted: Proof | None, *, policy: AttestationPolicy, role: Role, now: datetime
) -> Ruling:
    """Whether a state is the accepted one, or the first.

    What changed stays held, also where it is as before again: what was done in between is for an admin to find out.
    """
    changes = _changes(shown, accepted)
    held = bool(changes) or (newest is not None and newest.held)
    if changes:
        reason = "; ".join(changes[:_TOLD]) + (f"; and {len(changes) - _TOLD} more" if len(changes) > _TOLD else "")
    elif held and newest is not None:
        reason = newest.reason
    elif policy == "required" and shown.state.kind != "tpm":
        reason = f"it has no TPM to prove its state by, which mesh.attestation.{role} requires"
    else:
        reason = ""
    kind, values, versions = shown.state
    proof = Proof(kind, now, not reason, dict(values), dict(versions), reason, held, shown.ek, shown.ak)
    if reason:
        return Ruling(proof, None)
    kind, values, versions = measure.merged(None if accepted is None else _state(accepted), shown.state)
    return Ruling(proof, proof._replace(state=dict(values), versions=dict(versions)))


def _changes(shown: Shown, accepted: Proof | None) -> tuple[str, ...]:
    if accepted is None:
        return ()
    if accepted.kind == shown.state.kind == "tpm" and accepted.ek != shown.ek:
        return ("another TPM speaks for it than the one it was accepted with",)
    return measure.changes(_state(accepted), shown.state)


def _state(proof: Proof) -> State:
    return State(proof.kind, proof.state, proof.versions)
