"""All sources of a CVE put together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.intel.vulns import merge
from spectra.model.vulns import SOURCES, Criterion, Metric, Node, Reference, Ssvc, VulnRecord

T0 = datetime(2024, 1, 1, tzinfo=UTC)
CVE = "CVE-2024-0001"


def node(name: str) -> Node:
    """A configuration that can be told from others."""
    return Node(criteria=(Criterion(f"cpe:2.3:a:{name}:x:*:*:*:*:*:*:*:*"),))


def of(source: str, **fields: Any) -> VulnRecord:
    """A record of a source with configurations of its own."""
    fields.setdefault("configurations", (node(source),))
    return VulnRecord(CVE, source, **fields)


def test_of_each_property_the_most_believed_source_counts_that_has_it() -> None:
    """Whatever order they come in."""
    records = [
        of("osv", title="osv", aliases=("GHSA-1",)),
        of("overrides", description="overrides"),
        of("cve", title="cve", description="cve", ssvc=Ssvc("poc"), weaknesses=("CWE-1",), published=T0),
        of("nvd", description="nvd", modified=T0, weaknesses=("CWE-2",), configurations=()),
    ]
    for order in permutations(records):
        made = merge(order)
        assert (made.title, made.description, made.weaknesses) == ("cve", "nvd", ("CWE-2",))
        assert (made.published, made.modified, made.ssvc, made.aliases) == (T0, T0, Ssvc("poc"), ("GHSA-1",))
        assert (made.configured, made.configurations) == (SOURCES[1], (node(SOURCES[1]),))


def test_configurations_are_of_one_source() -> None:
    """The first in the order of belief that has any."""
    for first, source in enumerate(SOURCES):
        made = merge([of(other) for other in SOURCES[first:]])
        assert (made.configured, made.configurations) == (source, (node(source),))
    assert merge([of("nvd", configurations=())]).configured == ""


@pytest.mark.parametrize("status", ["awaiting", "deferred"])
def test_what_the_nvd_only_passes_on_comes_last(status: Any) -> None:
    """Others have looked up the names, it has not; alone it counts."""
    assert merge([of("nvd", status=status), of("overrides")]).configured == "overrides"
    assert merge([of("nvd", status=status)]).configured == "nvd"


@pytest.mark.parametrize(
    ("nvd", "cve", "expected"),
    [
        (("rejected", 0), ("", 1), "rejected"),
        (("", 0), ("rejected", 1), "rejected"),
        (("", 1), ("rejected", 0), ""),
        (("awaiting", 0), ("rejected", 1), "rejected"),
        (("disputed", 0), ("", 1), "disputed"),
        (("", 0), ("disputed", 0), "disputed"),
        (("awaiting", 0), ("", 0), "awaiting"),
        (("deferred", 0), ("", 0), "deferred"),
        (None, ("rejected", 0), "rejected"),
        (None, ("", 0), ""),
    ],
)
def test_the_status_of_both(nvd: Any, cve: Any, expected: str) -> None:
    """The NVD's rejection always counts, the list's where the NVD has not looked since. Rejected affects nothing."""
    told = [("nvd", nvd), ("cve", cve)]
    records = [of(s, status=t[0], modified=T0 + timedelta(days=t[1])) for s, t in told if t]
    made = merge(records)
    assert made.status == expected
    assert bool(made.configurations) == bool(made.configured) == (expected != "rejected")


def test_there_is_one_score_for_each_version_of_cvss() -> None:
    """The NVD's own first, then any of it, then others'; the newest version first."""
    metrics = {
        "nvd": (Metric("2.0", 1, "low"), Metric("3.1", 2, "low", by="cna", primary=False), Metric("3.1", 3, "low")),
        "cve": (Metric("4.0", 4, "medium"), Metric("3.1", 5, "medium"), Metric("3.0", 6, "medium")),
    }
    made = merge([of(source, metrics=given) for source, given in metrics.items()])
    assert [(metric.version, metric.score) for metric in made.metrics] == [
        ("4.0", 4),
        ("3.1", 3),
        ("3.0", 6),
        ("2.0", 1),
    ]
    assert made.metric is not None
    assert made.metric.version == "4.0"


def test_pages_of_all_are_kept_once() -> None:
    """With the tags of all."""
    one = of("nvd", references=(Reference("https://a", ("Patch",)), Reference("https://b")))
    two = of("cve", references=(Reference("https://c"), Reference("https://a", ("exploit", "Patch"))))
    assert merge([two, one]).references == (
        Reference("https://a", ("Patch", "exploit")),
        Reference("https://b"),
        Reference("https://c"),
    )


def test_only_records_of_one_cve_are_merged() -> None:
    """None and those of two are mistakes."""
    for bad in ([], [of("nvd"), VulnRecord("CVE-2024-0002", "nvd")]):
        with pytest.raises(ValueError):
            merge(bad)


RECORDS = st.builds(
    VulnRecord,
    cve=st.just(CVE),
    source=st.sampled_from(SOURCES),
    status=st.sampled_from(["", "awaiting", "deferred", "disputed", "rejected"]),
    title=st.sampled_from(["", "a", "b"]),
    modified=st.none() | st.integers(0, 3).map(lambda days: T0 + timedelta(days=days)),
    configurations=st.sampled_from([(), (node("a"),), (node("b"),)]),
)


@given(st.lists(RECORDS, min_size=1, max_size=4, unique_by=lambda record: record.source), st.randoms())
def test_the_order_of_records_does_not_matter(records: list[VulnRecord], random: Any) -> None:
    """And merging says nothing that no source says."""
    made = merge(records)
    random.shuffle(records)
    assert merge(records) == made
    assert made.configurations in {(), *(record.configurations for record in records)}
    assert made.title in {"", *(record.title for record in records)}
