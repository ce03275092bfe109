"""What a failed attempt says about its provider, in words without data of anybody. Imported when first needed."""

from __future__ import annotations

from typing import Final, Literal

import httpx2
from pydantic_ai import exceptions as said

from spectra.errors import SetupError

What = Literal["passing", "refused", "setup", "slow", "leak", "blocked"]

_RATE_S: Final = 30.0
_KEY_S: Final = 300.0
_MODEL_S: Final = 60.0


class Failed(Exception):
    """One attempt gave no answer. `what`: `passing` counts against the provider, `slow` does where it had time enough;
    `setup` needs its operator; `refused` is the request's own fault; `leak` and `blocked` were not sent.
    """

    def __init__(self, why: str, what: What = "passing", wait_s: float | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.what: What = what
        self.wait_s = wait_s


def failed(error: BaseException) -> Failed:
    """What an exception of an attempt means. Words of the provider are not repeated: it may repeat what it was sent."""
    if isinstance(error, Failed):
        return error
    if isinstance(error, SetupError):
        return Failed(error.message, "setup", _MODEL_S)
    if isinstance(error, TimeoutError | said.ModelTimeoutError | httpx2.TimeoutException):
        return Failed("gave no answer in time", "slow")
    if isinstance(error, said.ModelAPIError):
        return _told(error)
    if isinstance(error, httpx2.TransportError | httpx2.StreamError | ConnectionError):
        return Failed("broke off")
    return Failed(f"answered what is no answer ({type(error).__name__})")


def _told(error: said.ModelAPIError) -> Failed:
    status = error.status_code if isinstance(error, said.ModelHTTPError) else 0
    for kinds, statuses, why, what, wait_s in _KNOWN:
        if isinstance(error, kinds) or status in statuses:
            shown = f"{why} ({status})" if status else why
            return Failed(shown, what, _after(error) if status == 429 else wait_s)
    return Failed(f"answered {status}" if status else "answered with an error")


_Known = tuple[tuple[type[BaseException], ...], tuple[int, ...], str, What, float | None]
_KNOWN: Final[tuple[_Known, ...]] = (
    ((said.ModelRateLimitError, said.ModelQuotaExceededError), (429,), "asks to be spared", "passing", _RATE_S),
    ((said.ModelAuthenticationError,), (401, 403), "refuses its key", "setup", _KEY_S),
    ((said.ModelNotFoundError,), (404,), "does not know its model", "setup", _MODEL_S),
    ((said.ModelContextWindowExceededError,), (413,), "finds the request too long", "refused", None),
    ((said.ModelRequestRejectedError,), (400, 422), "refuses the request", "refused", None),
    ((said.ModelConnectionError,), (), "cannot be reached, or broke off", "passing", None),
)


def _after(error: BaseException) -> float:
    """Seconds of a Retry-After."""
    headers = error.headers if isinstance(error, said.ModelHTTPError) else None
    told = (headers or {}).get("retry-after", "")
    return float(told) if told.isdecimal() and len(told) < 8 else _RATE_S
