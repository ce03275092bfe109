"""Real agents with a real TPM: what they show decides over their work, and an admin over what changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.mesh.town import Board, Town, town
from tests.support.swtpm import SoftTpm, soft_tpm
from tests.support.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

EVERY_S = 10


def proof(mesh: Town, name: str, after: str = "") -> dict[str, Any]:
    """What a node shows, as soon as that is of after a time."""

    def newest() -> dict[str, Any]:
        found = mesh.node(name).get("attestation", {})
        return found if found.get("at", "") > after else {}

    return eventually(newest)


@pytest.fixture(scope="module")
def chip() -> Iterator[SoftTpm]:
    """The TPM of one machine."""
    with soft_tpm() as made:
        yield made


@pytest.fixture(scope="module")
def mesh(chip: SoftTpm) -> Iterator[Town]:
    """Full nodes have to have a TPM, workers' words will do; each is asked every few seconds."""
    asked = {"SPECTRA_MESH__ATTESTATION__FULL": "required", "SPECTRA_MESH__ATTESTATION__EVERY_S": str(EVERY_S)}
    with town(**asked) as made:
        yield made


@pytest.fixture(scope="module")
def vault(mesh: Town, chip: SoftTpm) -> Board:
    """A full node with a TPM."""
    return mesh.board("vault").begin("join", mesh.token("vault", role="full"), "--tpm", chip.tcti)


def test_a_tpm_lets_a_full_node_work(mesh: Town, vault: Board) -> None:
    """It is held as it joins, and released by its first proof, which its record shows."""
    found = mesh.wait("vault", standing="active", presence="alive")
    shown = found["attestation"]
    assert (shown["kind"], shown["ok"], shown["state"]["pcr:7"]) == ("tpm", True, "00" * 32)
    assert "by its TPM" in mesh.running.cli("node", "show", "vault")


def test_without_a_tpm_a_full_node_does_no_work(mesh: Town) -> None:
    """It is heard, and says why it is kept away; a worker may go by its word."""
    mesh.board("shed").begin("join", mesh.token("shed", role="full"))
    why = "it has no TPM to prove its state by, which mesh.attestation.full requires"
    mesh.wait("shed", standing="quarantined", presence="alive", reason=why)
    mesh.joined("attic")
    shown = proof(mesh, "attic")
    assert (shown["kind"], shown["ok"]) == ("statement", True)


def test_a_change_quarantines_and_a_release_accepts(mesh: Town, vault: Board, chip: SoftTpm) -> None:
    """The next proof tells what changed; after the release the new state is the one that counts."""
    mesh.wait("vault", standing="active")
    chip.extend(7)
    found = mesh.wait("vault", standing="quarantined")
    assert found["reason"].startswith("PCR 7 was 000000000000 when it was accepted and is ")
    mesh.running.cli("node", "release", "vault")
    released = mesh.node("vault")["attestation"]
    later = proof(mesh, "vault", after=released["at"])
    assert (mesh.node("vault")["standing"], later["ok"], later["state"]) == ("active", True, released["state"])
    assert mesh.running.cli("provenance", "verify").startswith("intact")


def test_a_machine_that_was_thrown_out_comes_back_under_no_name(mesh: Town, vault: Board, chip: SoftTpm) -> None:
    """Its TPM is known: the other name is kept away and says whose machine it is."""
    mesh.wait("vault", standing="active")
    mesh.running.cli("node", "revoke", "vault", "--yes")
    mesh.board("cellar").begin("join", mesh.token("cellar"), "--tpm", chip.tcti)
    found = mesh.wait("cellar", standing="quarantined")
    assert found["reason"] == "its proof does not hold: this machine was revoked as vault"
    assert eventually(lambda: mesh.refused("machine_revoked"))
