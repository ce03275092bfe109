"""A web of its own, and a fetcher that may ask it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

import pytest

from spectra.ai.enrich.fetching import Fetcher
from spectra.ai.gateway.egress import Egress
from spectra.settings.ai import EgressSettings
from tests.support.webs import Web

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
Making = Callable[..., Fetcher]


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """The server."""
    with Web(tmp_path_factory.mktemp("web")) as web:
        yield web


@pytest.fixture
def web(served: Web) -> Web:
    """The server, with no pages and no past."""
    served.sites.clear()
    served.asked.clear()
    served.headers.clear()
    return served


class Left(list[tuple[str, str, bytes]]):
    """What was put on record before it left: account, host, and what is sent."""

    def __call__(self, account: str, host: str, sent: bytes) -> None:
        """Put it on record."""
        self.append((account, host, sent))


@pytest.fixture
def left() -> Left:
    """The record."""
    return Left()


@pytest.fixture
def making(web: Web, left: Left) -> Making:
    """Makes a fetcher that may ask the server, but for what is said otherwise."""

    def make(**changes: Any) -> Fetcher:
        given: dict[str, Any] = {
            "hosts": [web.host],
            "on": True,
            "allow": LOOPBACK,
            "clock": lambda: datetime.now(UTC),
            "verify": web.trusted,
        }
        leaving = changes.pop("leaving", left)
        return Fetcher(Egress(EgressSettings()).client, leaving, **(given | changes))

    return make
