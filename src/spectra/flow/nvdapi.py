"""The NVD's API 2.0: all CVEs, or those that changed in a window of time, a page at a time.

https://nvd.nist.gov/developers/vulnerabilities: at most 2,000 results a page and 120 days a window, 5 requests in 30 s
without an API key and 50 with one, and six seconds between requests are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from pydantic import SecretStr

from spectra.errors import SpectraError
from spectra.flow.download import NONE, Bounds, FetchError, checked_url, fetch
from spectra.flow.jobs import stopping

PAGE: Final = 2000
OVERLAP: Final = timedelta(hours=2)
"""What changed shortly before the last time is asked for again: the API's answers lag behind its clock."""
_WINDOW: Final = timedelta(days=120)
_PAUSE_S: Final = 6.0
_PAUSE_WITH_KEY_S: Final = 0.6
_LONGEST_S: Final = 300.0
_TRIES: Final = 8
_MAX_PAGE_BYTES: Final = 128 * 1024 * 1024
_PASSING: Final = frozenset({0, HTTPStatus.FORBIDDEN, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


class ApiError(SpectraError):
    """The API does not give a page; `passing` where it may later, as for who asked too often (403, 429, 503)."""

    reason = "feed_fetch_failed"

    def __init__(self, message: str, *, passing: bool, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.passing = passing


class Window(NamedTuple):
    """CVEs that changed from `start` to `end`; both None: all there are."""

    start: datetime | None = None
    end: datetime | None = None


class _Head(msgspec.Struct, rename="camel"):
    """What a page says of itself."""

    total_results: int
    results_per_page: int
    start_index: int
    vulnerabilities: msgspec.Raw


def windows(since: datetime | None, now: datetime) -> Iterator[Window]:
    """What has to be asked for to know all that changed since then."""
    if since is None:
        yield Window()
        return
    start = since - OVERLAP
    while start < now:
        end = min(start + _WINDOW, now)
        yield Window(start, end)
        start = end


class Api:
    """The API at one URL. The key is a header of each request and appears nowhere else."""

    def __init__(self, bounds: Bounds, key: SecretStr | None = None, *, pause_s: float | None = None) -> None:
        self._bounds = bounds._replace(max_bytes=min(bounds.max_bytes, _MAX_PAGE_BYTES))
        self._key = key
        self._pause_s = pause_s if pause_s is not None else (_PAUSE_WITH_KEY_S if key else _PAUSE_S)

    def pause_s(self, failures: int = 0) -> float | None:
        """How long to wait before the next request, after so many in a row that failed; None: give up."""
        if failures >= _TRIES:
            return None
        return min(self._pause_s * 2.0 ** min(failures, 30), max(_LONGEST_S, self._pause_s))

    def page(self, url: str, window: Window, first: int, to: Path) -> int:
        """Write the page of results from `first` on into `to`; returns how many results there are in all.

        Raises `ApiError`.
        """
        parameters = {"resultsPerPage": str(PAGE), "startIndex": str(first)}
        if window.start and window.end:
            parameters |= {"lastModStartDate": _time(window.start), "lastModEndDate": _time(window.end)}
        target = str(checked_url(url).copy_merge_params(parameters))
        headers = {"apiKey": self._key.get_secret_value()} if self._key else NONE
        try:
            with to.open("wb") as file:
                fetch(target, file, self._bounds, stopped=stopping.is_set, headers=headers)
            head = msgspec.json.decode(to.read_bytes(), type=_Head)
        except FetchError as error:
            passing = error.status in _PASSING or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
            passing = passing and error.reason == "feed_fetch_failed"
            raise ApiError(error.message, passing=passing, hint=error.hint) from None
        except (msgspec.MsgspecError, UnicodeError) as error:
            raise ApiError("What the API answered is no page of CVEs.", passing=True) from error
        if head.start_index != first:
            raise ApiError("The API answered with another page than was asked for.", passing=True)
        return head.total_results


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds")
