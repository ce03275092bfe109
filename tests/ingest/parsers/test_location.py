"""Where tools say they looked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.ingest.parsers.location import NOWHERE, locate


@pytest.mark.parametrize(
    ("text", "ip", "name", "port"),
    [
        ("https://Example.org/x?y", None, "example.org", 443),
        ("http://192.0.2.1:8080/", "192.0.2.1", None, 8080),
        ("example.org:22", None, "example.org", 22),
        ("example.org", None, "example.org", None),
        ("2001:db8::1", "2001:db8::1", None, None),
        ("[2001:db8::1]:443", "2001:db8::1", None, 443),
        ("http://[2001:db8::1]/", "2001:db8::1", None, 80),
    ],
)
def test_urls_and_hosts(text: str, ip: str | None, name: str | None, port: int | None) -> None:
    """Address or name, and the port told or implied."""
    found = locate(text)
    assert (found.ip, found.name, found.port) == (ip, name, port)


@pytest.mark.parametrize("text", [None, "", "http://[::1", "x:99999", "http://" + "a" * 9000])
def test_what_is_no_place(text: str | None) -> None:
    """Broken and boundless texts are nowhere."""
    assert locate(text) == NOWHERE


@given(st.text())
def test_no_text_raises(text: str) -> None:
    """`urlsplit` raises on some texts; this does not."""
    locate(text)
    locate(f"http://{text}")
