"""Signing pieces of tool output and sending them, several at once, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from spectra.cli.problems import ApiError, Unreachable
from spectra.cli.safe import safe
from spectra.cli.sources import MIB, Piece, Unreadable, halves
from spectra.errors import SpectraError

if TYPE_CHECKING:
    from spectra.cli.client import Client
    from spectra.cli.local import Signer
    from spectra.model.envelope import Receipt

SENDERS = 4
MAX_FLYING = 16
MAX_FLYING_BYTES = 600 * MIB
ASK_AT_ONCE = 200
ASK_BYTES = 64 * MIB
MAX_SOURCE = 1024


@dataclass(frozen=True)
class Wish:
    """How the user wants it sent: the source's name (empty: the file's), in the background, known outputs again."""

    source: str = ""
    background: bool = False
    force: bool = False
    max_envelope: int = 96 * MIB


@dataclass
class Outcome:
    """What became of one file: receipts of its pieces, those the server already had, and what went wrong.

    Its pieces share `scan_id`; `waiting` counts those not yet answered, `read` tells that there are no more.
    """

    name: str
    scan_id: str = field(default_factory=lambda: uuid4().hex)
    receipts: list[Receipt] = field(default_factory=list["Receipt"])
    known: list[str] = field(default_factory=list[str])
    errors: list[SpectraError] = field(default_factory=list[SpectraError])
    skipped: str = ""
    waiting: int = 0
    read: bool = False

    @property
    def failed(self) -> bool:
        """Whether a part of the file is not on the server."""
        return bool(self.errors) or any(receipt.status == "failed" for receipt in self.receipts)

    @property
    def done(self) -> bool:
        """Whether nothing more will be known of it."""
        return self.read and not self.waiting


Entry = tuple[Piece, Outcome]


class Sender:
    """Signs and sends pieces of files, at most four at a time and `MAX_FLYING_BYTES` in memory.

    `outcomes` raises what no further file could survive: the server is away (`Unreachable`) or refuses this caller
    (401, 403). Whatever is wrong with one file is in its outcome.
    """

    def __init__(self, client: Client, signer: Signer, wish: Wish) -> None:
        self._client = client
        self._signer = signer
        self._wish = wish
        self._pool = ThreadPoolExecutor(SENDERS, thread_name_prefix="send")
        self._flying: dict[Future[list[Receipt]], tuple[Outcome, int]] = {}
        self._batch: list[Entry] = []
        self._batch_bytes = 0
        self._seen: dict[str, str] = {}

    def close(self) -> None:
        """Begin no further piece, and let the few under way come to their end: they may be accepted already."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def outcomes(self, files: Iterable[tuple[str, Iterable[Piece]]]) -> Iterator[Outcome]:
        """Send the pieces of all `files` (name and pieces); outcomes come in the order files are finished."""
        for name, content in files:
            yield from self._file(name, content)
        yield from self._start()
        while self._flying:
            yield from self._settle()

    def _file(self, name: str, content: Iterable[Piece]) -> Iterator[Outcome]:
        outcomes: dict[str, Outcome] = {}  # an archive gives several files, one after the other
        for piece in content:
            outcome = outcomes.pop(piece.name, None) or Outcome(piece.name)
            outcome.read = piece.last
            if not piece.last:
                outcomes[piece.name] = outcome
            if piece.error or piece.skipped:
                yield from _ended(outcome, piece)
                continue
            twin = "" if self._wish.force else self._seen.setdefault(piece.sha256, piece.name)
            if twin not in ("", piece.name):
                yield from _ended(outcome, replace(piece, skipped=f"the same as {twin}"))
                continue
            outcome.waiting += 1
            yield from self._take(piece, outcome)
        for outcome in outcomes.values():  # cut off before its last piece: what came is kept
            outcome.read = True
            outcome.errors.append(Unreadable(f"{name} ended early"))
            if outcome.done:
                yield outcome

    def _take(self, piece: Piece, outcome: Outcome) -> Iterator[Outcome]:
        self._batch.append((piece, outcome))
        self._batch_bytes += len(piece.data)
        if len(self._batch) >= ASK_AT_ONCE or self._batch_bytes >= ASK_BYTES:
            yield from self._start()

    def _start(self) -> Iterator[Outcome]:
        """Leave out what the server has, and hand the rest of the batch to the senders."""
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        # Without a token there is nobody to ask for: what the server has, it answers with the first receipt's marks.
        ask = bool(batch) and self._client.knows_token and not self._wish.force
        known = self._ask(batch) if ask else {}
        for piece, outcome in batch:
            if had := known.get(piece.sha256):
                outcome.known.append(had)
                outcome.waiting -= 1
                if outcome.done:
                    yield outcome
                continue
            yield from self._make_room(len(piece.data))
            future = self._pool.submit(self._send, piece, outcome.scan_id)
            self._flying[future] = (outcome, len(piece.data))

    def _ask(self, batch: list[Entry]) -> dict[str, str]:
        from spectra.cli.answers import Known

        hashes = list(dict.fromkeys(piece.sha256 for piece, _ in batch))
        return self._client.post("/v0/observations/known", Known, {"output_sha256": hashes}).known

    def _make_room(self, size: int) -> Iterator[Outcome]:
        def full() -> bool:
            held = sum(used for _, used in self._flying.values())
            return len(self._flying) >= MAX_FLYING or held + size > MAX_FLYING_BYTES

        while self._flying and full():
            yield from self._settle()

    def _settle(self) -> Iterator[Outcome]:
        """Wait until at least one piece under way is answered."""
        finished, _ = wait(self._flying, return_when=FIRST_COMPLETED)
        for future in finished:
            outcome, _ = self._flying.pop(future)
            outcome.waiting -= 1
            try:
                outcome.receipts += future.result()
            except SpectraError as error:
                if _is_hopeless(error):
                    raise
                outcome.errors.append(error)
            if outcome.done:
                yield outcome

    def _send(self, piece: Piece, scan_id: str) -> list[Receipt]:
        """The receipts of one piece; of two or more where only smaller ones fit into an envelope."""
        from spectra.model.envelope import Receipt

        envelope = sign(piece, self._signer, scan_id, self._wish)
        if len(envelope) > self._wish.max_envelope:
            return [receipt for half in halves(piece) for receipt in self._send(half, scan_id)]
        path = "/v0/ingest" if self._wish.background else "/v0/mesh/ingest"
        return [self._client.send(path, envelope, Receipt)]


def _ended(outcome: Outcome, piece: Piece) -> Iterator[Outcome]:
    outcome.skipped = piece.skipped
    if piece.error:
        outcome.errors.append(Unreadable(piece.error))
    if outcome.done:
        yield outcome


def _is_hopeless(error: SpectraError) -> bool:
    return isinstance(error, Unreachable) or (isinstance(error, ApiError) and error.status in (401, 403))


def sign(piece: Piece, signer: Signer, scan_id: str, wish: Wish) -> bytes:
    """The DSSE envelope of a piece: its original bytes, signed now, dated by the file's own time."""
    from spectra.identity import dsse, payload

    source = safe(wish.source or piece.name, MAX_SOURCE - 20)
    built = payload.build(
        output=piece.data,
        tool="import",
        contributor=signer.contributor,
        now=datetime.now(UTC),
        scan_id=scan_id,
        scan_type="import",
        finished=piece.modified,
        source=f"{source}#part{piece.part}" if piece.part else source,
    )
    return dsse.sign(signer.key, payload.encode(built))
