"""The one error of this room."""

from __future__ import annotations

from spectra.errors import SpectraError


class IdentityError(SpectraError):
    """A key, envelope, payload or statement does not hold.

    `reason` is one of `identity` (a key or value is unusable), `malformed_envelope`, `malformed_payload`,
    `not_canonical`, `unknown_key`, `bad_signature`, `expired`, `from_the_future`; the ingest gate
    passes it on as its own.
    """

    reason = "identity"
