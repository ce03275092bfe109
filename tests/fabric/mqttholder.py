"""A node's MQTT link in a process of its own, for tests that kill it: `mqttholder.py PORT NAME CERT KEY ROOTS NODE`.

Its will says `lost` of NODE. Prints `up` when it is connected; says good-bye at the end of its input.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from spectra.fabric import subjects
from spectra.fabric.link import TlsFiles
from spectra.fabric.mqttlink import MqttLink


def main() -> None:
    """Connect, tell, wait."""
    port, name, cert, key, roots, node = sys.argv[1:]
    up = threading.Event()

    def changed(connected: bool) -> None:
        if connected:
            up.set()

    link = MqttLink(
        "127.0.0.1",
        int(port),
        TlsFiles(Path(cert), Path(key), Path(roots)),
        name,
        will=(subjects.presence(node), b"lost"),
        on_change=changed,
    )
    if up.wait(60):
        print("up", flush=True)
        sys.stdin.read()
    link.close()


if __name__ == "__main__":
    main()
