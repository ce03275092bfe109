"""The one text that stands for a weakness: whatever makes vectors makes them of this."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Final

MAX_TEXT: Final = 4000
"""Characters: services take some thousand tokens, and what matters is said first."""

_NAME: Final = re.compile(r"\\(.)|_")


def composed(title: str, description: str, weaknesses: Sequence[str], products: Sequence[str]) -> str:
    """Title, description, CWE ids and product names (as CPE names write them), a line each."""
    names = list(dict.fromkeys(" ".join(_NAME.sub(lambda m: m[1] or " ", name).split()) for name in products))
    room = MAX_TEXT // 4
    tail = [" ".join(weaknesses)[:room], ", ".join(names)[:room]]
    return "\n".join(line for line in (title[:room], description.strip()[:MAX_TEXT], *tail) if line)[:MAX_TEXT]


def digest_of(text: str) -> bytes:
    """16 bytes by which a text is known to be the one a vector was made of."""
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()[:16]
