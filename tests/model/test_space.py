"""What may be asked of the address space."""

from __future__ import annotations

import pytest

from spectra.errors import BadRequest
from spectra.model.space import checked_prefix, read_within


def test_networks_are_read() -> None:
    """Nothing is all of IPv4; an address in it names a network too."""
    assert str(read_within("")) == "0.0.0.0/0"
    assert str(read_within(" 10.1.2.3/8 ")) == "10.0.0.0/8"
    assert str(read_within("2001:db8::/32")) == "2001:db8::/32"
    with pytest.raises(BadRequest, match="is no network"):
        read_within("10.0.0.0/33")


def test_parts_are_as_large_as_their_network_at_most() -> None:
    """Eight bits more where nothing is said, and no longer than an address is."""
    assert checked_prefix(read_within("10.0.0.0/8"), None) == 16
    assert checked_prefix(read_within("10.0.0.0/30"), None) == 32
    assert checked_prefix(read_within("2001:db8::/32"), 48) == 48
    for wrong in (7, 33):
        with pytest.raises(BadRequest, match="between 8 and 32"):
            checked_prefix(read_within("10.0.0.0/8"), wrong)
