"""Small feeds of documentation networks, and the feeds of one coordinator on a database of the test's own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from spectra.flow.download import Bounds
from spectra.flow.feeds import Feeds
from spectra.model.facts import Place
from spectra.store.blobs import BlobStore
from spectra.store.database import Database
from tests.flow.desk import Clock
from tests.flow.test_download import LOOPBACK

PARIS = "192.0.2.1"  # in every feed of places below


def places(folder: Path, *rows: str, name: str = "places.csv") -> Path:
    """A geofeed (RFC 8805) with these rows, such as `192.0.2.0/27,FR,FR-IDF,Paris,`."""
    path = folder / name
    path.write_text("".join(f"{row}\n" for row in rows), "utf-8")
    return path


def cities(folder: Path, city: str = "Paris", *, count: int = 10) -> Path:
    """A geofeed of `count` networks, the first of which, that of `PARIS`, lies in `city`."""
    others = [f"198.51.100.{n}/32,DE,DE-BE,Berlin," for n in range(count - 1)]
    return places(folder, f"192.0.2.0/27,FR,FR-IDF,{city},", *others)


def routes(folder: Path, *pairs: tuple[str, int]) -> Path:
    """A table of prefixes and their origins."""
    path = folder / "routes.txt"
    path.write_text("; Prefix and origin\n" + "".join(f"{net}\t{asn}\n" for net, asn in pairs), "utf-8")
    return path


def make_feeds(database: Database, blobs: BlobStore, folder: Path, clock: Clock, **options: Any) -> Feeds:
    """Not started: what is current is asked for when it is needed."""
    options = {"bounds": Bounds(1 << 20, 20.0, LOOPBACK), "update_every": timedelta(days=1)} | options
    return Feeds(database, blobs, folder, clock=clock, **options)


def located(feeds: Feeds, ips: Sequence[str]) -> list[Place]:
    """Where these addresses are by the current set."""
    return [facts.place for facts in feeds.facts(ips)]


def city_of(feeds: Feeds, ip: str = PARIS) -> str:
    """The city of an address by the current set; empty where nothing is known."""
    return next((place.city for place in located(feeds, [ip])), "")
