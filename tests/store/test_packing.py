"""Values in columns."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from spectra.model.vulns import Criterion, Node, VulnRecord
from spectra.store import packing

criteria = st.builds(Criterion, cpe=st.text(max_size=40), vulnerable=st.booleans(), below=st.text(max_size=8))
nodes = st.builds(Node, criteria=st.lists(criteria, max_size=30).map(tuple), negate=st.booleans())


@given(st.lists(nodes, max_size=5).map(tuple))
def test_what_is_packed_comes_out_again(configurations: tuple[Node, ...]) -> None:
    """Whether it was worth a frame or not; the same twice is the same bytes."""
    packed = packing.pack(configurations)
    assert packing.unpacker(tuple[Node, ...])(packed) == configurations
    assert packing.pack(configurations) == packed


def test_long_values_are_smaller_packed() -> None:
    """Short ones are left as they are."""
    long = VulnRecord("CVE-2026-1", "nvd", description="the same again and again, " * 100)
    assert len(packing.pack(long)) < 200 < len(packing.canonical(long))
    short = VulnRecord("CVE-2026-1", "nvd")
    assert packing.pack(short) == packing.canonical(short)
    assert packing.plain(packing.pack(long)) == packing.canonical(long)


def test_the_digest_is_of_the_plain_form() -> None:
    """Another release of zstd packs otherwise, and nothing has changed by that."""
    told = VulnRecord("CVE-2026-1", "nvd", description="the same again and again, " * 100)
    assert packing.sha256(packing.plain(packing.pack(told))) == packing.sha256(packing.canonical(told))
