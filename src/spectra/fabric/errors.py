"""The errors of this room."""

from __future__ import annotations

from spectra.errors import SpectraError


class MeshError(SpectraError):
    """Something about the mesh's messages, links or places does not hold.

    `reason` is one of `mesh`, `malformed_message`, `impostor` (a node speaks in another's name), `wrong_fingerprint`,
    `refused` (the broker does not let us), `untrusted` (it has no certificate of ours), `unreachable`, `overflow` (a
    bounded queue gave something up), `too_large`; the file that raises another says so.
    """

    reason = "mesh"


class Unreachable(MeshError):
    """The other side does not answer now; trying again is right."""

    reason = "unreachable"
    retryable = True
