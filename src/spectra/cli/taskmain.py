"""The process of one task, in its sandbox: `python -I -m spectra.cli.taskmain FOLDER`.

It reads its order from `given.json` in its folder, prints how far it is, and ends soon after its standard input does.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from spectra.collect.task import perform
from spectra.collect.taskmessages import GIVEN, Given, Moved

_PR_SET_CHILD_SUBREAPER: Final = 36  # linux/prctl.h


def main(words: Sequence[str]) -> int:
    """Do the task of a folder; 0 where `done.json` says how it went."""
    folder = Path(words[0])
    given = msgspec.json.decode((folder / GIVEN).read_bytes(), type=Given)
    _keep_descendants()
    asyncio.run(_work(given, folder))
    return 0


async def _work(given: Given, folder: Path) -> None:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def readable() -> None:
        with suppress(BlockingIOError):
            if not os.read(sys.stdin.fileno(), 4096) and not ended.done():
                loop.remove_reader(sys.stdin.fileno())
                ended.set_result(None)

    os.set_blocking(sys.stdin.fileno(), False)
    loop.add_reader(sys.stdin.fileno(), readable)
    await perform(given, folder, _tell, ended)


def _tell(moved: Moved) -> None:
    """A line for the agent; where nobody reads any more, the end of the input says so."""
    with suppress(OSError):
        os.write(sys.stdout.fileno(), msgspec.json.encode(moved) + b"\n")


def _keep_descendants() -> None:
    """What a tool leaves behind becomes ours, so that the agent sees it (prctl(2))."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
