"""Addresses in place of addresses."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from spectra.ai.privacy.spaces import Keyed, Space

KEYED = Keyed(b"k" * 32)


@settings(max_examples=30)
@given(st.lists(st.integers(0, 2**32 - 1), unique=True, max_size=40))
def test_no_two_addresses_become_one(numbers: list[int]) -> None:
    """Whatever they are."""
    space = Space(KEYED, 4)
    assert len({space.address(number) for number in numbers}) == len(numbers)


def test_more_networks_than_there_is_room_for_go_elsewhere() -> None:
    """198.18.0.0/15 has 512 of /24; 240.0.0.0/4 has room for more."""
    space = Space(KEYED, 4)
    made = {space.address(n << 8) >> 8 for n in range(0x0A0000, 0x0A0000 + 700)}
    assert len(made) == 700
    assert sum(1 for one in made if one >> 9 == (198 << 8 | 18) >> 1) == 512
    assert all(one >> 20 == 0xF for one in made if one >> 9 != (198 << 8 | 18) >> 1)


def test_what_really_exists_is_nobodys_pseudonym() -> None:
    """A real address of the range keeps its /24 free."""
    taken = Space(KEYED, 4).address(0x0A000001)
    space = Space(KEYED, 4)
    space.reserve(taken)
    assert space.address(0x0A000001) >> 8 != taken >> 8


def test_networks_as_wide_as_all_have_no_pseudonym() -> None:
    """There is no room in the ranges."""
    assert Space(KEYED, 4).network(0, 0) is None
    assert Space(KEYED, 4).network(0x80 << 24, 2) is None
    assert Space(KEYED, 6).network(0x20 << 120, 8) is None


def test_more_wide_networks_than_there_is_room_for() -> None:
    """The seventeenth /8 of one prompt gets none; those before stay apart."""
    space = Space(KEYED, 4)
    made = [space.network(n << 24, 8) for n in range(1, 18)]
    assert made[-1] is None
    assert len(set(made[:-1])) == 16


def test_keyed_numbers_depend_on_key_kind_and_value() -> None:
    """And are the same again."""
    assert KEYED.number("a", b"x", 1 << 64) == KEYED.number("a", b"x", 1 << 64)
    others = {KEYED.bytes("b", b"x", 8), KEYED.bytes("a", b"y", 8), Keyed(b"j" * 32).bytes("a", b"x", 8)}
    assert len(others | {KEYED.bytes("a", b"x", 8)}) == 4
