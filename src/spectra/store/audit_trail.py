"""The privileged acts of the provenance chain: all that is no submission, and no request that left this machine."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from spectra.errors import Corrupt
from spectra.model.limits import Act
from spectra.store.database import Database
from spectra.store.provenance import Link

# The words of the index provenance_act: acts are few, and stand among millions of submissions.
_ACTS: Final = "NOT starts_with(kind, 'observation.') AND kind <> 'ai-egress'"


def acts(
    database: Database, *, kind: str = "", subject: str = "", before: int | None = None, limit: int = 100
) -> tuple[Act, ...]:
    """Acts newest first. `kind` is one (`block.added`) or a noun's (`block`); `before` is a number of the chain.

    Raises `Corrupt` for an entry that is none any more.
    """
    with database.connection() as connection:
        rows = connection.execute(
            f"SELECT seq, hash, previous, at, kind, subject, entry FROM provenance WHERE {_ACTS}"
            " AND (%(kind)s = '' OR kind = %(kind)s OR starts_with(kind, %(kind)s || '.'))"
            " AND (%(subject)s = '' OR subject = %(subject)s)"
            " AND (%(before)s::bigint IS NULL OR seq < %(before)s::bigint) ORDER BY seq DESC LIMIT %(limit)s",
            {"kind": kind, "subject": subject, "before": before, "limit": limit},
        ).fetchall()
    return tuple(_act(Link(*row)) for row in rows)


def _act(link: Link) -> Act:
    try:
        at, detail = datetime.fromisoformat(link.at), link.detail()
    except ValueError as error:
        raise Corrupt(
            f"Entry {link.seq} of the provenance chain is damaged.", hint="`spectra provenance verify` tells how far."
        ) from error
    return Act(link.seq, at, link.kind, link.subject, link.hash.hex(), detail)
