"""OSV records, by the documented schema: no published file of OSV is among the data here.

https://ossf.github.io/osv-schema/ and, for Bitnami, https://github.com/bitnami/vulndb.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.model.envelope import Problem
from spectra.model.vulns import Criterion, Node, Reference, VulnRecord
from tests.intel.vulns.samples import NGINX, criteria, feed, osv_record, packed, record

GENERIC = "cpe:2.3:a:nginx:nginx:*:*:*:*:*:*:*:*"


def entry(ecosystem: str, *events: dict[str, str], kind: str = "ECOSYSTEM", **fields: Any) -> dict[str, Any]:
    """An entry of `affected`."""
    return {
        "package": {"ecosystem": ecosystem, "name": "nginx", **fields.pop("package", {})},
        "ranges": [{"type": kind, "events": list(events)}],
        **fields,
    }


def of(*entries: dict[str, Any], **fields: Any) -> list[Criterion]:
    """The criteria of the one record made of it; none where none is made."""
    made = list(feed(packed(osv_record(affected=list(entries), database_specific={}, **fields))))
    assert all(isinstance(item, VulnRecord) for item in made)
    return [c for item in made if isinstance(item, VulnRecord) for c in criteria(*item.configurations)]


def test_a_record_is_about_its_cve() -> None:
    """Its own id and the others are aliases; the name is the CPE name it brings."""
    assert record(packed(osv_record())) == VulnRecord(
        cve="CVE-2024-0001",
        source="osv",
        description="A flaw of HTTP/3 in nginx.",
        published=datetime(2024, 2, 15, tzinfo=UTC),
        modified=datetime(2024, 3, 1, tzinfo=UTC),
        references=(Reference("https://nginx.org/", ("WEB",)),),
        configurations=(Node(criteria=(Criterion(NGINX, at_least="1.25.0", below="1.25.4", scheme="semver"),)),),
        aliases=("BIT-nginx-2024-0001", "GHSA-aaaa-bbbb-cccc"),
    )


def test_several_cves_are_several_records() -> None:
    """The id itself may be one."""
    items = list(feed(packed(osv_record(id="CVE-2024-0001", aliases=["CVE-2024-0002", "CVE-2024-0001"]))))
    assert [item.cve for item in items if isinstance(item, VulnRecord)] == ["CVE-2024-0001", "CVE-2024-0002"]


@pytest.mark.parametrize(
    "package",
    [
        {"ecosystem": "Bitnami"},
        {"ecosystem": "OSS-Fuzz"},
        {"ecosystem": "", "name": "", "purl": "pkg:generic/nginx@1.2?checksum=x"},
        {"ecosystem": "", "name": "x", "purl": "pkg:bitnami/nginx"},
        {"ecosystem": "", "name": "x", "purl": "pkg:generic/nginx/nginx"},
    ],
)
def test_a_package_that_is_the_product_names_it(package: dict[str, str]) -> None:
    """By its purl, else by its own name."""
    assert of(entry("", {"introduced": "0"}, {"fixed": "1.2"}, package=package)) == [Criterion(GENERIC, below="1.2")]


@pytest.mark.parametrize(
    "ecosystem", ["Debian:12", "Ubuntu:22.04:LTS", "Alpine:v3.19", "Red Hat", "npm", "PyPI", "Go", "Maven"]
)
def test_packages_of_distributions_and_languages_are_left_out(ecosystem: str) -> None:
    """Their versions are not those of the service; such a record is no item at all."""
    assert of(entry(ecosystem, {"introduced": "0"}, {"fixed": "1.22.1-9+deb12u1"})) == []
    assert list(feed(packed(osv_record(aliases=[])))) == []


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([{"introduced": "0"}, {"fixed": "1.2"}], [Criterion(GENERIC, below="1.2")]),
        ([{"introduced": "1.0"}, {"last_affected": "1.2"}], [Criterion(GENERIC, at_least="1.0", at_most="1.2")]),
        ([{"introduced": "1.0"}], [Criterion(GENERIC, at_least="1.0")]),
        ([{"introduced": "0"}], [Criterion(GENERIC)]),
        (
            [{"introduced": "0"}, {"introduced": "2.0"}, {"fixed": "1.2"}, {"fixed": "2.3"}],
            [Criterion(GENERIC, below="1.2"), Criterion(GENERIC, at_least="2.0", below="2.3")],
        ),
        ([{"introduced": "0"}, {"introduced": "2.0"}, {"introduced": "3.0"}, {"fixed": "1.2"}], []),
        ([{"introduced": "0"}, {"fixed": "the next one"}], []),
        ([{"fixed": "1.2"}], []),
        ([], []),
    ],
)
def test_events_become_bounds(events: list[dict[str, str]], expected: list[Criterion]) -> None:
    """In or out of order; what cannot be told matches nothing."""
    assert of(entry("Bitnami", *events)) == expected


def test_commits_say_nothing_but_for_the_versions_beside_them() -> None:
    """As OSV's conversion of the NVD has them."""
    commits = {"type": "GIT", "repo": "https://example.com", "events": [{"introduced": "0"}, {"fixed": "a" * 40}]}
    assert of({"ranges": [commits]}) == []
    told = {"cpe": NGINX, "extracted_events": [{"introduced": "1.0"}, {"fixed": "1.2"}], "source": "CPE_FIELD"}
    assert of({"ranges": [{**commits, "database_specific": told}]}) == [Criterion(NGINX, at_least="1.0", below="1.2")]


def test_listed_versions_count_where_no_range_does() -> None:
    """Names of releases too, as OSS-Fuzz lists them."""
    listed = {"package": {"ecosystem": "OSS-Fuzz", "name": "nginx"}, "versions": ["nginx-1.0", "v1.1", "main"]}
    assert [c.cpe.split(":")[5] for c in of(listed)] == ["1.0", "1.1"]


def test_a_withdrawn_record_affects_nothing() -> None:
    """It is a record all the same: it takes back what was said before."""
    assert record(packed(osv_record(withdrawn="2024-04-01T00:00:00Z"))).configurations == ()


def test_skipping_counts_records_of_cves() -> None:
    """Whatever number of them, or none, a record of OSV gives."""
    data = b"\n".join(
        packed(osv_record(aliases=aliases))
        for aliases in (["CVE-2024-0001", "CVE-2024-0002"], [], ["CVE-2024-0003"], ["CVE-2024-0004", "CVE-2024-0005"])
    )
    whole = list(feed(data))
    assert len(whole) == 5
    for skip in range(7):
        assert list(feed(data).items(skip)) == whole[skip:]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["package", "ranges", "events", "type", "cpes", "versions", "cpe"]), inner)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(sorted(osv_record())), JSON))
def test_any_value_anywhere_is_a_record_or_a_problem(fields: dict[str, Any]) -> None:
    """Nothing else gets out."""
    for item in feed(packed(osv_record()) + b"\n" + packed(osv_record(**fields)) + b"\n"):
        assert isinstance(item, VulnRecord | Problem)
