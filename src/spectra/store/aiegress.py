"""Requests that leave this machine, for a language model or a look-up: each is an entry of the provenance chain, with
the digest of what was sent and nothing of its content.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from spectra.errors import Corrupt
from spectra.model.ai import Label
from spectra.model.aiusage import EgressRecord
from spectra.store.database import Database
from spectra.store.provenance import Entry, Link, commit

KIND: Final = "ai-egress"
MAX_WORD: Final = 200
_SHA256: Final = re.compile("[0-9a-f]{64}")


class Leaving(NamedTuple):
    """One request, about to be sent. `sha256` (hex) and `bytes` are those of its body as it is sent to `host`.

    `label` is the class of what is in it once private values were taken out: never `LOCAL_ONLY`.
    """

    account: str
    sha256: str
    bytes: int
    label: Label
    provider: str
    model: str
    purpose: str
    host: str = ""


def leaving(database: Database, one: Leaving, now: datetime) -> None:
    """Put on record that `one` is about to leave; returns once that is on disk. Nothing may be sent where this raises.

    `ValueError` for what may never leave, and for a digest that is none.
    """
    if one.label >= Label.LOCAL_ONLY:
        raise ValueError("raw data never leaves this machine")
    if not _SHA256.fullmatch(one.sha256) or one.bytes < 0:
        raise ValueError("what leaves is told by the SHA-256 of its bytes")
    detail = {
        "sha256": one.sha256,
        "bytes": one.bytes,
        "class": one.label.name,
        "provider": one.provider[:MAX_WORD],
        "model": one.model[:MAX_WORD],
        "purpose": one.purpose[:MAX_WORD],
        "host": one.host[:MAX_WORD],
    }
    commit(database, lambda connection: (None, [Entry(KIND, one.account, detail, now)]))


def page(
    database: Database, *, account: str = "", before: int | None = None, limit: int = 100
) -> tuple[EgressRecord, ...]:
    """What left, of one account or all, newest first; `before` is a number of the chain. Raises `Corrupt`."""
    with database.connection() as connection:
        rows = connection.execute(
            "SELECT seq, hash, previous, at, kind, subject, entry FROM provenance WHERE kind = 'ai-egress'"
            " AND (%(account)s = '' OR subject = %(account)s)"
            " AND (%(before)s::bigint IS NULL OR seq < %(before)s::bigint) ORDER BY seq DESC LIMIT %(limit)s",
            {"account": account, "before": before, "limit": limit},
        ).fetchall()
    return tuple(_record(Link(*row)) for row in rows)


def _record(link: Link) -> EgressRecord:
    try:
        told = {**link.detail(), "seq": link.seq, "at": link.at, "account": link.subject}
        return msgspec.convert(told, EgressRecord)
    except ValueError as error:
        raise Corrupt(
            f"Entry {link.seq} of the provenance chain is damaged.", hint="`spectra provenance verify` tells how far."
        ) from error
