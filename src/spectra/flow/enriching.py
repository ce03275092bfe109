"""The enrichment agent put together: the gateway's way out, the chain of what left, the places that are asked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from ipaddress import ip_network
from typing import TYPE_CHECKING

from spectra.ai.enrich.fetching import Address, Fetcher
from spectra.ai.enrich.service import Enricher, Has, Keeps
from spectra.ai.gateway.gateway import Gateway
from spectra.flow.judging import JUDGE
from spectra.flow.lookupplaces import PLACES
from spectra.model.ai import Label
from spectra.settings import Settings
from spectra.store.aiegress import Leaving, leaving
from spectra.store.blobs import BlobStore
from spectra.store.database import Database

if TYPE_CHECKING:
    import ssl

    import httpx


def enricher_of(
    settings: Settings,
    database: Database,
    blobs: BlobStore,
    gateway: Gateway,
    *,
    keeps: Keeps,
    clock: Callable[[], datetime],
) -> Enricher:
    """The agent of a coordinator. Quick: nothing is connected to before the first look-up.

    Addresses that are not public may be fetched from where `feeds.allow` names their network.
    """

    def opened(timeout_s: float, *, allowed: Callable[[Address], bool], verify: ssl.SSLContext) -> httpx.Client:
        return gateway.client("fetch", timeout_s, allowed, verify)

    def on_record(account: str, host: str, sent: bytes) -> None:
        digest = hashlib.sha256(sent).hexdigest()
        one = Leaving(account, digest, len(sent), Label.CLOUD_DIRECT, "fetch", "", "enrich", host)
        leaving(database, one, clock())

    ai = settings.ai
    fetcher = Fetcher(
        opened,
        on_record,
        hosts=ai.fetch_hosts,
        on=ai.fetch,
        allow=[ip_network(text) for text in settings.feeds.allow],
        clock=clock,
    )
    has = Has(database, blobs, fetcher, PLACES, keeps, JUDGE, clock)
    return Enricher(gateway, has, deadline_s=ai.chat_deadline_s)
