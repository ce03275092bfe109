"""Which 32 bytes are a usable Ed25519 public key.

OpenSSL accepts any 32 bytes as a public key, and for a key of small order the all-zero scalar signs every message: a
contributor with such a key could deny, and anybody could forge, what it "signed". Checked once, when a key is read.
"""

from __future__ import annotations

# RFC 8032 section 5.1: the field prime and the curve constant d = -121665/121666.
_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P
_SQRT_MINUS_1 = pow(2, (_P - 1) // 4, _P)


def flaw(raw: bytes) -> str:
    """Why `raw` is no usable public key, or an empty string when it is one."""
    if len(raw) != 32:
        return f"it has {len(raw)} bytes instead of 32"
    value = int.from_bytes(raw, "little")
    y, sign = value & (2**255 - 1), value >> 255
    if y >= _P:
        return "its point is not encoded canonically"
    x = _recover_x(y, sign)
    if x is None:
        return "its point is not on the curve"
    if _has_small_order(x, y):
        return "its point has small order"
    return ""


def _recover_x(y: int, sign: int) -> int | None:
    """The x of RFC 8032 section 5.1.3, or None where y belongs to no point."""
    u, v = (y * y - 1) % _P, (_D * y * y + 1) % _P
    x = u * pow(v, 3, _P) * pow(u * pow(v, 7, _P), (_P - 5) // 8, _P) % _P
    if v * x * x % _P == -u % _P:
        x = x * _SQRT_MINUS_1 % _P
    if v * x * x % _P != u or (x == 0 and sign):
        return None
    return x if x & 1 == sign else _P - x


def _has_small_order(x: int, y: int) -> bool:
    """Whether eight times the point is the identity (0, 1): three doublings of RFC 8032 section 5.1.4."""
    z = 1
    for _ in range(3):
        a, b, c = x * x, y * y, 2 * z * z
        h, g = a + b, a - b
        e, f = h - (x + y) ** 2, c + g
        x, y, z = e * f % _P, g * h % _P, f * g % _P
    return x == 0 and y == z
