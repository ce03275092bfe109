"""How versions compare."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.intel.correlate.versions import compare, joined, key

IN_ORDER = [
    ["1.0", "1.0.1", "1.0.2", "1.0.2a", "1.0.2k", "1.0.2k-fips", "1.1"],  # OpenSSL
    ["6.9", "7.9", "7.9p1", "7.9p2", "8.0"],  # OpenSSH
    ["9.10.0a1", "9.10.0b1", "9.10.0rc1", "9.10.0", "9.10.3", "9.10.3-P2", "9.10.3-P4", "9.10.10"],  # BIND
    ["1.3.6rc1", "1.3.6rc2", "1.3.6", "1.3.6a", "1.3.6b", "1.3.7"],  # ProFTPD
    ["3.0.0-alpha1", "3.0.0-beta.1", "3.0.0-beta.2", "3.0.0-rc.1", "3.0.0", "3.0.1"],  # semver
    ["2019-06-01", "2020-01-01", "2020-11-30"],
    ["20190601", "20200101"],
    ["8.0 update_1", "8.0 update_2", "8.0.1"],
    ["20.0 u1558", "20.0 u1559"],
    ["2012 sp1", "2012 sp2"],
    ["1.10.0", "1.10.0.901", "1.10.1"],
    ["6.5.0", "650-202010001", "650-202102001", "6.7"],  # VMware ESXi
]
SAME = [
    ("1.0", "1.0.0"),
    ("v1.2.3", "1.2.3"),
    ("V2", "2.0"),
    ("1.2.3-final", "1.2.3"),
    ("5.0.0.RELEASE", "5.0.0"),
    ("1.2.3+build.7", "1.2.3"),
    ("12 servicepack 1", "12sp1"),
    ("9.2 p1", "9.2p1"),
    (r"1.2\+3", "1.2"),
]


@pytest.mark.parametrize("versions", IN_ORDER, ids=lambda v: v[0])
def test_versions_stand_in_the_order_their_makers_mean(versions: list[str]) -> None:
    """Each of a list comes before all that follow it, from both sides."""
    for i, earlier in enumerate(versions):
        for later in versions[i + 1 :]:
            assert (compare(earlier, later), compare(later, earlier)) == (-1, 1), (earlier, later)


@pytest.mark.parametrize(("one", "other"), SAME)
def test_versions_that_are_written_differently_are_one(one: str, other: str) -> None:
    """Zeros at the end, a leading v, words that mean the release, and builds change nothing."""
    assert compare(one, other) == 0


def test_an_update_is_a_part_of_the_version() -> None:
    """CPE names keep `p1` apart; `*` and `-` are no update."""
    assert joined("9.2", "p1") == "9.2 p1"
    assert joined("9.2", "*") == joined("9.2", "-") == "9.2"


VERSIONS = st.text(st.sampled_from("0123456789.-_+~abcprv "), max_size=14)


@given(VERSIONS, VERSIONS, VERSIONS)
def test_the_order_is_one(a: str, b: str, c: str) -> None:
    """Of any three versions: both sides agree, each equals itself, and the order carries over."""
    assert compare(a, b) == -compare(b, a)
    assert compare(a, a) == 0
    if compare(a, b) <= 0 and compare(b, c) <= 0:
        assert compare(a, c) <= 0


@given(st.text(max_size=300))
def test_anything_can_be_taken_apart(text: str) -> None:
    """No version, however odd, raises; what is longer than any real one is cut."""
    assert len(key(text)) <= 200
