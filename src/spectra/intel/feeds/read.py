"""Any feed file to a table: the format is recognised by the content, and everything in it is checked."""

from __future__ import annotations

from pathlib import Path

from spectra.intel.feeds.table import Table


def read(path: Path, provider: str = "") -> Table:
    """The feed of `path`, plain or packed with gzip or zstd. Raises `FeedError`.

    Plain lists of networks and geofeeds do not say whose they are: `provider` does, or else a provider's name in the
    name of the file (`cloudflare-v4-ip-ranges.txt`). A geofeed of no provider is a `geo` table.
    """
    raise NotImplementedError


def shrunk(old: int, new: int) -> bool:
    """Whether a feed of `new` networks is too small to follow one of `old`: less than half of it."""
    return 2 * new < old
