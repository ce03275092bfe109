"""Listening sockets: a taken port is a clear error, and what listens everywhere is reached on loopback."""

from __future__ import annotations

import socket

import pytest

from spectra.errors import SetupError
from spectra.listening import is_free, listening, port_of, reachable, url_of


def test_a_taken_port_is_named() -> None:
    """With what to do; afterwards it is free again."""
    with listening("127.0.0.1", 0, hint="") as first:
        port = port_of(first)
        assert not is_free("127.0.0.1", port)
        with pytest.raises(SetupError, match=f"127.0.0.1:{port}") as caught, listening("127.0.0.1", port, hint="Do."):
            pass
        assert caught.value.reason == "cannot_listen"
        assert caught.value.hint.endswith("Do.")
    assert is_free("127.0.0.1", port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_that_is_not_ours(host: str) -> None:
    """As is a name that nobody knows."""
    with pytest.raises(SetupError, match="Cannot listen on"), listening(host, 0, hint=""):
        pass


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "http://127.0.0.1:"),
        ("0.0.0.0", "http://127.0.0.1:"),
        ("::1", "http://[::1]:"),
        ("::", "http://[::1]:"),
    ],
)
def test_the_url_can_be_reached(host: str, expected: str) -> None:
    """A server that listens on every address is asked on loopback."""
    if ":" in host and not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    with listening(host, 0, hint="") as listener:
        url = url_of("http", reachable(host), port_of(listener))
        assert url == f"{expected}{port_of(listener)}"
        family = socket.AF_INET6 if "[" in url else socket.AF_INET
        with socket.socket(family) as client:
            client.settimeout(10)
            client.connect((reachable(host), port_of(listener)))
