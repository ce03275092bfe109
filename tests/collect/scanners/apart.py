"""A scan in a process of its own: `python -m tests.collect.scanners.apart PORTS FILES TARGET...`.

FILES, if not 0, is how many descriptors it may open besides those it starts with. Prints the `RawOutput` as JSON.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys

import msgspec

from spectra.collect.scanners import connect
from tests.collect.scanners.conftest import ignore, permit, request


async def main(ports: str, files: int, words: list[str]) -> None:
    """Scan and print."""
    asked = request(ports, *words, scope=permit(*words), rate=400)
    if files:
        highest = os.dup(0)
        os.close(highest)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + files, hard))
        connect.SPARE_FILES = -1000  # believe that there are enough: running out is what is tried
    raw = await connect.ConnectScanner(quiet_s=0.3).scan(asked, ignore)
    sys.stdout.buffer.write(msgspec.json.encode(raw))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
