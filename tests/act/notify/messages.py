"""Messages and outlets for tests of the ways out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from spectra.model.alerts import Message
from spectra.model.outlets import OutletKind
from spectra.store.outlets import Outlet

AT = datetime(2027, 1, 1, 12, tzinfo=UTC)
ORIGIN = "https://spectra.example.org"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # of the examples of Standard Webhooks
HOSTILE = "a\r\nBcc: eve@example.org\x00\x1b[31m\u202egpj.\u2028<b>&amp;\ud800\ufffe"


def message(number: int = 1, **other: Any) -> Message:
    """A message about an alert."""
    said: dict[str, Any] = {
        "id": f"note-{number}",
        "alert": "alert-1",
        "rule": "ssh",
        "told": "firing",
        "severity": "high",
        "title": f"Port 22 opened, {number}",
        "lines": ("192.0.2.7:22 is open: OpenSSH 9.2",),
        "path": "/alerts/alert-1",
        "at": AT,
    }
    return Message(**said | other)


def outlet(kind: OutletKind, target: str, secret: str = "") -> Outlet:
    """An outlet that is switched on."""
    return Outlet(1, "there", kind, target, secret, True)
