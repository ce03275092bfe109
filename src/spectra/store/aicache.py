"""Answers of language models that are kept: by a key of all that was asked, told and wanted, so that a changed fact is
another key. Bounded in number and size, and in time.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from spectra.store.database import Database

MAX_ROWS: Final = 20_000
"""More than this, and the oldest are forgotten."""
MAX_VALUE_BYTES: Final = 256 * 1024
KEY_BYTES: Final = 32

_PUT: Final = """
INSERT INTO ai_answer (key, value, made, until) VALUES (%(key)s, %(value)s, %(now)s, %(until)s)
ON CONFLICT (key) DO UPDATE SET value = excluded.value, made = excluded.made, until = excluded.until
WHERE ai_answer.made <= excluded.made"""
_OLDEST: Final = """
DELETE FROM ai_answer WHERE key IN (
  SELECT key FROM ai_answer ORDER BY made DESC, key OFFSET %s FOR UPDATE SKIP LOCKED)"""


def get(database: Database, key: bytes, now: datetime) -> bytes | None:
    """What is kept under the SHA-256 `key`; None where nothing is, or it is too old."""
    with database.aside() as connection:
        row = connection.execute("SELECT value FROM ai_answer WHERE key = %s AND until > %s", [key, now]).fetchone()
    return bytes(row[0]) if row else None


def put(database: Database, key: bytes, value: bytes, *, now: datetime, keep: timedelta) -> bool:
    """Keep `value` under the SHA-256 `key` for as long as `keep`; False where it is too large, or `keep` is nothing.

    `ValueError` for a key of another length: whatever is no digest could be a text with something private in it.
    """
    if len(key) != KEY_BYTES:
        raise ValueError("a key is the SHA-256 of what was asked")
    if len(value) > MAX_VALUE_BYTES or keep <= timedelta():
        return False
    with database.aside() as connection:
        connection.execute(_PUT, {"key": key, "value": value, "now": now, "until": now + keep})
    return True


def purge(database: Database, now: datetime, *, most: int = MAX_ROWS) -> int:
    """Forget what is too old, and the oldest beyond `most`; returns how many those were."""
    with database.aside() as connection:
        gone = connection.execute("DELETE FROM ai_answer WHERE until <= %s", [now]).rowcount
        return gone + connection.execute(_OLDEST, [most]).rowcount


def clear(database: Database) -> int:
    """Forget everything that is kept; returns how much that was."""
    with database.aside() as connection:
        return connection.execute("DELETE FROM ai_answer").rowcount
