"""Calls that are known again: with the same `Idempotency-Key` of the same account, what was made is not made twice."""

from __future__ import annotations

import hashlib
from typing import Annotated

from fastapi import Header

KeyHeader = Annotated[
    str,
    Header(
        alias="idempotency-key",
        pattern="^([A-Za-z0-9._:-]{8,200})?$",
        description="the same key makes the same thing, sent how often ever",
    ),
]


def id_of(kind: str, account: str, key: str) -> str:
    """The id of what this key of an account makes, such as `job-…`; empty where there is no key."""
    return f"{kind}-{hashlib.sha256(f'{account} {key}'.encode()).hexdigest()[:20]}" if key else ""
