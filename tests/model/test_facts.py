"""What enrichment says of a host."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from spectra.model.facts import NOWHERE, HostFacts, Place

places = st.builds(
    Place,
    asn=st.integers(0, 2**32 - 1),
    org=st.text(max_size=8),
    country=st.sampled_from(["", "FR", "JP"]),
    city=st.text(max_size=8),
    latitude=st.none() | st.integers(-9000, 9000).map(lambda hundredths: hundredths / 100),
)


@given(places, places)
def test_equal_places_are_one(one: Place, other: Place) -> None:
    """The fingerprint tells places apart by every field, and is 32 bytes."""
    assert (one.fingerprint == other.fingerprint) == (one == other)
    assert len(one.fingerprint) == 32


def test_a_place_of_which_nothing_is_known_is_nowhere() -> None:
    """Nothing known is a value, so that it is stored as no place at all."""
    assert not Place().known
    assert Place() == NOWHERE
    assert Place(country="FR").known


@given(places)
def test_facts_survive_an_asset_set(place: Place) -> None:
    """What a workflow step packs, the next one reads."""
    facts = HostFacts("192.0.2.7", 3, place)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(facts), type=HostFacts) == facts
