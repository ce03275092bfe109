"""The newest records are kept, bounded, and read back page by page."""

from __future__ import annotations

import logging

from spectra.logring import MAX_MESSAGE, Ring


def test_the_newest_are_kept_newest_first() -> None:
    """With level, fields and trace; long messages are cut, and what cannot be told breaks nothing."""
    ring = Ring(kept=3)
    logger = logging.Logger("spectra.test")
    logger.addHandler(ring)
    for number in range(5):
        logger.info("line %d", number, extra={"spectra.number": number})
    kept = list(ring.newest())
    assert [one.message for one in kept] == ["line 4", "line 3", "line 2"]
    assert (kept[0].number, kept[0].level, kept[0].fields) == (5, "info", {"spectra.number": "4"})
    assert [one.number for one in ring.newest(5)] == [4, 3]
    assert not list(ring.newest(1))
    try:
        int("no")
    except ValueError:
        logger.exception("x" * (2 * MAX_MESSAGE))
    newest = next(ring.newest())
    assert len(newest.message) == MAX_MESSAGE
    assert newest.trace.splitlines()[-1].startswith("ValueError")
    assert not list(Ring().newest())
