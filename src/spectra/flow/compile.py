"""Reading and compiling a feed in a process of its own: `python -m spectra.flow.compile FILE PROVIDER TABLE`.

A feed has millions of networks, and reading one takes the interpreter for many seconds, much memory, and a parser in C
that somebody else's bytes go through: none of that is to happen in a coordinator that serves.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec

from spectra.errors import SpectraError, Unavailable
from spectra.intel.feeds import FeedError, Table, read

_LONGEST_S: Final = 900.0
_NICE: Final = 10


class _Refused(msgspec.Struct):
    """What the child says of a feed that is not taken; the fields of `FeedError`."""

    message: str
    reason: str
    hint: str = ""
    line: int = 0
    field: str = ""


def compiled(feed: Path, provider: str, to: Path) -> Table:
    """The table of the file `feed`, written to `to`; raises `FeedError`."""
    command = [sys.executable, "-m", "spectra.flow.compile", str(feed), provider, str(to)]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_LONGEST_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise FeedError(f"reading it took longer than {_LONGEST_S:g} s", reason="feed_too_large") from error
    except OSError as error:
        raise Unavailable(f"A feed cannot be read now: {error.strerror}.") from error
    if done.returncode == 0:
        return Table.load(to, verify=False)
    if done.returncode < 0:  # a defect of a parser, or memory ended
        raise FeedError(f"reading it was ended by {signal.Signals(-done.returncode).name}")
    try:
        said = msgspec.json.decode(done.stdout, type=_Refused)
    except msgspec.DecodeError as error:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise FeedError(f"reading it failed: {''.join(last)[:200]}") from error
    refused = FeedError(said.message, reason=said.reason, hint=said.hint, field=said.field)
    refused.line = said.line  # the message tells of it already
    raise refused


def main(feed: str, provider: str, to: str) -> int:
    """The child: 0, or 1 with the reason as JSON on standard output."""
    os.nice(_NICE)
    try:
        read(Path(feed), provider).save(Path(to))
    except SpectraError as error:
        line, field = getattr(error, "line", 0), getattr(error, "field", "")
        refused = _Refused(error.message, error.reason, error.hint, line, field)
        sys.stdout.buffer.write(msgspec.json.encode(refused))
        sys.stdout.flush()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
