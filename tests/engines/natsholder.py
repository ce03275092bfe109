"""A supervisor in a process of its own, for tests that kill it: `natsholder.py FOLDER CONFIG`.

Prints the pid of its nats-server, or `SetupError` and what stands in the way; stops at the end of its input.
"""

from __future__ import annotations

import sys
from pathlib import Path

from spectra.engines.nats import NatsServer
from spectra.errors import SetupError


def main() -> None:
    """Start, tell, wait."""
    server = NatsServer(Path(sys.argv[1]))
    try:
        server.start(Path(sys.argv[2]).read_text("utf-8"))
    except SetupError as error:
        print("SetupError", str(error).replace("\n", " "), flush=True)
        return
    print(server.pid, flush=True)
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    main()
