"""Rows to tables."""

from __future__ import annotations

import pytest

from spectra.intel.feeds import FeedError, files
from spectra.intel.feeds.build import Rows, bad_field, bad_line, cloud_table, table
from spectra.intel.feeds.table import About
from spectra.model.facts import Place
from tests.intel.feeds.samples import place


def test_a_network_told_twice_is_the_later_one() -> None:
    """And counts once."""
    rows = Rows(["192.0.2.0/24", "192.0.2.0/24"], [Place(asn=1), Place(asn=2)])
    made = table(About("asn", "x"), rows, bad_line([1, 2]))
    assert (made.networks, made.records, place(made, "192.0.2.1").asn) == (1, 1, 2)


def test_service_and_region_come_from_where_they_are_told() -> None:
    """The service by rank, length and size; the region by the longest prefix that tells one."""
    rows = Rows(
        ["192.0.2.0/24", "192.0.2.0/25", "192.0.2.0/26"],
        [Place(cloud="x", cloud_service=s, cloud_region=r) for s, r in (("part", ""), ("all", "here"), ("all", ""))],
        [2, 0, 0],
    )
    made = cloud_table(About("cloud", "x", provider="x"), rows, bad_field("n[{}]"))
    near, far, other = (place(made, ip) for ip in ("192.0.2.1", "192.0.2.129", "192.0.3.1"))
    assert (near.cloud_service, near.cloud_region) == ("part", "here")
    assert (far.cloud_service, far.cloud_region) == ("part", "")
    assert not other.known


def test_errors_know_their_row() -> None:
    """As a line, or as a path in JSON."""
    rows = Rows(["192.0.2.0/24", "x"], [Place(asn=1)] * 2)
    with pytest.raises(FeedError) as caught:
        table(About("asn", "x"), rows, bad_line([4, 9]))
    assert caught.value.line == 9
    with pytest.raises(FeedError) as caught:
        table(About("asn", "x"), rows, bad_field("prefixes[{}].cidr"))
    assert caught.value.field == "prefixes[1].cidr"


def test_none_and_too_many_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is made of them."""
    with pytest.raises(FeedError, match="no network"):
        table(About("asn", "x"), Rows(), bad_line([]))
    monkeypatch.setattr(files, "MAX_NETWORKS", 1)
    with pytest.raises(FeedError, match="more than"):
        table(About("asn", "x"), Rows(["192.0.2.0/24"] * 2, [Place(asn=1)] * 2), bad_line([1, 2]))
