"""Both CAs can be what the coordinator needs."""

from __future__ import annotations

import pytest

from spectra.flow.authority import Certificates
from spectra.flow.signing import Signer
from spectra.flow.stepca import StepCa


@pytest.mark.parametrize("kind", [Certificates, StepCa])
def test_every_signer_has_all_that_is_asked_of_one(kind: type) -> None:
    """By the names of the protocol; the type checker compares the rest where they are put together."""
    asked = {name for name in vars(Signer) if not name.startswith("_")}
    assert asked
    assert asked <= set(dir(kind))
