"""What tasks learnt of relays, kept between them: `relays.json` in the node's folder."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final

import msgspec

from spectra.collect.relays import MAX_MEMORY, RelayMemory, merged, read_memory
from spectra.collect.sandbox import take
from spectra.collect.taskmessages import RELAYS, RELAYS_LEARNT
from spectra.errors import SetupError
from spectra.identity import private_file

_NOTHING: Final = msgspec.json.encode(RelayMemory())


class RelayKeeper:
    """Gives each task what was learnt before it, and takes what it learnt. Several tasks run at once."""

    def __init__(self, node_folder: Path) -> None:
        self._path = node_folder / RELAYS
        self._guard = threading.Lock()

    def known(self) -> bytes:
        """What is known now, as JSON (`RelayMemory`)."""
        try:
            with self._path.open("rb") as file:
                return file.read(MAX_MEMORY)
        except OSError:
            return _NOTHING

    def learn(self, folder: Path, given: bytes, uid: int) -> None:
        """Take what a task that began with `given` left in its folder; one that left nothing has learnt nothing."""
        try:
            learnt = take(folder / RELAYS_LEARNT, MAX_MEMORY, uid)
        except SetupError:
            return
        with self._guard:
            kept = read_memory(self.known())
            now = merged(kept, read_memory(given), read_memory(learnt))
            if now != kept:
                private_file.write(self._path, msgspec.json.encode(now), overwrite=True)
