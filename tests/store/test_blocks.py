"""Blocks, and their place in the provenance chain."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from spectra.errors import BadRequest, NotFound
from spectra.model.limits import BlockRecord
from spectra.store import blocks
from spectra.store.database import Database
from spectra.store.provenance import links

pytestmark = pytest.mark.engine

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def block(database: Database, network: str = "192.0.2.0/24", **fields: object) -> BlockRecord:
    """A block by the admin."""
    words: dict[str, object] = {"network": network, "reason": "flood", "by": "root", "now": NOW}
    return blocks.add(database, **(words | fields))  # type: ignore[arg-type]


def test_a_block_stands_until_it_ends(database: Database) -> None:
    """With and without an end, by network and by AS; oldest first."""
    ends = block(database, until=NOW + DAY)
    stays = block(database, "", asn=64500, targets=True, now=NOW + timedelta(seconds=1))
    assert (ends.network, ends.asn, ends.targets, ends.until) == ("192.0.2.0/24", 0, False, NOW + DAY)
    assert (stays.network, stays.asn, stays.targets, stays.until) == ("", 64500, True, None)
    assert blocks.standing(database, NOW) == (ends, stays)
    assert blocks.standing(database, NOW + DAY) == (stays,)


def test_the_same_twice_is_refused_while_it_stands(database: Database) -> None:
    """A second block would outlive the removal of the first; after it ended there is no first."""
    block(database, until=NOW + DAY)
    with pytest.raises(BadRequest, match="blocked already") as caught:
        block(database)
    assert (caught.value.reason, caught.value.field) == ("block_exists", "network")
    assert block(database, "192.0.2.0/25").network == "192.0.2.0/25"
    assert block(database, now=NOW + DAY).network == "192.0.2.0/24"


def test_a_removed_block_stands_no_more(database: Database) -> None:
    """Once; and what was never there is not found."""
    record = block(database)
    assert blocks.remove(database, UUID(record.block_id), by="root", now=NOW + DAY) == record
    assert blocks.standing(database, NOW + DAY) == ()
    for block_id in (UUID(record.block_id), uuid4()):
        with pytest.raises(NotFound):
            blocks.remove(database, block_id, by="root", now=NOW + DAY)


def test_every_change_is_on_record(database: Database) -> None:
    """Who, what and when; and the newest entry says what the row says."""
    record = block(database)
    blocks.remove(database, UUID(record.block_id), by="carol", now=NOW + DAY)
    added, removed = links(database)
    assert [(link.kind, link.subject) for link in (added, removed)] == [
        ("block.added", UUID(record.block_id).hex),
        ("block.removed", UUID(record.block_id).hex),
    ]
    assert added.detail()["added_by"] == "root"
    assert removed.detail()["removed_by"] == "carol"
    assert blocks.details(database)[removed.subject]["network"] == removed.detail()["network"]
