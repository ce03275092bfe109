"""The table of fields: what others rely on, and how a field is guessed."""

from __future__ import annotations

import pytest

from spectra.model.facets import FACETS
from spectra.model.fields import FIELDS, NAMES, Field, describe, filters, suggest, suggest_field
from spectra.store.search import SORTS


def test_every_name_leads_to_one_field() -> None:
    """No alias hides a field or another alias."""
    names = [name for field in FIELDS.values() for name in (field.name, *field.aliases)]
    assert len(names) == len(set(names))
    assert [NAMES[name].name for name in FIELDS] == list(FIELDS)


def test_what_sorts_is_what_the_search_sorts_by() -> None:
    """The table and the store agree."""
    assert {field.name for field in FIELDS.values() if field.sortable} == set(SORTS)


def test_what_is_facetable_is_what_facets_count() -> None:
    """So do the table and the facets; a cloud's region is a part of `cloud` in the language."""
    assert {field.name for field in FIELDS.values() if field.facetable} == set(FACETS) - {"cloud_region"}


def test_examples_are_of_their_field() -> None:
    """Each begins with its name and a colon."""
    assert all(field.example.startswith(f"{field.name}:") for field in FIELDS.values())


def test_operators_follow_from_the_kind_of_value() -> None:
    """Exclusion and lists everywhere; the rest where it means something."""
    assert FIELDS["scan"].operators == ("-", ",")
    assert FIELDS["product"].operators == ("-", ",", "*", "/regex/")
    assert FIELDS["port"].operators == ("-", ",", ">", ">=", "<", "<=", "low-high")
    assert FIELDS["vuln"].operators == ("-", ",", "*")
    assert FIELDS["cvss"].operators == FIELDS["epss"].operators == ("-", ",", ">", ">=", "<", "<=", "low-high")
    assert FIELDS["kev"].operators == FIELDS["has"].operators == ("-", ",")
    assert FIELDS["cert.expires"].operators == ("-", ",", ">", ">=", "<", "<=", "from..to")


def test_the_docs_show_every_name() -> None:
    """As a table."""
    text = describe()
    for field in FIELDS.values():
        assert all(f"`{name}`" in text for name in (field.name, *field.aliases))
    assert "| `x`, `z` | y | `x:1` |" in describe([Field("x", "text", "y", "x:1", aliases=("z",))])


def test_the_api_tells_all_of_it() -> None:
    """One record for each field, in order."""
    records = filters().filters
    assert [record.name for record in records] == list(FIELDS)
    country = next(record for record in records if record.name == "country")
    assert (country.type, country.facetable, country.sortable) == ("country", True, False)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("cert.subjct", "cert.subject"),
        ("Issuer", "cert.issuer"),
        ("ssl.cert.issuer", "cert.issuer"),
        ("http.titel", "title"),
        ("contry", "country"),
        ("network", "net"),
        ("provider", "cloud"),
        ("lastseen", "last_seen"),
        ("vulnerability", "vuln"),
        ("sevrity", "severity"),
        ("exploited", "kev"),
        ("zzzzzz", ""),
    ],
)
def test_the_field_that_was_meant(word: str, meant: str) -> None:
    """By spelling, by the last part of a dotted name, or by what it is called elsewhere."""
    assert suggest_field(word) == meant


def test_a_nearer_word_may_be_asked_for() -> None:
    """The cutoff decides what counts as near."""
    assert suggest("icloud", ["cloudflare"]) == "cloudflare"
    assert suggest("icloud", ["cloudflare"], cutoff=0.75) == ""
