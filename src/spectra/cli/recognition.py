"""Whether a file is a scanner's output at all, decided before anything of it leaves this machine.

A submission is signed and kept for good, and a folder of scans may hold anything: keys, letters, photographs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from spectra.cli.sources import Piece

HEAD_BYTES = 64 * 1024
NO_SCAN = "not the output of a scanner that is known here"
KNOWN = "Known are nmap, naabu, masscan, BBOT, httpx and nuclei; docs/formats.md has more."


def scans_only(pieces: Iterator[Piece], *, named: bool) -> Iterator[Piece]:
    """`pieces` without what is no scan: an error where the user `named` the file, else skipped."""
    for piece in pieces:
        if piece.part > 1 or not piece.data or is_scan(piece.data[:HEAD_BYTES]):
            yield piece
        elif named:
            yield replace(piece, data=b"", error=f"{NO_SCAN}. {KNOWN}")
        else:
            yield replace(piece, data=b"", skipped=NO_SCAN)


def is_scan(head: bytes) -> bool:
    """Whether the server would recognise what begins so: told by the very code it uses."""
    from spectra.ingest.parsers import ParseError, recognise

    try:
        recognise(head)
    except ParseError as error:
        return error.reason != "unrecognised_format"
    return True
