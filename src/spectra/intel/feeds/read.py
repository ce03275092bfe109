"""Any feed file to a table: the format is recognised by the content, and everything in it is checked."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import Final

from spectra.intel.feeds import clouds, files, lists, maxmind, routes
from spectra.intel.feeds.errors import FeedError
from spectra.intel.feeds.table import Table

_PROVIDER: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_KNOWN: Final = (
    "MaxMind (.mmdb), RouteViews prefixes, AS names, the range files of AWS, Google Cloud, Azure, Oracle Cloud, "
    "Fastly, GitHub and Zscaler, geofeeds, tables of countries and lists of networks are read"
)


def read(path: Path, provider: str = "") -> Table:
    """The feed of `path`, plain or packed with gzip or zstd. Raises `FeedError`.

    Plain lists of networks and geofeeds do not say whose they are: `provider` does, or else a provider's name in the
    name of the file (`cloudflare-v4-ip-ranges.txt`). A geofeed of no provider is a `geo` table.
    """
    if provider and not _PROVIDER.fullmatch(provider):
        raise FeedError(f"{provider[:40]!r} is no name of a provider.", reason="feed_provider", field="provider")
    data = files.load(path)
    if maxmind.is_database(data):
        return maxmind.read(data)
    data = data.removeprefix(codecs.BOM_UTF8)
    start = data[:4096].lstrip()
    if not start:
        raise FeedError("The file is empty.")
    if start[:1] == b"<":
        raise FeedError(
            "This is a web page, no feed.", hint="The address it came from may have moved, or need a login.", line=1
        )
    if start[:1] in b"{[":
        return _json(data)
    return _lines(data, provider or lists.provider_of(path.name))


def _json(data: bytes) -> Table:
    fields = files.json(data, clouds.Fields)
    if routes.is_names(fields):
        return routes.names(data)
    reader = clouds.reader(fields)
    if reader is None:
        raise _unknown()
    return reader(data)


def _lines(data: bytes, provider: str) -> Table:
    first = next((line for line in files.text(data).splitlines() if line.strip() and line.lstrip()[0] not in "#;"), "")
    if routes.LINE.fullmatch(first):
        return routes.prefixes(data)
    if lists.is_country_table(first):
        return lists.country_table(data)
    if not re.match(r"[0-9A-Fa-f.:]{2,45}(/\d{1,3})?\s*(,|$)", first):
        raise _unknown()
    return lists.geofeed(data, provider) if "," in first else lists.plain(data, provider)


def _unknown() -> FeedError:
    return FeedError("This is no feed of a known format.", reason="feed_unknown", hint=f"{_KNOWN}.")


def shrunk(old: int, new: int) -> bool:
    """Whether a feed of `new` networks is too small to follow one of `old`: less than half of it."""
    return 2 * new < old
