"""Lists that come page by page: cursors are followed, and told of while somebody waits for a file to fill."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from spectra.cli.output import Target
from spectra.cli.progress import bar
from spectra.errors import SpectraError

if TYPE_CHECKING:
    from spectra.cli.client import Client

P = TypeVar("P")
R = TypeVar("R")

PAGE = 1000
MAX_EMPTY = 10_000
"""Pages without a row in a row: a server may answer short pages while it walks, but not for ever."""


class Paged(Generic[P, R]):
    """The rows of a list over as many pages as `limit` asks for (0: all).

    `kind` is the struct of a page, with a `next_cursor` that is empty on the last one; `rows` takes the rows out of
    it. Once walked, `more` tells whether the server had further ones, and `first` is the first page, for what else it
    said. Raises `SpectraError` for a server whose pages do not advance.
    """

    def __init__(
        self,
        client: Client,
        path: str,
        kind: type[P],
        rows: Callable[[P], Sequence[R]],
        *,
        params: dict[str, str | int],
        limit: int,
        page: int = PAGE,
    ) -> None:
        self._client = client
        self._path = path
        self._kind = kind
        self._rows = rows
        self._params = params
        self._limit = limit
        self._page = page
        self.first: P | None = None
        self.more = False

    def __iter__(self) -> Iterator[R]:
        left = self._limit
        cursor = ""
        empty = 0
        while True:
            ask = min(left, self._page) if self._limit else self._page
            page = self._get(ask, cursor)
            rows = self._rows(page)[:ask]
            yield from rows
            left -= len(rows)
            empty = 0 if rows else empty + 1
            following: str = getattr(page, "next_cursor", "")
            self.more = bool(following)
            if not self.more or (self._limit and left <= 0):
                return
            if following == cursor or empty > MAX_EMPTY:
                raise SpectraError("the server's pages do not advance", reason="bad_answer")
            cursor = following

    def _get(self, ask: int, cursor: str) -> P:
        params: dict[str, Any] = {**self._params, "limit": ask}
        page = self._client.get(self._path, self._kind, {**params, "cursor": cursor} if cursor else params)
        self.first = self.first if self.first is not None else page
        return page


def watched(rows: Iterable[R], target: Target, title: str = "reading") -> Iterator[R]:
    """`rows`, counted on standard error while they go to a file or a pipe and a person looks on."""
    if not target.path and sys.stdout.isatty():
        yield from rows
        return
    with bar(title) as shown:
        for count, row in enumerate(rows, 1):
            yield row
            if count % 200 == 0:
                shown.move(count, None, f"{count:,}")
