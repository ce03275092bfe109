"""CSV that readers read back and spreadsheets do not run."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

from spectra.model.csvlines import lines


def test_rows_are_read_back() -> None:
    """A header, CRLF, quotes where they are needed; moments and lists in words, nothing for nothing."""
    rows = [("a,b", 3, datetime(2026, 3, 1, tzinfo=UTC), ("x", "y"), None, True), ('"q"', 0.5, "", (), "", False)]
    text = "".join(lines(["one", "two", "three", "four", "five", "six"], rows))
    assert text.endswith("\r\n")
    assert list(csv.reader(io.StringIO(text, newline="")))[1:] == [
        ["a,b", "3", "2026-03-01T00:00:00Z", "x, y", "", "yes"],
        ['"q"', "0.5", "", "", "", "no"],
    ]


def test_no_cell_is_a_formula() -> None:
    """Nor acts on a terminal."""
    text = "".join(lines(["a"], [["=cmd|' /C calc'!A0"], ["\x1b[2J"], [-5]]))
    assert text.splitlines()[1:] == ["'=cmd|' /C calc'!A0", "\\x1b[2J", "-5"]
