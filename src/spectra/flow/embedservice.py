"""A service that makes vectors: `/v1/embeddings` as OpenAI defined it, and Ollama, LocalAI and others speak it.

Its URL is the operator's configuration, not a caller's word, so local addresses are as good as any. Texts go there and
nowhere else: no redirect is followed and no proxy of the environment is used.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from http import HTTPStatus
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, NamedTuple

import httpx
import msgspec

from spectra import __version__
from spectra.errors import SetupError, SpectraError, Unavailable

if TYPE_CHECKING:  # numpy takes a while to be imported
    from spectra.intel.embed.model import Floats

_PATH: Final = "/v1/embeddings"
_BYTES_PER_NUMBER: Final = 40  # as JSON writes one, with room for blanks
_ROOM: Final = 64 * 1024
_LARGEST: Final = 1e15  # of a number of a vector: its square is a float, too
_MAX_DIMS: Final = 4000  # of an indexed halfvec
_RETRIES: Final = 3
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 20.0
_PASSING: Final = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS} | {s for s in HTTPStatus if s >= 500}


class EmbeddingError(SpectraError):
    """A service that refuses, or answers what are no vectors: asking the same again would not help."""

    reason = "embedding_failed"


class Place(NamedTuple):
    """Where the service is and what to ask it for; `dims` 0: as many as the model gives."""

    url: str
    model: str
    key: str = ""
    dims: int = 0
    batch: int = 64
    timeout_s: float = 60.0

    @property
    def host(self) -> str:
        """The host and port, by which vectors of one service are told from those of another."""
        return httpx.URL(self.url).netloc.decode("ascii")

    @property
    def on_this_machine(self) -> bool:
        """Whether it is at a loopback address, written as one or as `localhost`."""
        host = httpx.URL(self.url).host
        try:
            return ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    @property
    def endpoint(self) -> str:
        """The URL that is asked, whether the configured one names it whole, up to `/v1`, or the server alone."""
        base = self.url.rstrip("/")
        if base.endswith("/embeddings"):
            return base
        return base + (_PATH.removeprefix("/v1") if base.endswith("/v1") else _PATH)


class _Item(msgspec.Struct):
    index: int
    embedding: list[float]


class _Answer(msgspec.Struct):
    data: list[_Item]


class Service:
    """Vectors of `place.model`. Thread-safe. `stopped` ends waiting between tries."""

    def __init__(self, place: Place, *, stopped: threading.Event | None = None, retries: int = _RETRIES) -> None:
        self.place = place
        self.stopped = stopped or threading.Event()
        self._retries = retries
        self._dims = place.dims

    @property
    def dims(self) -> int:
        """How many numbers its vectors have: as configured, else asked for once."""
        return self._dims or self.probe()

    def probe(self) -> int:
        """Ask for one vector; returns its dimensions. Raises `Unavailable`, `EmbeddingError` or `SetupError`."""
        self._dims = len(self._asked(["probe"])[0])
        if self._dims > _MAX_DIMS:
            raise SetupError(
                f"{self.place.model} gives vectors of {self._dims} dimensions; {_MAX_DIMS} can be searched.",
                hint="Set SPECTRA_EMBEDDINGS__DIMENSIONS, if the model can be asked for fewer.",
            )
        return self._dims

    def once(self) -> Service:
        """The same, trying once: for somebody who waits for the answer."""
        return Service(self.place._replace(dims=self._dims), stopped=self.stopped, retries=0)

    def embed(self, texts: Sequence[str]) -> Floats:
        """A vector of length 1 for each text, (texts, dims); zeros for one that says nothing."""
        import numpy as np

        from spectra.intel.embed.model import unit

        said = [i for i, text in enumerate(texts) if text.strip()]
        vectors = np.zeros((len(texts), self.dims), np.float64)
        for begin in range(0, len(said), self.place.batch):
            some = said[begin : begin + self.place.batch]
            vectors[some] = self._asked([texts[i] for i in some])
        if not (np.abs(vectors) < _LARGEST).all():
            raise EmbeddingError(f"{self.place.host} answered with numbers that are too large.")
        return unit(vectors.astype(np.float32))

    def _asked(self, texts: Sequence[str]) -> list[list[float]]:
        wait = _FIRST_PAUSE_S
        for left in range(self._retries, -1, -1):
            try:
                return self._vectors(self._post(texts), len(texts))
            except Unavailable as error:
                if not left or self.stopped.wait(min(max(wait, error.retry_after_s), _LONGEST_PAUSE_S)):
                    raise
                wait *= 4
        raise AssertionError

    def _post(self, texts: Sequence[str]) -> bytes:
        body: dict[str, object] = {"model": self.place.model, "input": list(texts), "encoding_format": "float"}
        if self.place.dims:
            body["dimensions"] = self.place.dims
        headers = {"content-type": "application/json", "user-agent": f"spectra/{__version__}"}
        if self.place.key:
            headers["authorization"] = f"Bearer {self.place.key}"
        timeout = httpx.Timeout(self.place.timeout_s, connect=min(10.0, self.place.timeout_s))
        most = len(texts) * (self._dims or _MAX_DIMS * 2) * _BYTES_PER_NUMBER + _ROOM
        try:
            with (
                httpx.Client(trust_env=False, timeout=timeout, follow_redirects=False) as client,
                client.stream("POST", self.place.endpoint, content=_encode(body), headers=headers) as response,
            ):
                return _read(response, self.place.host, most)
        except httpx.HTTPError as error:
            said = (str(error) or type(error).__name__).rstrip(".")
            raise _away(f"The embedding service {self.place.host} cannot be asked: {said}.") from error

    def _vectors(self, body: bytes, wanted: int) -> list[list[float]]:
        try:
            found = msgspec.json.decode(body, type=_Answer).data
        except (ValueError, RecursionError) as error:
            raise EmbeddingError(f"{self.place.host} answered what are no vectors: {str(error)[:200]}.") from error
        found.sort(key=lambda item: item.index)
        sizes = {len(item.embedding) for item in found}
        if [item.index for item in found] != list(range(wanted)) or len(sizes) != 1 or not min(sizes):
            raise EmbeddingError(f"{self.place.host} did not answer with a vector for each of {wanted} texts.")
        if self._dims and sizes != {self._dims}:
            raise EmbeddingError(
                f"{self.place.model} gave vectors of {sizes.pop()} dimensions, not {self._dims}.",
                hint="Set SPECTRA_EMBEDDINGS__DIMENSIONS to what it gives, or to 0.",
            )
        return [item.embedding for item in found]


_encode: Final[Callable[[object], bytes]] = msgspec.json.encode


def _read(response: httpx.Response, host: str, most: int) -> bytes:
    """The body of an answer, if it is one; bounded, also as it is unpacked."""
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > most:
            raise EmbeddingError(f"{host} answered more than {most} bytes.")
    if response.status_code in _PASSING:
        after = response.headers.get("retry-after", "")
        raise _away(f"{host} answered {response.status_code}.", float(after) if after.isdecimal() else 0.0)
    if response.status_code != HTTPStatus.OK:
        said = bytes(body[:200]).decode("utf-8", "replace")
        raise EmbeddingError(
            f"{host} answered {response.status_code}: {said}", hint="Check SPECTRA_EMBEDDINGS__MODEL and __API_KEY."
        )
    return bytes(body)


def _away(message: str, after_s: float = 0.0) -> Unavailable:
    error = Unavailable(message, reason="embeddings_away", hint="It is asked again.")
    error.retry_after_s = max(after_s, 2.0) if after_s else _FIRST_PAUSE_S
    return error
