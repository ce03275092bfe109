"""The API as the command line sees it: one blocking client, with timeouts, bounded retries and typed answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from ipaddress import ip_address
from typing import NamedTuple, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import httpx
import msgspec

from spectra import __version__
from spectra.cli.problems import ApiError, ProblemBody, Unreachable
from spectra.errors import BadRequest, SpectraError

T = TypeVar("T")
Params = Mapping[str, str | int]

MIB = 1024 * 1024
MAX_ANSWER_BYTES = 256 * MIB
MAX_LINE_BYTES = 4 * MIB
MAX_WAIT_S = 60.0
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
_BUSY = frozenset({429, 502, 503, 504})
READ_S = 120.0
SLOW_READ_S = 900.0


class BadAnswer(SpectraError):
    """The server's answer is not what this version reads."""

    reason = "bad_answer"


def is_loopback(url: str) -> bool:
    """Whether `url` names this machine, so that no proxy may come between and plain HTTP is fine."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def require_url(url: str) -> None:
    """Raises `BadRequest` unless `url` is http or https with a host and, if any, a port that exists."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise BadRequest(f"{url!r} is not the URL of a server", hint="Write it as http://127.0.0.1:8765.")


def segment(value: str) -> str:
    """`value` as one path segment: nothing in it can reach another route. `.` and `..` are refused."""
    if value in ("", ".", ".."):
        raise BadRequest(f"{value!r} names nothing", hint="Give an address, a name or an id.")
    return quote(value, safe=":")


def _timeout(read_s: float) -> httpx.Timeout:
    return httpx.Timeout(connect=5.0, read=read_s, write=120.0, pool=10.0)


def _retry_after(response: httpx.Response, attempt: int) -> float:
    """Seconds to wait: `Retry-After` where it is a number (RFC 9110 section 10.2.3), else doubling from 0.5 s."""
    try:
        wait = float(response.headers.get("retry-after", ""))
    except ValueError:
        wait = 0.5 * 2**attempt
    return min(max(wait, 0.0), MAX_WAIT_S) if wait == wait else MAX_WAIT_S  # noqa: PLR0124 - NaN is not itself


def _read(response: httpx.Response, bound: int) -> bytes:
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > bound:
            raise BadAnswer(f"the answer of {response.request.url.path} is larger than {bound // MIB} MiB")
    return bytes(body)


def _problem(response: httpx.Response) -> ApiError:
    try:
        body = _told(_read(response, MIB))
    except (msgspec.DecodeError, BadAnswer):  # not ours: a proxy's page, another server
        body = ProblemBody(detail=f"{response.request.url} answered {response.status_code} {response.reason_phrase}")
    return ApiError(response.status_code, body)


class _Refusal(msgspec.Struct):
    """An error of the token endpoint (RFC 6749 section 5.2)."""

    error: str
    error_description: str = ""


def _told(body: bytes) -> ProblemBody:
    try:
        refusal = msgspec.json.decode(body, type=_Refusal)
    except msgspec.ValidationError:  # without `error`: a problem
        return msgspec.json.decode(body, type=ProblemBody)
    return ProblemBody(detail=refusal.error_description or refusal.error, reason=refusal.error)


class _Call(NamedTuple):
    method: str
    path: str
    params: Params | None
    content: bytes | None
    headers: Mapping[str, str]
    wait_s: float


