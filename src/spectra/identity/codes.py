"""Codes that people type: of an authenticator app (RFC 6238), for recovery, and of a device that waits to be let in.

Pure; the time is a parameter.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlencode

STEP_S: Final = 30
_WINDOW: Final = 1  # steps before and after now: clocks differ, and people take their time (RFC 6238 section 5.2)
_DIGITS: Final = 6
_TOTP: Final = re.compile(r"[0-9]{6}")

RECOVERY_CODES: Final = 10
# No vowels, which would make words, and none of 0 1 l o, which look alike (RFC 8628 section 6.1 has the idea).
_LETTERS: Final = "bcdfghjkmnpqrstvwxyz23456789"
_RECOVERY_CHARS: Final = 16  # 77 bits: too many to be guessed from a digest
_USER_LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
_USER_CHARS: Final = 8  # 34 bits, of which a stranger may try a few within ten minutes


def new_totp_secret() -> str:
    """A secret of 160 bits in base32, as RFC 4226 section 4 recommends."""
    import pyotp

    return pyotp.random_base32()


def totp_uri(secret: str, *, account: str, issuer: str) -> str:
    """The `otpauth:` URI that authenticator apps read from a QR code."""
    label = quote(f"{issuer}:{account}")
    asked = urlencode({"secret": secret, "issuer": issuer, "period": STEP_S, "digits": _DIGITS}, quote_via=quote)
    return f"otpauth://totp/{label}?{asked}"


def totp_step(secret: str, code: str, now: datetime) -> int | None:
    """The time step that `code` is of, near `now`; None where it is of none. Always the same work."""
    import pyotp

    given = code.replace(" ", "")
    if not _TOTP.fullmatch(given):
        return None
    totp = pyotp.TOTP(secret, digits=_DIGITS, interval=STEP_S)
    here = int(now.timestamp()) // STEP_S
    found = None
    for step in range(here - _WINDOW, here + _WINDOW + 1):
        if hmac.compare_digest(totp.generate_otp(step), given):
            found = step
    return found


def new_recovery_codes() -> list[str]:
    """Ten codes like `bcdf-ghjk-mnpq-rstv`, each good once."""
    return ["-".join(_text(_LETTERS, 4) for _ in range(_RECOVERY_CHARS // 4)) for _ in range(RECOVERY_CODES)]


def recovery_digest(account: str, code: str) -> bytes | None:
    """What is kept of a recovery code, however it is typed; None for what can be none."""
    plain = re.sub(r"[\s-]", "", code).lower()
    if len(plain) != _RECOVERY_CHARS or not set(plain) <= set(_LETTERS):
        return None
    return hashlib.sha256(f"recovery\0{account}\0{plain}".encode()).digest()


def new_user_code() -> str:
    """What somebody types to let a device in: `BCDF-GHJK`."""
    return f"{_text(_USER_LETTERS, 4)}-{_text(_USER_LETTERS, 4)}"


def user_code(typed: str) -> str:
    """A user code as it was made, however it is typed; empty for what can be none."""
    plain = re.sub(r"[\s-]", "", typed).upper()
    if len(plain) != _USER_CHARS or not set(plain) <= set(_USER_LETTERS):
        return ""
    return f"{plain[:4]}-{plain[4:]}"


def _text(letters: str, n: int) -> str:
    return "".join(secrets.choice(letters) for _ in range(n))
