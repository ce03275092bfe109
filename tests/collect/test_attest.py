"""What a node answers, by a real TPM or by its word. How the coordinator judges it is in `tests/flow`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import pytest

from spectra.collect.attest import attest
from spectra.collect.tpm import Tpm, TpmError
from spectra.fabric.errors import MeshError
from spectra.identity import measure
from spectra.identity.keys import SigningKey
from spectra.identity.measure import Measurement
from spectra.identity.tpm import read_public, verify_quote
from spectra.identity.tpmcredential import make_credential
from spectra.model.attestations import Challenge, Evidence, Quote, TpmKeys, Verdict, Word
from spectra.model.nodes import AttestationPolicy
from tests.support.swtpm import SoftTpm, soft

__all__ = ["soft"]

T = TypeVar("T")
KEY = SigningKey.generate()
FIRST, SECOND = "0a" * 32, "0b" * 32
PCRS: tuple[int, ...] = (0, 7)
MEASURED = Measurement(
    binary="1" * 64, interpreter="2" * 64, configuration="3" * 64, software="1.2.0", python="3.11.2 (main)"
)


class Coordinator:
    """Asks what it is told to ask, and keeps the answers."""

    def __init__(
        self, policy: AttestationPolicy = "preferred", *, ak: str = "", refuse: str = "", nonce: str = SECOND
    ) -> None:
        self.policy: AttestationPolicy = policy
        self.ak, self.refuse, self.nonce = ak, refuse, nonce
        self.keys: TpmKeys | None = None
        self.evidence: Evidence | None = None

    def __call__(self, method: str, path: str, kind: type[T], /, body: object = None) -> T:
        answer: Any
        if (method, path) == ("GET", "/v0/mesh/attest"):
            answer = Challenge(policy=self.policy, every_s=60, nonce=FIRST, pcrs=PCRS, ak=self.ak)
        elif (method, path) == ("POST", "/v0/mesh/attest/tpm"):
            answer = self._credential(body)
        else:
            assert (method, path) == ("POST", "/v0/mesh/attest")
            assert isinstance(body, Evidence)
            self.evidence = body
            answer = Verdict(ok=True, standing="active", every_s=60)
        assert isinstance(answer, kind)
        return answer

    def _credential(self, body: object) -> Challenge:
        assert isinstance(body, TpmKeys)
        if self.refuse:
            raise MeshError("no.", reason=self.refuse)
        self.keys = body
        blob = make_credential(read_public(body.ek), read_public(body.ak).name, b"s" * 32)
        return Challenge(policy=self.policy, every_s=60, nonce=self.nonce, pcrs=PCRS, credential=blob)

    def quote(self) -> Quote:
        """The quote that came."""
        assert self.evidence
        assert isinstance(self.evidence.proof, Quote)
        return self.evidence.proof


def shown(coordinator: Coordinator, tpm: Tpm | None) -> Verdict | None:
    """A node shows its state."""
    return attest(coordinator, node="node-a", key=KEY, tpm=tpm, measured=lambda: MEASURED)


def word_of(coordinator: Coordinator) -> Measurement:
    """The machine's word that came, verified."""
    assert coordinator.evidence
    assert isinstance(coordinator.evidence.proof, Word)
    raw = coordinator.evidence.proof.statement.encode()
    return measure.verify(raw, key=KEY.public, node="node-a", nonce=coordinator.evidence.nonce)


def test_a_machine_without_a_tpm_gives_its_word() -> None:
    """Over the nonce it was asked with, signed by its key."""
    coordinator = Coordinator()
    assert shown(coordinator, None) == Verdict(ok=True, standing="active", every_s=60)
    assert word_of(coordinator) == MEASURED
    assert coordinator.evidence is not None
    assert coordinator.evidence.nonce == FIRST


def test_nobody_answers_who_is_not_asked(soft: SoftTpm, tmp_path: Path) -> None:
    """Where nothing is asked of its role, nothing is measured or sent."""
    coordinator = Coordinator("off")
    assert shown(coordinator, Tpm(soft.tcti, tmp_path)) is None
    assert coordinator.evidence is None
    assert not list(tmp_path.iterdir())


def test_the_first_time_a_tpm_opens_a_credential(soft: SoftTpm, tmp_path: Path) -> None:
    """The second challenge is the one that is answered, with what the credential held; the next time one will do."""
    tpm, first = Tpm(soft.tcti, tmp_path), Coordinator()
    shown(first, tpm)
    assert first.keys is not None
    assert first.evidence is not None
    ak = read_public(first.keys.ak)
    quote = first.quote()
    assert (first.evidence.nonce, quote.secret) == (SECOND, b"s" * 32)
    values = dict(zip(PCRS, quote.pcrs, strict=True))
    verify_quote(ak, quote.quote, quote.signature, nonce=bytes.fromhex(SECOND), pcrs=values)
    second = Coordinator(ak=ak.name.hex())
    shown(second, tpm)
    assert second.keys is None
    assert second.evidence is not None
    assert (second.evidence.nonce, second.quote().secret) == (FIRST, b"")


def test_a_tpm_that_is_not_known_may_fail(soft: SoftTpm, tmp_path: Path) -> None:
    """Before the coordinator has seen it the machine gives its word instead; afterwards that would be a lie."""
    tpm = Tpm(soft.tcti, tmp_path)
    soft.stop()
    coordinator = Coordinator()
    shown(coordinator, tpm)
    assert word_of(coordinator) == MEASURED
    with pytest.raises(TpmError):
        shown(Coordinator(ak="00" * 34), tpm)
    soft.start()


@pytest.mark.parametrize("reason", ["bad_tpm_key", "bad_tpm_data", "unknown_tpm_maker"])
def test_a_tpm_that_is_not_taken_is_as_good_as_none(soft: SoftTpm, tmp_path: Path, reason: str) -> None:
    """The machine gives its word, where the coordinator does not take the kind of TPM it has."""
    coordinator = Coordinator(refuse=reason)
    shown(coordinator, Tpm(soft.tcti, tmp_path))
    assert word_of(coordinator) == MEASURED


def test_other_refusals_are_told(soft: SoftTpm, tmp_path: Path) -> None:
    """A machine that was thrown out does not go on to give its word; nor does one whose challenge says nothing."""
    tpm = Tpm(soft.tcti, tmp_path)
    for coordinator in (Coordinator(refuse="machine_revoked"), Coordinator(nonce="")):
        with pytest.raises(MeshError):
            shown(coordinator, tpm)
        assert coordinator.evidence is None
