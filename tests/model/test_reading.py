"""Readers of single values and their complaints; `test_query` reads whole queries."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from spectra.errors import BadRequest
from spectra.model.fields import FIELDS, PROVIDERS
from spectra.model.reading import WORDS, Reader
from spectra.model.values import Numbers, Regex, Text

NOW = datetime(2026, 5, 17, 12, tzinfo=UTC)


def reader(name: str, column: int | None = 9) -> Reader:
    """A reader of values at that column of the query."""
    return Reader(name, NOW, column, "q")


def test_every_kind_of_field_has_a_reader() -> None:
    """Each field reads the value of its own example."""
    for field in FIELDS.values():
        raw = field.example.partition(":")[2].split(",")[0]
        reader(field.name).value(raw, quoted=raw.startswith('"'))


def test_a_complaint_names_the_column_and_the_field() -> None:
    """In a query; a parameter of a URL is named instead."""
    with pytest.raises(BadRequest, match=r"^Column 9: asn: ") as caught:
        reader("asn").value("x", quoted=False)
    assert (caught.value.column, caught.value.field) == (9, "q")
    with pytest.raises(BadRequest, match=r"^asn: ") as caught:
        Reader("asn", NOW, None, "asn").value("x", quoted=False)
    assert (caught.value.column, caught.value.field) == (None, "asn")


def test_a_complaint_about_a_regex_counts_its_escaped_slashes() -> None:
    """The column is the one in the text, where each slash has a backslash; unknown without a query."""
    with pytest.raises(BadRequest, match="Column 14: ") as caught:
        reader(WORDS).regex(r"/\/\/*a*/".replace("*a", "(a"))
    assert caught.value.column == 14
    with pytest.raises(BadRequest) as caught:
        Reader("product", NOW, None, "product").regex("/(/")
    assert caught.value.column is None


def test_which_fields_take_a_regex() -> None:
    """The table says so; the others say which do."""
    assert reader("city").regex("/^par/") == Regex("^par")
    with pytest.raises(BadRequest, match=r"product, version.*cert\.subject"):
        reader("country").regex("/fr/")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_known_provider_is_accepted(provider: str) -> None:
    """None is taken for a slip of another."""
    assert reader("cloud").value(provider, quoted=False) == Text(provider)


@pytest.mark.parametrize("name", ["ovh", "icloud", "hetzner", "scaleway", "mycloud", "ibm", "tencent", "alibaba"])
def test_a_provider_of_a_feed_of_ones_own_is_accepted(name: str) -> None:
    """What is far from all known ones is no slip."""
    assert reader("cloud").value(name, quoted=False) == Text(name)


def test_autonomous_systems() -> None:
    """With and without the letters, in ranges too."""
    assert reader("asn").value("AS1-as9", quoted=False) == Numbers(1, 9)
    with pytest.raises(BadRequest, match="Write 1-9"):
        reader("asn").value("9-1", quoted=False)
