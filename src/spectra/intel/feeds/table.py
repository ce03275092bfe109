"""A feed, compiled: the networks of any format as sorted intervals, each with the record that holds for it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Literal

Kind = Literal["geo", "asn", "cloud", "as-names"]
"""`geo`: places. `asn`: AS numbers, with names where the feed has them. `cloud`: providers. `as-names`: names alone."""


class Table:
    """One feed, ready to be looked up. Made by `read`, or by `Table.load` from what `save` wrote."""

    kind: Kind
    format: str  # such as `mmdb:GeoLite2-City`, `routeviews`, `aws`
    version: str  # the feed's own: build date, syncToken, changeNumber; "" where it has none
    built: datetime | None
    networks: int  # networks of the feed (names, for `as-names`)
    provider: str  # of `cloud` tables: `aws`, `gcp` ...

    def save(self, path: Path) -> None:
        """Write the table to `path`; equal tables are equal bytes. The caller makes it atomic by renaming."""
        raise NotImplementedError

    @classmethod
    def load(cls, path: Path, *, verify: bool = True) -> Table:
        """The table of `path`, memory-mapped. Raises `Corrupt`; without `verify` only its head is checked."""
        raise NotImplementedError
