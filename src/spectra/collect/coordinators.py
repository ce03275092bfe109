"""The coordinators of the mesh, as a machine reaches them: several share the taking in of results.

Orders tell where they are. What they tell is kept, so that a machine which was restarted while its own is away finds
another. All are trusted by the mesh's roots alone, as its own is. Which one is asked first follows from the lease, the
same on every machine; one that did not answer is asked last for a minute.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, BinaryIO, Final, TypeVar

import msgspec
from msgspec import Meta

from spectra.collect import lawbook
from spectra.errors import SpectraError
from spectra.fabric.calls import Refused, Upload, call, trusting
from spectra.fabric.errors import MeshError
from spectra.fabric.nodefolder import NodeFolder
from spectra.identity import private_file
from spectra.model.results import ResultReceipt

FILE: Final = "apis.json"
MOST: Final = 16
AWAY_S: Final = 60.0
"""How long one that did not answer is asked last."""


NO_WORD: Final = frozenset({401, 403, 404, 405, 408})
"""Final only with a word of ours: else a server that does not know results yet, or a proxy before it."""

STANDINGS: Final = frozenset(
    {
        *("revoked", "quarantined", "unknown_member", "not_registered"),
        *("no_certificate", "bad_certificate", "certificate_expired", "certificate_not_yet", "untrusted"),
    }
)
"""Refusals that say something of this machine and nothing of what it brings."""

_Urls = Annotated[tuple[Annotated[str, Meta(max_length=300, pattern=r"^https://")], ...], Meta(max_length=MOST)]
_Body = Callable[[], object]
T = TypeVar("T")


class Coordinators:
    """Where results and questions go. May be used from several threads."""

    def __init__(self, folder: NodeFolder) -> None:
        self._folder = folder
        self._path = folder.path / FILE
        self._guard = threading.Lock()
        self._others = self._kept()
        self._away: dict[str, float] = {}

    def learn(self, urls: Sequence[str]) -> None:
        """What an order says of where they are."""
        if not urls or tuple(urls) == self._others:
            return
        try:
            told = msgspec.convert(tuple(urls), type=_Urls)
        except msgspec.ValidationError:
            return
        with self._guard:
            self._others = told
            private_file.write(self._path, msgspec.json.encode(told), overwrite=True)

    def urls(self, lease: str = "") -> list[str]:
        """All that are known: from the one that a lease picks on, or else our own first; who is away comes last."""
        own = self._folder.state.api_url
        known = sorted({own, *self._others})
        start = int(lease[:8], 16) % len(known) if lease else known.index(own)
        now = time.monotonic()
        return sorted(known[start:] + known[:start], key=lambda url: self._away.get(url, 0.0) > now)

    def submit(self, lease: str, file: BinaryIO, size: int) -> ResultReceipt:
        """Bring the bundle of a lease, `size` bytes from where `file` stands. Raises as `fabric.calls.call` does."""
        start = file.tell()

        def body() -> Upload:
            file.seek(start)
            return Upload(file, size)

        return self._ask("POST", "/v0/mesh/results", ResultReceipt, body, lease=lease)

    def law(self) -> lawbook.Told:
        """The do-not-scan list of the moment. Raises `MeshError`."""
        return self._ask("GET", "/v0/mesh/law", lawbook.Told, lambda: None, most=lawbook.MAX_BYTES)

    def _ask(self, method: str, path: str, kind: type[T], body: _Body, *, lease: str = "", most: int = 256 * 1024) -> T:
        """From the first that answers; a refusal is an answer. Where none does, what our own failed at is raised."""
        now = datetime.now(UTC)
        trust = trusting(self._folder.roots, self._folder.tls)
        failures: dict[str, MeshError] = {}
        for url in self.urls(lease):
            try:
                said = call(method, f"{url}{path}", kind, trust=trust, now=now, body=body(), most=most)
            except Refused as error:
                if error.status < 500:
                    raise
                failures[url] = error
            except MeshError as error:
                failures[url] = error
            else:
                self._away.pop(url, None)
                return said
            self._away[url] = time.monotonic() + AWAY_S
        raise failures.get(self._folder.state.api_url) or next(iter(failures.values()))

    def _kept(self) -> tuple[str, ...]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_Urls)
        except (OSError, msgspec.DecodeError, SpectraError):
            return ()


def is_final(error: MeshError) -> bool:
    """Whether no coordinator will ever take this bundle: for what is in it, and not for who brings it or when."""
    if not isinstance(error, Refused) or error.status >= 500 or error.reason in STANDINGS:
        return False
    return not (error.status in NO_WORD and error.reason == Refused.reason)
