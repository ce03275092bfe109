"""The do-not-scan list as machines are told of it: `GET /v0/mesh/law`."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

MAX_RULES: Final = 1_000_000


class LawBook(msgspec.Struct, frozen=True):
    """Networks, addresses and hostnames that are never scanned. `version` grows with every change of the list."""

    version: Annotated[int, Meta(ge=0, le=2**53)]
    rules: Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=300)], ...], Meta(max_length=MAX_RULES)] = ()
