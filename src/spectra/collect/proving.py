"""An agent's proofs of its machine's state: with a TPM where there is one, else by its word."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final, TypeVar

from spectra.collect.attest import attest
from spectra.collect.keeper import Prove, Proved
from spectra.collect.tpm import Tpm, open_tpm
from spectra.fabric.enrol import member_call
from spectra.fabric.nodefolder import NodeFolder
from spectra.identity.measure import Measurement

NOT_ASKED_S: Final = 3600.0
"""Where the mesh asks for no proof: it may begin to."""

T = TypeVar("T")


def prover(setting: str, measured: Callable[[], Measurement]) -> Prove:
    """How an agent proves its state with the TPM that `node.tpm` names. It is looked for at the first proof."""
    found: list[Tpm | None] = []

    def prove(folder: NodeFolder, now: datetime) -> tuple[Proved, float]:
        if not found:
            found.append(open_tpm(setting, folder.path))

        def ask(method: str, path: str, kind: type[T], /, body: object = None) -> T:
            return member_call(folder, method, path, kind, now=now, body=body)

        verdict = attest(ask, node=folder.state.name, key=folder.signing_key, tpm=found[0], measured=measured)
        if verdict is None:
            return Proved(True, "not asked for"), NOT_ASKED_S
        return Proved(verdict.ok, verdict.reason or verdict.kind or "", verdict.standing), verdict.every_s

    return prove
