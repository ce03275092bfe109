"""Connections to providers: to this machine alone, where that is what they are."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address

import httpx2
import pytest

from spectra.ai.gateway.egress import Egress
from spectra.ai.gateway.network import away_transport, machine_transport, on_machine
from spectra.settings.ai import EgressSettings
from tests.support.llms import FaultyModel


def status(transport: httpx2.AsyncBaseTransport, url: str) -> int:
    """What a request over a transport is answered."""

    async def got() -> int:
        async with httpx2.AsyncClient(transport=transport, timeout=10) as client:
            return (await client.get(url)).status_code

    return asyncio.run(got())


def test_what_counts_as_this_machine() -> None:
    """Loopback, and the networks that are named; nothing else."""
    own = on_machine(["10.8.0.0/16", "fd00::/8"])
    for text, counts in (
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("10.8.1.1", True),
        ("fd12::1", True),
        ("10.9.0.1", False),
        ("192.168.1.1", False),
        ("8.8.8.8", False),
    ):
        assert own(ip_address(text)) is counts, text


def test_a_machine_elsewhere_is_not_connected_to() -> None:
    """However its name looks: the address is what counts, when the connection is made."""
    with FaultyModel() as model:
        assert status(machine_transport([]), f"{model.url}/models") == 200
        assert status(machine_transport([]), f"{model.url}/models".replace("127.0.0.1", "localhost")) == 200
    for url in ("http://192.0.2.1:9/", "http://[2001:db8::1]:9/"):
        with pytest.raises(httpx2.ConnectError, match="no address that may be connected to"):
            status(machine_transport(["10.0.0.0/8"]), url)


def test_nobody_listens() -> None:
    """A refused connection and a name that is none are errors of connecting."""
    with FaultyModel() as model:
        url = model.url
    for transport in (machine_transport([]), away_transport(Egress(EgressSettings()))):
        with pytest.raises(httpx2.ConnectError):
            status(transport, url)
    with pytest.raises(httpx2.ConnectError):
        status(machine_transport([]), "http://no-such-host.invalid/")
