"""Text, addresses, names and ports as they leave a parser."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.ingest.parsers.text import address, block, clean, cpes, hostname, port_number

# Lone surrogates too: JSON can hold them.
anything = st.text(st.characters(exclude_categories=()))


@given(anything, st.integers(1, 300))
def test_clean_text_is_one_bounded_line_that_a_database_takes(text: str, limit: int) -> None:
    """No control character, no surrogate, at most `limit` characters, and a fixed point."""
    out = clean(text, limit)
    assert len(out) <= limit
    assert "\x00" not in out
    assert "\n" not in out
    assert out.encode().decode() == out
    assert clean(out, limit) == out


@given(anything, st.integers(1, 300))
def test_a_block_is_bounded_in_bytes_and_cut_between_characters(text: str, limit: int) -> None:
    """At most `limit` bytes of valid UTF-8 without control characters but line feed and tab."""
    out = block(text, limit)
    assert len(out.encode()) <= limit
    assert not any(ord(c) < 32 and c not in "\n\t" for c in out)


def test_control_characters_stay_visible() -> None:
    """What a service sent can still be recognised, and no terminal or reader is fooled by it."""
    assert clean("a\x00b\x1b[31m\u202ec") == "a\\x00b\\x1b[31m\\u202ec"
    assert clean("\ud800") == "\ufffd"
    assert block("a\r\nb\rc\td") == "a\nb\nc\td"
    assert clean("a\r\n b") == "a b"
    assert clean(None) == block(None) == ""


def test_a_block_of_two_byte_characters_is_not_split() -> None:
    """2,048 bytes of `é` are 1,024 characters, 2,047 are 1,023."""
    assert block("é" * 3000, 2048) == "é" * 1024
    assert block("é" * 3000, 2047) == "é" * 1023


@given(st.ip_addresses())
def test_addresses_are_canonical(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """Every address in every case comes out as `ipaddress` writes it."""
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        assert address(str(ip)) == str(ip.ipv4_mapped)
    else:
        assert address(str(ip)) == address(str(ip).upper()) == address(ip.exploded) == str(ip)


@given(anything)
def test_what_is_an_address_is_what_ipaddress_takes(text: str) -> None:
    """The quick pattern for IPv4 agrees with the library."""
    try:
        expected = str(ipaddress.IPv4Address(text))
    except ValueError:
        expected = None
    if ":" not in text:
        assert address(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("010.0.0.1", None),
        ("1.2.3", None),
        ("300.1.1.1", None),
        ("1:" * 60, None),
        ("", None),
        (None, None),
    ],
)
def test_forms_of_addresses(text: str | None, expected: str | None) -> None:
    """Zones go, mapped addresses are IPv4, and what is ambiguous is no address."""
    assert address(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Example.ORG.", "example.org"),
        ("_spf.example.org", "_spf.example.org"),
        ("bücher.example", "bücher.example"),
        ("192.0.2.1", None),
        ("a b", None),
        ("a..b", None),
        ("x" * 64, None),
        ("a'; DROP TABLE host; --", None),
        ("a." * 127 + "bc", None),
        ("", None),
        (None, None),
    ],
)
def test_forms_of_hostnames(text: str | None, expected: str | None) -> None:
    """Lower case, no trailing dot, labels of 63 and names of 253 characters at most, and never an address."""
    assert hostname(text) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("80", 80), (0, 0), ("65535", 65535), (65536, None), ("-1", None), ("8_0", None), ("٨", None), (None, None)],
)
def test_forms_of_ports(value: str | int | None, expected: int | None) -> None:
    """ASCII digits from 0 to 65535."""
    assert port_number(value) == expected


def test_cpe_names_are_sorted_and_bounded() -> None:
    """Only what begins like a CPE, each once, 32 at most."""
    assert cpes(["cpe:/o:b", None, "cpe:/a:a", "cpe:/o:b", "nonsense"]) == ("cpe:/a:a", "cpe:/o:b")
    assert len(cpes(f"cpe:/a:v:p{n}" for n in range(100))) == 32
