"""Vectors of what is said of weaknesses: made, brought up to date and replaced, by the steps of `wf.vuln_vectorize`.

Which embedder is wanted follows from the settings and from how much there is: the configured service; without one what
is learned of the texts themselves; before there are enough to learn from, one that knows nothing. Another embedder than
the one that answers is filled beside it, and takes its place when all texts have their vector and the index stands.
Each step may run twice: what it did once it finds done.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from spectra.errors import Corrupt, NotFound, SpectraError, Unavailable
from spectra.flow.embedservice import Service
from spectra.model.similar import EmbedderKind, VectorStatus
from spectra.store import embedders, vectors
from spectra.store.blobs import BlobStore
from spectra.store.database import Database
from spectra.store.embedders import Embedder
from spectra.store.vectors import Text, Vector

if TYPE_CHECKING:  # numpy takes a while to be imported: not before there is a text
    from spectra.intel.embed.model import Embedder as Maker

_log = logging.getLogger("spectra.vectors")

BATCH: Final = 1000
_SERVICE_BATCH: Final = 256  # a service on a processor takes seconds for each dozen
LEARN_FROM: Final = 2000
"""Texts from which on an embedder is learned of them."""
_SAMPLE: Final = 30_000  # texts that are learned from
_OUTGROWN: Final = 2  # times as many texts as when it was learned: it is learned anew
_REMEMBERED: Final = 2  # embedders that are kept loaded


class Step(NamedTuple):
    """What one step did: `done` texts were looked at, of which `changed` got a vector, up to the number `after`."""

    after: int = 0
    done: int = 0
    changed: int = 0


class Plan(NamedTuple):
    """Which embedder is to be brought up to date (0: there is no text), for how many texts, and what is new up to."""

    embedder: int = 0
    total: int = 0
    seen: datetime | None = None


class _Wanted(NamedTuple):
    kind: EmbedderKind
    model: str
    dims: int
    place: str = ""


class Vectors:
    """The vectors of one database, by what this coordinator is configured for. Thread-safe."""

    def __init__(
        self,
        database: Database,
        blobs: BlobStore,
        *,
        clock: Callable[[], datetime],
        service: Service | None = None,
        batch: int = BATCH,
        learn_from: int = LEARN_FROM,
        index_from: int = vectors.INDEX_FROM,
    ) -> None:
        self.database = database
        self._blobs = blobs
        self._clock = clock
        self._service = service
        self._batch = batch
        self._learn_from = learn_from
        self._index_from = index_from
        self._makers: dict[int, Maker] = {}
        self._loading = threading.Lock()

    # --- telling ---

    def current(self) -> tuple[Embedder | None, Embedder | None]:
        """The embedder that answers, and the one that is being filled."""
        with self.database.connection() as connection:
            return embedders.current(connection)

    def status(self) -> VectorStatus:
        """How things stand. Compares all texts' times with their vectors'."""
        ready, filling = self.current()
        target = filling or ready
        behind = vectors.behind(self.database, target) if target else vectors.texts(self.database)
        state = "ready" if ready else "filling" if filling else "none"
        return VectorStatus(state, behind, ready and ready.record, filling and filling.record)

    def is_due(self) -> bool:
        """Whether there is something to do, and no feed is being taken in that will bring more."""
        if not vectors.settled(self.database):
            return False
        ready, filling = self.current()
        total = vectors.texts(self.database)
        if filling or not total:
            return bool(filling)
        return ready is None or not self._suits(ready, self._wanted(total, ready), total) or self._is_behind(ready)

    def _is_behind(self, ready: Embedder) -> bool:
        return vectors.is_behind(self.database, ready)

    def maker(self, embedder: Embedder) -> Maker | None:
        """What makes the vectors of `embedder`; None for those of a service that is not the configured one.

        Raises `NotFound` or `Corrupt` where what was learned is lost.
        """
        if embedder.kind == "service":
            return self._of_service(embedder)
        with self._loading:
            found = self._makers.get(embedder.id)
            if found is None:
                while len(self._makers) >= _REMEMBERED:
                    del self._makers[next(iter(self._makers))]
                found = self._makers[embedder.id] = self._loaded(embedder)
            return found

    def _loaded(self, embedder: Embedder) -> Maker:
        from spectra.intel.embed import model

        if embedder.kind == "hashed" and embedder.model == model.HASHED:
            return model.Hashed(embedder.dims)
        if embedder.kind == "learned" and embedder.model == model.LEARNED and embedder.blob:
            return model.load(self._blobs.get(embedder.blob))
        raise Corrupt(f"Vectors by {embedder.model} are of another release.", reason="embedder_unknown")

    def _of_service(self, embedder: Embedder) -> Service | None:
        """The configured service, asked for the model of `embedder`: no text goes to any other place."""
        service = self._service
        if service is None or service.place.host != embedder.place:
            return None
        return Service(service.place._replace(model=embedder.model, dims=embedder.dims), stopped=service.stopped)

    # --- which embedder ---

    def _wanted(self, total: int, ready: Embedder | None) -> _Wanted:
        from spectra.intel.embed import model

        if self._service is not None:
            place = self._service.place
            return _Wanted("service", place.model, place.dims, place.host)
        if total >= self._learn_from or (ready is not None and ready.kind == "learned"):
            return _Wanted("learned", model.LEARNED, model.DIMS)
        return _Wanted("hashed", model.HASHED, model.DIMS)

    def _suits(self, held: Embedder, wanted: _Wanted, total: int) -> bool:
        """Whether `held` is what is wanted, was not outgrown, and is not lost."""
        if (held.kind, held.model, held.place) != (wanted.kind, wanted.model, wanted.place):
            return False
        if wanted.dims not in (0, held.dims) or (held.kind == "learned" and total >= _OUTGROWN * held.texts):
            return False
        try:
            return self.maker(held) is not None
        except (NotFound, Corrupt):
            return False

    # --- the steps ---

    def plan(self, *, anew: bool = False) -> Plan:
        """Choose the embedder to be brought up to date, made (learned) if need be. `anew`: another one in any case."""
        total, seen = vectors.texts(self.database), vectors.newest_change(self.database)
        ready, filling = self.current()
        if not total and not ready:
            return Plan()
        wanted = self._wanted(total, ready)
        if wanted.kind == "service" and self._service is not None:
            wanted = wanted._replace(dims=self._service.probe())
        if filling is not None and self._suits(filling, wanted, total):
            target = filling
        elif ready is not None and not anew and self._suits(ready, wanted, total):
            self._give_up(filling)
            target = ready
        else:
            target = self._begin(wanted, total)
        vectors.count(self.database, target, total)
        return Plan(target.id, vectors.behind(self.database, target, late=True), seen)

    def _give_up(self, filling: Embedder | None) -> None:
        if filling is not None:
            with self.database.transaction() as connection:
                embedders.lock(connection)
                embedders.retire(connection, filling.id)

    def _begin(self, wanted: _Wanted, total: int) -> Embedder:
        blob = self._learned(total) if wanted.kind == "learned" else None
        with self.database.transaction() as connection:
            embedders.lock(connection)
            number = embedders.begin(
                connection,
                kind=wanted.kind,
                model=wanted.model,
                place=wanted.place,
                dims=wanted.dims,
                blob=blob,
                texts=total if blob else 0,
                now=self._clock(),
            )
            begun = embedders.get(connection, number)
        _log.info("vectors are made by another embedder", extra={"spectra.embedder": wanted.model})
        if begun is None:
            raise AssertionError("an embedder that was just made is not there")
        return begun

    def _learned(self, total: int) -> bytes:
        """Learn from a sample of the texts; returns where that is stored."""
        from spectra.intel.embed import model

        told = vectors.sample(self.database, min(_SAMPLE, total), total)
        return self._blobs.put(model.fit([_composed(text) for text in told]))

    def embed(self, number: int, after: int) -> Step:
        """Make the vectors of the next texts after the number `after` that have none, or one of another text."""
        from spectra.intel.embed.model import halves
        from spectra.intel.embed.texts import digest_of

        embedder = self._get(number)
        if embedder is None:
            return Step()
        limit = min(self._batch, _SERVICE_BATCH) if embedder.kind == "service" else self._batch
        told = vectors.next_texts(self.database, embedder, after, limit)
        if not told:
            return Step()
        texts = {text.num: _composed(text) for text in told if not text.rejected}
        digests = {num: digest_of(text) for num, text in texts.items()}
        new = [t.num for t in told if t.num in digests and digests[t.num] != t.digest]
        made = halves(self._maker(embedder).embed([texts[num] for num in new])) if new else []
        written = [Vector(num, digests[num], half) for num, half in zip(new, made, strict=True)]
        gone = [text.num for text in told if text.rejected]
        if written or gone:
            vectors.write(self.database, embedder, written, gone)
        return Step(told[-1].num, len(told), len(written) + len(gone))

    def index(self, number: int) -> bool:
        """Make the index if there are enough vectors; returns whether there is one."""
        embedder = self._get(number)
        return embedder is not None and vectors.build_index(self.database, embedder, least=self._index_from)

    def switch(self, number: int, seen: datetime | None) -> None:
        """Have the embedder answer from now on; up to `seen` its vectors are up to date."""
        embedders.switch(self.database, number, seen, self._clock())

    def tidy(self) -> int:
        """Remove the vectors, indexes and models of embedders that had their time; returns how many of those."""
        with self.database.connection() as connection:
            past = embedders.retired(connection)
        for embedder in past:
            vectors.drop(self.database, embedder)
            if embedder.blob is not None:
                with self.database.transaction() as connection:
                    embedders.lock(connection)
                    if not embedders.is_used(connection, embedder.blob):
                        self._blobs.discard(embedder.blob)
            embedders.forget(self.database, embedder.id)
        return len(past)

    def vectorize(self, *, anew: bool = False) -> int:
        """All steps at once, for who waits for them; returns how many vectors were made."""
        plan = self.plan(anew=anew)
        made, step = 0, Step(done=1)
        while plan.embedder and step.done:
            step = self.embed(plan.embedder, step.after)
            made += step.changed
        if plan.embedder:
            self.index(plan.embedder)
            self.switch(plan.embedder, plan.seen)
        self.tidy()
        return made

    def _get(self, number: int) -> Embedder | None:
        """The embedder of this id unless it was retired meanwhile."""
        with self.database.connection() as connection:
            found = embedders.get(connection, number)
        return found if found is not None and found.state != "retired" else None

    def _maker(self, embedder: Embedder) -> Maker:
        maker = self.maker(embedder)
        if maker is None:
            raise SpectraError(f"{embedder.place} is no longer configured to make vectors.", reason="embedder_away")
        return maker


class Follower:
    """Starts `wf.vuln_vectorize` by itself where there is something to do: looks every `every_s` seconds."""

    def __init__(self, due: Callable[[], bool], start: Callable[[], object], every_s: float) -> None:
        self._due = due
        self._begin = start
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="vectors", daemon=True)

    def start(self) -> None:
        """Begin to look; with `every_s` 0 never."""
        if self._every_s:
            self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def look(self) -> bool:
        """Start the workflow if there is something to do; returns whether there was."""
        if not self._due():
            return False
        self._begin()
        return True

    def _run(self) -> None:
        wait = self._every_s
        while not self._stop.wait(wait):
            wait = self._every_s
            try:
                if self.look():
                    wait *= _PATIENCE  # it may be at it for a while, or fail the same way again
            except Unavailable:  # the next look finds what this one did not
                _log.debug("could not look for texts without vectors", exc_info=True)
            except Exception:  # noqa: BLE001 - a thread that ends is missed by nobody
                _log.warning("could not look for texts without vectors", exc_info=True)


_PATIENCE: Final = 5


def _composed(text: Text) -> str:
    from spectra.intel.embed.texts import composed

    return composed(text.title, text.description, text.weaknesses, text.products)
