"""Pseudonyms as models write them, and streams of them."""

from __future__ import annotations

import pytest

from spectra.ai.privacy.matching import Edge
from spectra.ai.privacy.restoring import Backs, Restorer, escaped, meant, variants


def backs() -> Backs:
    """A user, and a host whose name begins as the user's does."""
    made = Backs()
    made.put("user-3f2a91", "alice", Edge.NAME)
    made.put("user-3f2a91.d00001.invalid", "db01.lan", Edge.NAME)
    made.put("198.18.7.9", "192.0.2.1", Edge.DIGIT)
    made.put("198.18.7.9", "never", Edge.DIGIT)
    made.widen()
    return made


def test_only_what_may_go_on_is_held_back() -> None:
    """Words pass at once; a beginning waits until it is decided, and no longer."""
    stream = Restorer(backs().plain)
    assert stream.feed("Hello, ") == "Hello, "
    assert stream.feed("use") == ""
    assert stream.feed("ful us") == "useful "
    assert stream.feed("er-3f2a91") == ""
    assert stream.feed("!!") == "alice!!"
    assert stream.feed(" 198.18.7.9") == " "
    assert stream.feed("9 x") == "198.18.7.99 x"
    assert stream.feed(" user-3f2a91.d0") == " "
    assert stream.end() == "alice.d0"


def test_spellings_of_one_name() -> None:
    """Each has its own value; another spelling has the first one's."""
    made = backs()
    made.put("USER-3F2A91", "ALICE", Edge.NAME)
    assert made.restore("USER-3F2A91 user-3f2a91 User-3f2a91") == "ALICE alice alice"
    assert meant({"a": "1", "A": "2"}, "A") == "2"
    assert made.restore("no names") == "no names"


@pytest.mark.parametrize(
    ("name", "real", "other"),
    [
        ("SECRET_3f2a91bc", "x", ("SECRET\\_3f2a91bc", "x")),
        ("user-3f2a91", "x", ("user\u20113f2a91", "x")),
        ("198.18.7.9", "192.0.2.1", ("198.18.7[.]9", "192.0.2[.]1")),
        ("d3f2a91.invalid", "example.com", ("d3f2a91[.]invalid", "example[.]com")),
        ("02:00:00:00:00:01", "00:1a:2b:3c:4d:5e", ("0200.0000.0001", "001a.2b3c.4d5e")),
        ("2001:db8::1", "fe80::1", ("2001:0db8:0000:0000:0000:0000:0000:0001", "fe80::1")),
        ("2001:db8::/32", "fd00::/32", ("2001:0db8:0000:0000:0000:0000:0000:0000/32", "fd00::/32")),
    ],
)
def test_variants(name: str, real: str, other: tuple[str, str]) -> None:
    """What models write for `name`, and what they mean by it."""
    assert other in variants(name, real)


def test_names_with_a_zone_have_none() -> None:
    """Nobody writes those otherwise."""
    assert variants("2001:db8::1%eth0", "fe80::1%eth0") == []
    assert variants("a:b", "x") == []
    assert escaped('a"\\') == 'a\\"\\\\'
