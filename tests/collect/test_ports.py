"""`ports`: the port list a user writes, against a naive set of numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.collect.ports import Ports, compact, parse_ports
from spectra.errors import BadRequest


def test_the_documented_forms() -> None:
    """Single ports, ranges, open ranges, protocols and the word `all` mean what they say."""
    assert parse_ports("22,80,8000-8100,U:53") == Ports(((22, 22), (80, 80), (8000, 8100)), ((53, 53),))
    assert parse_ports("U:53,111,T:21-23,22-25") == Ports(((21, 25),), ((53, 53), (111, 111)))
    assert parse_ports("all") == parse_ports("-") == Ports(((1, 65535),))
    assert parse_ports("-2, 65534-") == Ports(((1, 2), (65534, 65535)))


def test_the_common_ports() -> None:
    """`top100` and `top1000` hold that many ports, the one within the other, and what everybody looks for first."""
    hundred, thousand = set(parse_ports("top100").numbers()), set(parse_ports("TOP1000").numbers())
    assert (len(hundred), len(thousand)) == (100, 1000)
    assert hundred < thousand
    assert {22, 25, 53, 80, 443, 445, 3306, 3389, 5432, 6379, 8080} <= hundred
    assert parse_ports("top100,31999").count() == 101


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("", 1),
        ("22,x", 4),
        ("22, 0", 5),
        ("65536", 1),
        ("9-1", 1),
        ("1,,2", 3),
        ("U:top100", 1),
        ("22,U:", 4),
        ("1-2-3", 1),
        ("٣", 1),
        ("1" * 20_000, 1),
    ],
)
def test_errors_name_the_column(text: str, column: int) -> None:
    """Each wrong word is refused with its 1-based column."""
    with pytest.raises(BadRequest) as caught:
        parse_ports(text)
    assert (caught.value.field, caught.value.column) == ("ports", column)


ports = st.sets(st.integers(1, 65535), max_size=30)


@given(ports, ports)
def test_text_and_ranges_are_one(tcp: set[int], udp: set[int]) -> None:
    """Compact ranges hold exactly the ports given, and their text reads back as the same value."""
    value = Ports(compact(tcp), compact(udp))
    assert list(value.numbers()) == sorted(tcp)
    assert list(value.numbers("udp")) == sorted(udp)
    assert (value.count(), value.count("udp")) == (len(tcp), len(udp))
    if tcp or udp:
        assert parse_ports(str(value)) == value


@given(st.text(alphabet="0123456789,-TU: topal", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    """What is accepted stays within 1-65535; everything else is a `BadRequest`."""
    try:
        value = parse_ports(text)
    except BadRequest:
        return
    assert all(1 <= low <= top <= 65535 for low, top in (*value.tcp, *value.udp))
