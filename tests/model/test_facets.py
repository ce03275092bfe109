"""How facets are asked for."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.errors import BadRequest
from spectra.model.facets import FACETS, HISTOGRAMS, MAX_VALUES, Asked, read_facets
from spectra.model.fields import FIELDS


def test_the_most_common_the_rarest_and_a_histogram() -> None:
    """Ten without a number, blanks and case do not matter, other names of a field are the field."""
    assert read_facets("country:5, Product:-3 ,port,last_seen:week,first_seen,http.title:2") == (
        Asked("country", 5),
        Asked("product", 3, rarest=True),
        Asked("port", 10),
        Asked("last_seen", MAX_VALUES, unit="week"),
        Asked("first_seen", MAX_VALUES, unit="day"),
        Asked("title", 2),
    )


@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_none_asked_for(text: str) -> None:
    """Is none."""
    assert read_facets(text) == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("countri", "country"),
        ("xyzzy", "Facets are"),
        ("country:0", "1 and 1000"),
        ("country:1001", "1 and 1000"),
        ("country:", "1 and 1000"),
        ("country:x", "1 and 1000"),
        ("country:٣", "1 and 1000"),
        ("country:--1", "1 and 1000"),
        ("last_seen:year", "hour, day, week, month"),
        ("last_seen:5", "hour, day, week, month"),
        ("port,port:5", "twice"),
        ("title,http.title", "twice"),
        ("port,", "no facet"),
        (",".join(FACETS) + ",port", "allowed"),
        ("ip", "no facet"),
    ],
)
def test_a_mistake_is_pointed_at(text: str, says: str) -> None:
    """With the nearest name, or what would do."""
    with pytest.raises(BadRequest) as caught:
        read_facets(text)
    assert caught.value.field == "facets"
    assert says in str(caught.value)


def test_every_field_that_says_so_is_a_facet() -> None:
    """The description of the fields and the facets there are cannot drift apart."""
    assert {field.name for field in FIELDS.values() if field.facetable} <= FACETS.keys()
    assert set(HISTOGRAMS) <= FACETS.keys()


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    """There is no third way."""
    asked: tuple[Asked, ...] = ()
    with contextlib.suppress(BadRequest):
        asked = read_facets(text)
    assert all(one.name in FACETS and 1 <= one.top <= MAX_VALUES for one in asked)
