"""The errors of the fabric."""

from __future__ import annotations

from spectra.errors import SpectraError
from spectra.fabric.errors import MeshError, Unreachable


def test_errors_say_what_went_wrong_and_whether_to_try_again() -> None:
    """One base, a reason that is a word, and only what is away is worth another attempt."""
    error = MeshError("no.", reason="impostor")
    assert isinstance(error, SpectraError)
    assert (error.reason, error.retryable, MeshError("no.").reason) == ("impostor", False, "mesh")
    assert (Unreachable("away.").reason, Unreachable("away.").retryable) == ("unreachable", True)
