"""What may be looked up about a CVE, and where: each look-up is a URL made from the id alone, or a known page's.

A run has a bound of pages; a page that was asked for is not fetched again. Every page is stored before anything is made
of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal, NamedTuple

from spectra.ai.enrich.fetching import Fetcher, FetchRefused, Page
from spectra.model.enrichment import Failed
from spectra.model.vulns import CVE_ID, Kev, VulnRecord
from spectra.store.blobs import BlobStore

MAX_PAGES: Final = 24
Kind = Literal["details", "advisory", "exploits"]


class Place(NamedTuple):
    """A service that tells of CVEs: `url` has `{cve}` in it, or is a list of all. `read` finds a CVE in what it
    answers; None where it is not there. Raises `ValueError` for what is not of its kind.
    """

    name: str
    kind: Kind
    url: str
    read: Callable[[bytes, str], VulnRecord | Kev | None]


class Told(NamedTuple):
    """What a place says of a CVE, and the page it says so on."""

    place: str
    page: Page
    says: VulnRecord | Kev | None


class Lookups:
    """The look-ups of one run, for one account. Not thread-safe.

    `pages` are those that came, by the URL that was asked for; `failed` those that did not.
    """

    def __init__(self, fetcher: Fetcher, places: Sequence[Place], blobs: BlobStore, account: str) -> None:
        self._fetcher = fetcher
        self._places = places
        self._blobs = blobs
        self._account = account
        self.pages: dict[str, Page] = {}
        self.failed: dict[str, Failed] = {}

    def about(self, cve: str, kind: Kind) -> list[Told]:
        """What the places of a kind say of a CVE, as far as they answer. `ValueError` for what is no id of one."""
        if not CVE_ID.fullmatch(cve):
            raise ValueError(f"{cve[:40]!r} is no CVE")
        found = (self._told(place, cve) for place in self._places if place.kind == kind)
        return [told for told in found if told is not None]

    def page(self, url: str) -> Page | None:
        """The page at `url`, None where it does not come; `failed` has why."""
        if url in self.pages or url in self.failed:
            return self.pages.get(url)
        if len(self.pages) + len(self.failed) >= MAX_PAGES:
            self.failed[url] = Failed(url, "too_many", f"No more than {MAX_PAGES} pages are fetched at once.")
            return None
        try:
            page = self._fetcher.get(url, self._account)
        except FetchRefused as error:
            self.failed[url] = Failed(url, error.reason, error.message)
            return None
        self._blobs.put(page.body)
        self.pages[url] = page
        return page

    def allowed(self, urls: Iterable[str]) -> list[str]:
        """Those of `urls` that may be fetched, each once."""
        return [url for url in dict.fromkeys(urls) if self._fetcher.allows(url)]

    def _told(self, place: Place, cve: str) -> Told | None:
        url = place.url.format(cve=cve)
        if not self._fetcher.allows(url) or (page := self.page(url)) is None:
            return None
        try:
            return Told(place.name, page, place.read(page.body, cve))
        except (ValueError, RecursionError) as error:
            self.failed[url] = Failed(url, "fetch_unreadable", f"{place.name} answered something else: {error!s:.150}")
            return None
