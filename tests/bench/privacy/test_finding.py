"""What arrived: the search for values that trusts nothing of what took them out."""

from __future__ import annotations

import pytest

from spectra.bench.privacy.corpus import Value
from spectra.bench.privacy.finding import arrived
from spectra.model.ai import Kind


@pytest.mark.parametrize(
    ("kind", "text", "body"),
    [
        (Kind.ADDRESS, "192.0.2.7", b"see 192.0.2.7!"),
        (Kind.ADDRESS, "192.0.2.7", b'{"a": "192[.]0[.]2[.]7"}'),
        (Kind.ADDRESS, "192[.]0[.]2[.]7", b"x=192%2E0%2E2%2E7"),
        (Kind.ADDRESS, "192.0.2.7", b"::ffff:c000:207"),
        (Kind.ADDRESS, "fe80::1%eth0", b"at FE80::1"),
        (Kind.ADDRESS, "0xc0.0x0.0x2.0x7", b"192.0.2.7"),
        (Kind.HOSTNAME, "db01.lan", b'{"a": ["DB01.LAN:80"]}'),
        (Kind.USER, "CORP\\bob", b'{"a": "CORP\\\\bob"}'),
        (Kind.SECRET, "a&b", b"a&amp;b"),
        (Kind.EMAIL, "bob@x.lan", b"bob%40x.lan"),
        (Kind.USER, "zoë", b'{"a": "zo\\u00eb"}'),
    ],
)
def test_it_reads_what_somebody_could_read(kind: Kind, text: str, body: bytes) -> None:
    """Whatever the escape, the case, or the form of an address."""
    assert arrived([Value(kind, text, 0)], [b"nothing", body]) == [Value(kind, text, 0)]


@pytest.mark.parametrize(
    ("kind", "text", "body"),
    [
        (Kind.ADDRESS, "192.0.2.7", b"192.0.2.77"),
        (Kind.USER, "bob", b"bobbing"),
        (Kind.HOSTNAME, "x.lan", b"198.18.0.1"),
    ],
)
def test_other_values_are_others(kind: Kind, text: str, body: bytes) -> None:
    """Of which the value is a part."""
    assert arrived([Value(kind, text, 0)], [body]) == []
