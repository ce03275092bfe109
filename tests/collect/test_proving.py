"""An agent's proofs of its machine's state, as far as they need no TPM: those are `test_attest.py`'s."""

from __future__ import annotations

from pathlib import Path

import pytest

from spectra.collect.joining import Joining, Wishes
from spectra.collect.keeper import Proved
from spectra.collect.measuring import measure
from spectra.collect.proving import NOT_ASKED_S, prover
from spectra.errors import SetupError
from spectra.fabric.nodefolder import NodeFolder
from spectra.identity import measure as measuring
from spectra.model.nodes import Capabilities
from tests.support.coordinator import coordinator, serving

ABLE = Capabilities(cores=4, memory_mb=2000, arch="aarch64", os="Debian", software="0.1.0")
CONFIGURATION = "c0" * 32


def test_its_word(tmp_path: Path) -> None:
    """Signed by the node's own key, over the coordinator's nonce; asked again when the coordinator says so.

    A mesh that asks for nothing is asked again in an hour: it may begin to.
    """
    with serving(coordinator(tmp_path / "mesh")) as mesh:
        folder = NodeFolder(tmp_path / "node")
        Joining(folder, now=lambda: mesh.now, pause=lambda _: None).join(mesh.token(), Wishes(), lambda: ABLE, None)
        prove = prover("off", lambda: measure(CONFIGURATION))
        assert prove(folder, mesh.now) == (Proved(True, "not asked for"), NOT_ASKED_S)
        mesh.policy = "preferred"
        assert prove(folder, mesh.now) == (Proved(True, "statement", "active"), 600.0)
        member = mesh.members["board-1"]
        said = measuring.verify(
            member.words[0].encode(),
            key=folder.signing_key.public,
            node="board-1",
            nonce=member.nonce,
        )
        assert said.configuration == CONFIGURATION


def test_a_tpm_that_is_wanted_and_not_there(tmp_path: Path) -> None:
    """Named in the settings, it has to be there: nothing weaker is sent in its place."""
    with serving(coordinator(tmp_path / "mesh", policy="required")) as mesh:
        folder = NodeFolder(tmp_path / "node")
        Joining(folder, now=lambda: mesh.now, pause=lambda _: None).join(mesh.token(), Wishes(), lambda: ABLE, None)
        with pytest.raises(SetupError):
            prover("nonsense:x", lambda: measure(CONFIGURATION))(folder, mesh.now)
        assert mesh.members["board-1"].words == []