class Client:
    """Speaks to one server. Safe to share between threads.

    Every call raises `ApiError` for a problem, `Unreachable` where nothing answers and `BadAnswer` for an answer of
    the wrong shape. Answers 429, 502, 503 and 504 are retried after `Retry-After`, at most `attempts` calls in all;
    `patient` also tries again where nothing listens any more: a server that has answered may be starting anew. `stop`
    ends the waiting, `notify` is told of it. `token` may be asked for anew with every call: sessions are refreshed.
    """

    def __init__(
        self,
        url: str,
        token: str | Callable[[], str] = "",
        *,
        attempts: int = 4,
        patient: bool = False,
        stop: threading.Event | None = None,
        notify: Callable[[str], None] | None = None,
    ) -> None:
        require_url(url)
        self.url = url.rstrip("/")
        self._attempts = attempts
        self._patient = patient
        self._answered = False
        self._stop = stop or threading.Event()
        self._notify = notify
        headers = {"user-agent": f"spectra-cli/{__version__}", "accept": "application/json"}
        self.knows_token = bool(token)
        self._token = token
        self._http = httpx.Client(
            base_url=self.url, headers=headers, trust_env=not is_loopback(url), follow_redirects=False
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get(self, path: str, kind: type[T], params: Params | None = None, *, wait_s: float = READ_S) -> T:
        """GET `path` and decode the JSON answer into `kind`; `wait_s` is how long the server may be silent."""
        with self.open("GET", path, params=params, repeat=True, wait_s=wait_s) as response:
            return self._decode(response, kind)

    def post(self, path: str, kind: type[T], body: object = None, *, key: str = "") -> T:
        """POST `body` as JSON and decode the answer into `kind`. Not repeated when the connection breaks midway, unless
        the server knows the call again by an idempotency `key`.
        """
        content = msgspec.json.encode(body)
        with self.open("POST", path, content=content, repeat=bool(key), key=key) as response:
            return self._decode(response, kind)

    def call(self, method: str, path: str, kind: type[T], body: object = None) -> T:
        """A PUT, PATCH or DELETE with `body` as JSON, if any. It has the same effect twice, so it may be repeated."""
        content = None if body is None else msgspec.json.encode(body)
        with self.open(method, path, content=content, repeat=True) as response:
            return self._decode(response, kind)

    def slow(
        self,
        method: str,
        path: str,
        kind: type[T],
        content: bytes | None = None,
        *,
        params: Params | None = None,
        media_type: str = JSON,
    ) -> T:
        """A call whose answer may take minutes, with `content` as it is. Not repeated when the connection breaks."""
        with self.open(
            method, path, params=params, content=content, media_type=media_type, wait_s=SLOW_READ_S
        ) as response:
            return self._decode(response, kind)

    def form(self, path: str, kind: type[T], fields: Mapping[str, str]) -> T:
        """POST `fields` as a form, as the token endpoint reads it. Not repeated when the connection breaks midway."""
        with self.open("POST", path, content=urlencode(fields).encode(), media_type=FORM) as response:
            return self._decode(response, kind)

    def send(self, path: str, envelope: bytes, kind: type[T]) -> T:
        """POST a signed envelope. Repeated when the connection breaks: the same submission has one receipt."""
        with self.open("POST", path, content=envelope, repeat=True) as response:
            return self._decode(response, kind)

    def lines(
        self, method: str, path: str, params: Params | None = None, body: object = None, *, wait_s: float = READ_S
    ) -> Iterator[bytes]:
        """The lines of an answer that comes line by line, as they come, empty ones left out; `body` is sent as JSON."""
        content = None if body is None else msgspec.json.encode(body)
        with self.open(method, path, params=params, content=content, wait_s=wait_s) as response:
            rest = b""
            for chunk in response.iter_bytes():
                *whole, rest = (rest + chunk).split(b"\n")
                if len(rest) > MAX_LINE_BYTES:
                    raise BadAnswer(f"a line of {path} is longer than {MAX_LINE_BYTES // MIB} MiB")
                yield from (line for line in whole if line.strip())
            if rest.strip():
                yield rest

    def chunks(self, path: str) -> Iterator[bytes]:
        """The bytes of an answer of any size, piece by piece."""
        with self.open("GET", path, repeat=True) as response:
            yield from response.iter_bytes()

    @contextmanager
    def open(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        content: bytes | None = None,
        repeat: bool = False,
        media_type: str = JSON,
        wait_s: float = READ_S,
        key: str = "",
    ) -> Generator[httpx.Response]:
        """The streamed answer of a call that succeeded, after as many attempts as are allowed.

        `wait_s` is how long the server may be silent.
        """
        headers = {"content-type": media_type} if content is not None else {}
        headers |= {"idempotency-key": key} if key else {}
        response = self._attempt_all(_Call(method, path, params, content, headers, wait_s), repeat=repeat)
        try:
            yield response
        except httpx.RequestError as error:  # also an answer that does not decompress
            raise self._unreachable(error) from error
        finally:
            response.close()

    def _attempt_all(self, call: _Call, *, repeat: bool) -> httpx.Response:
        for attempt in range(self._attempts):
            last = attempt + 1 == self._attempts
            request = self._request(call)
            try:
                response = self._http.send(request, stream=True)
            except httpx.TransportError as error:
                if last or not self._may_repeat(error, repeat):
                    raise self._unreachable(error) from error
                wait, why = 0.5 * 2**attempt, "the connection broke"
            else:
                self._answered = True
                if response.is_success:
                    return response
                with closing(response):
                    if last or response.status_code not in _BUSY:
                        raise self._failure(response)
                    wait, why = _retry_after(response, attempt), f"the server is busy ({response.status_code})"
            self._pause(wait, why)
        raise AssertionError("attempts is at least 1")

    def _request(self, call: _Call) -> httpx.Request:
        token = self._token() if callable(self._token) else self._token
        headers = {**call.headers, "authorization": f"Bearer {token}"} if token else call.headers
        return self._http.build_request(
            call.method,
            call.path,
            params=call.params,
            content=call.content,
            headers=headers,
            timeout=_timeout(call.wait_s),
        )

    def _may_repeat(self, error: httpx.TransportError, repeat: bool) -> bool:
        """Nothing was sent where nothing listens; otherwise only what has the same effect twice is sent again."""
        return self._patient and self._answered if isinstance(error, httpx.ConnectError) else repeat

    def _failure(self, response: httpx.Response) -> SpectraError:
        try:
            return _problem(response)
        except httpx.RequestError as error:
            return self._unreachable(error)

    def _pause(self, seconds: float, why: str) -> None:
        if self._notify and seconds >= 1:
            self._notify(f"{why}; trying again in {seconds:.0f} s")
        if self._stop.wait(seconds):
            raise KeyboardInterrupt

    def _unreachable(self, error: httpx.RequestError) -> Unreachable:
        local = is_loopback(self.url)
        what = "Start it with `spectra up`." if local else "Check the address and the network."
        said = str(error) or type(error).__name__
        return Unreachable(f"no answer from {self.url}: {said}", hint=what)

    def _decode(self, response: httpx.Response, kind: type[T]) -> T:
        body = _read(response, MAX_ANSWER_BYTES)
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.DecodeError as error:
            raise BadAnswer(
                f"{self.url} answered something this version does not read: {error}",
                hint="Are the server and this command of the same version? `spectra status` shows the server's.",
            ) from error
