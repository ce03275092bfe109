"""How a node shows its state: it asks for a challenge and answers by its TPM, or by its word where it has none.

The first answer of a TPM takes a step more. The coordinator makes a credential that only this TPM opens, for this
attestation key: then it knows that the key lives in it, and later quotes need no further proof.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from spectra.collect.tpm import Session, Tpm, TpmError
from spectra.fabric.errors import MeshError
from spectra.identity import measure
from spectra.identity.keys import SigningKey
from spectra.identity.measure import Measurement
from spectra.model.attestations import Challenge, Evidence, Quote, Verdict, Word

PATH: Final = "/v0/mesh/attest"
TPM_PATH: Final = "/v0/mesh/attest/tpm"

_NOT_TAKEN: Final = frozenset({"bad_tpm_key", "bad_tpm_data", "unknown_tpm_maker"})

_log = logging.getLogger("spectra.collect.attest")
T = TypeVar("T")


class Ask(Protocol):
    """One request to the coordinator, with this node's certificate; the answer as `kind`. Raises `MeshError`."""

    def __call__(self, method: str, path: str, kind: type[T], /, body: object = None) -> T: ...


def attest(
    ask: Ask, *, node: str, key: SigningKey, tpm: Tpm | None, measured: Callable[[], Measurement]
) -> Verdict | None:
    """Show the state of this machine; what the coordinator made of it, or None where it does not ask.

    `key` signs the node's submissions, and its word. A TPM that fails, or is of a kind that is not taken, is passed
    over only where the coordinator does not know it yet. Raises `MeshError` and `TpmError`; those that are retryable
    may go away by themselves.
    """
    challenge = ask("GET", PATH, Challenge)
    if challenge.policy == "off":
        return None
    proof = _quoted(ask, challenge, tpm) if tpm else None
    if proof is None:
        said = measure.build(key, node=node, nonce=challenge.nonce, measured=measured())
        proof = challenge.nonce, Word(statement=said.decode())
    return ask("POST", PATH, Verdict, Evidence(*proof))


def _quoted(ask: Ask, challenge: Challenge, tpm: Tpm) -> tuple[str, Quote] | None:
    try:
        with tpm.session() as session:
            return _by_tpm(ask, challenge, session)
    except (TpmError, MeshError) as error:
        if challenge.ak or (isinstance(error, MeshError) and error.reason not in _NOT_TAKEN):
            raise
        _log.warning("The TPM cannot be used, so this machine gives its word instead: %s", error)
        return None


def _by_tpm(ask: Ask, challenge: Challenge, session: Session) -> tuple[str, Quote]:
    """The nonce that is answered, and the quote over it."""
    secret = b""
    if session.name != challenge.ak:
        challenge = ask("POST", TPM_PATH, Challenge, session.keys())
        secret = session.activate(challenge.credential)
    return challenge.nonce, session.quote(bytes.fromhex(_required(challenge.nonce)), challenge.pcrs, secret)


def _required(nonce: str) -> str:
    if not nonce:
        raise MeshError("the coordinator asks for a proof without saying for what.", reason="bad_answer")
    return nonce
