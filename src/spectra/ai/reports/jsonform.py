"""A report as JSON: the very bytes that were stored, so that they hash to the checksum that is on record."""

from __future__ import annotations


def rendered(data: bytes) -> bytes:
    """The document."""
    return data
