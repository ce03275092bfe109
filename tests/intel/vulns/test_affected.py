"""`affected` of CVE records to configurations: what is not understood is never everything."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.intel.vulns.affected import Affected, configurations
from spectra.model.vulns import Criterion, Node
from tests.intel.vulns.samples import affected, criteria

NAME = "cpe:2.3:a:f5:nginx_plus:*:*:*:*:*:*:*:*"
DECODER = msgspec.json.Decoder(Affected)


def read(*entries: dict[str, Any], named: tuple[dict[str, Any], ...] = ()) -> tuple[Node, ...]:
    """The configurations of entries as a record holds them."""
    return configurations(
        [DECODER.decode(json.dumps(entry)) for entry in entries], [DECODER.decode(json.dumps(entry)) for entry in named]
    )


def of(*versions: dict[str, Any], **fields: Any) -> list[Criterion]:
    """The criteria of one entry that excepts nothing."""
    nodes = read(affected(*versions, **fields))
    assert all(node.operator == "OR" and not node.negate for node in nodes)
    return criteria(*nodes)


def bad(version: str, **fields: Any) -> dict[str, Any]:
    """An affected version or range."""
    return {"version": version, "status": "affected", **fields}


def good(version: str, **fields: Any) -> dict[str, Any]:
    """An unaffected one."""
    return {"version": version, "status": "unaffected", **fields}


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        (bad("1.0", lessThan="1.4"), Criterion(NAME, at_least="1.0", below="1.4")),
        (bad("1.0", lessThanOrEqual="1.4"), Criterion(NAME, at_least="1.0", at_most="1.4")),
        (bad("0", lessThan="1.4", versionType="semver"), Criterion(NAME, below="1.4", scheme="semver")),
        (bad("0", lessThan="1.4", versionType="custom"), Criterion(NAME, below="1.4")),
        (bad("unspecified", lessThan="1.4"), Criterion(NAME, below="1.4")),
        (bad("n/a", lessThanOrEqual="1.4"), Criterion(NAME, at_most="1.4")),
        (bad("1.0", lessThan="*"), Criterion(NAME, at_least="1.0")),
        (bad("0", lessThan="*"), Criterion(NAME)),
        (bad("*"), Criterion(NAME)),
        (bad("1.4", lessThan="1.4"), Criterion(NAME, below="1.4")),
        (bad("5.4.1", lessThanOrEqual="5.4.*"), Criterion(NAME, at_least="5.4.1", below="5.5")),
        (bad("21.2", lessThan="21.2*"), Criterion(NAME, at_least="21.2", below="21.3")),
        (bad("0", lessThanOrEqual="<=1.4"), Criterion(NAME, at_most="1.4")),
        (bad("< 1.4"), Criterion(NAME, below="1.4")),
        (bad("1.4 and prior", lessThanOrEqual="the fix"), Criterion(NAME, at_most="1.4")),
        (bad("9.1"), Criterion(NAME.replace("*:", "9.1:", 1))),
        (bad("8.8.15 p46"), Criterion(NAME.replace("*:*:", "8.8.15:p46:", 1))),
    ],
)
def test_a_range_becomes_bounds(version: dict[str, Any], expected: Criterion) -> None:
    """With the scheme by which its versions compare, where that is one."""
    assert of(version) == [expected]


@pytest.mark.parametrize(
    "version",
    [
        bad("n/a"),
        bad("unspecified"),
        bad("0"),
        bad(""),
        bad("unspecified", lessThan="unspecified"),
        bad("unspecified", lessThan="publication"),
        bad("n/a", lessThanOrEqual="*"),
        bad("16.0.0", lessThan="https://aka.ms/OfficeSecurityReleases"),
        bad("1.0", lessThan="21.2R3-S7, 21.2R3 of the other"),
        bad("see references"),
        bad("9fbb2f7b1b0b5e8c9d6a2c4b1d3e5f7a9b8c7d6e", versionType="git"),
        bad("0", lessThan="9fbb2f7b1b0b5e8c9d6a2c4b1d3e5f7a9b8c7d6e", versionType="git"),
        {"version": "1.0", "status": "unknown"},
    ],
)
def test_what_is_not_understood_matches_nothing(version: dict[str, Any]) -> None:
    """Under every default but one that says all of it is affected and excepts something."""
    for default in ("unaffected", "unknown", "affected", None):
        assert of(version, defaultStatus=default) == []


def test_changes_split_a_range() -> None:
    """Where the status turns, one range ends or begins."""
    changes = [{"at": "1.2", "status": "unaffected"}, {"at": "1.5", "status": "affected"}]
    assert of(bad("1.0", lessThan="2.0", changes=changes)) == [
        Criterion(NAME, at_least="1.0", below="1.2"),
        Criterion(NAME, at_least="1.5", below="2.0"),
    ]
    fixed = [{"at": "1.5", "status": "unaffected"}]
    assert of(bad("n/a", lessThanOrEqual="1.4", changes=fixed), defaultStatus="unaffected") == [
        Criterion(NAME, below="1.5")
    ]


def test_exceptions_of_all_are_a_negated_part() -> None:
    """As the Linux kernel tells: all is affected, but for these."""
    versions = [
        bad("6.1"),
        good("0", lessThan="6.1", versionType="semver"),
        good("6.1.77", lessThanOrEqual="6.1.*", versionType="semver"),
        good("6.8", lessThanOrEqual="*", versionType="original_commit_for_fix"),
    ]
    linux = "cpe:2.3:o:linux:linux_kernel:*:*:*:*:*:*:*:*"
    expected = Node(
        "AND",
        children=(
            Node(criteria=(Criterion(linux),)),
            Node(
                negate=True,
                criteria=(
                    Criterion(linux, below="6.1", scheme="semver"),
                    Criterion(linux, at_least="6.1.77", below="6.2", scheme="semver"),
                    Criterion(linux, at_least="6.8"),
                ),
            ),
        ),
    )
    assert read(affected(*versions, vendor="Linux", product="Linux", defaultStatus="affected")) == (expected,)


def test_all_is_only_affected_up_to_where_it_was_repaired() -> None:
    """An exception that nobody understands, or a single one, does not leave all the rest; ranges are what is meant."""
    assert of(good("the fix"), good("2.0", lessThan="*"), defaultStatus="affected") == []
    assert of(good("1.3"), defaultStatus="affected") == []
    assert of(bad("0", lessThan="1.2"), defaultStatus="affected") == [Criterion(NAME, below="1.2")]
    assert of(bad("1.1"), defaultStatus="affected") == [Criterion(NAME.replace("*:", "1.1:", 1))]
    assert of(defaultStatus="affected") == [Criterion(NAME)]


def test_exceptions_within_a_range_are_kept() -> None:
    """But not the version that the range ends before, nor any where single versions are affected."""
    whole = bad("1.0", lessThan="2.0")
    assert read(affected(whole, good("1.5"), good("2.0"), defaultStatus="unaffected")) == (
        Node(
            "AND",
            children=(
                Node(criteria=(Criterion(NAME, at_least="1.0", below="2.0"),)),
                Node(negate=True, criteria=(Criterion(NAME.replace("*:", "1.5:", 1)),)),
            ),
        ),
    )
    assert of(bad("1.0"), good("1.1")) == [Criterion(NAME.replace("*:", "1.0:", 1))]


def test_given_names_are_used_with_the_ranges() -> None:
    """One whose version is listed is taken as it is, with its update."""
    cpe = "cpe:2.3:a:qualcomm:qpopper:2.4:*:*:*:*:*:*:*"
    other = "cpe:2.3:a:qualcomm:qpopper:*:*:*:*:*:unix:*:*"
    assert of(bad("2.4"), cpes=[cpe]) == [Criterion(cpe)]
    assert of(bad("2.0", lessThan="2.5"), cpes=[other]) == [Criterion(other, at_least="2.0", below="2.5")]
    assert of(bad("n/a"), cpes=[cpe, other]) == [Criterion(cpe)]


def test_names_that_were_looked_up_go_first() -> None:
    """CISA's names; its own versions, unless it says no more than all and the assigner knows better."""
    own = affected(bad("0", lessThan="31"))
    cpe = "cpe:2.3:a:f5:nginx:*:*:*:*:*:*:*:*"
    looked_up = affected(bad("30"), cpes=[cpe], defaultStatus="unknown")
    everything = affected(bad("0", lessThanOrEqual="*"), cpes=[cpe], defaultStatus="unknown")
    nothing = affected(bad("n/a"), cpes=[cpe], defaultStatus="unknown")
    assert criteria(*read(own, named=(looked_up,))) == [Criterion(cpe.replace("*:", "30:", 1))]
    assert criteria(*read(own, named=(everything,))) == [Criterion(cpe, below="31")]
    assert criteria(*read(own, named=(nothing,))) == [Criterion(NAME, below="31")]
    assert criteria(*read(affected(bad("n/a")), named=(everything,))) == [Criterion(cpe)]


def test_several_products_are_any_of_them() -> None:
    """In one node, each criterion once."""
    one, two = affected(bad("1.0")), affected(bad("2.0"), product="NGINX Agent")
    assert [c.cpe.split(":")[4:6] for c in criteria(*read(one, two, one))] == [
        ["nginx_plus", "1.0"],
        ["nginx_agent", "2.0"],
    ]


def test_criteria_are_bounded() -> None:
    """A record of thousands of names and versions ends somewhere."""
    versions = [bad(f"1.{n}") for n in range(300)]
    cpes = [f"cpe:2.3:a:acme:p{n}:*:*:*:*:*:*:*:*" for n in range(100)]
    assert of(*versions, cpes=cpes) == []
    assert len(of(*versions, cpes=cpes[:60])) == 18_000


WORDS = st.sampled_from(
    ["", "0", "*", "n/a", "-", "1.0", "2.x", "all", "before", "git", "affected", "9" * 40]
) | st.text(max_size=9)
VERSIONS = st.fixed_dictionaries(
    {"version": WORDS, "status": st.sampled_from(["affected", "unaffected", "unknown"])},
    optional={"lessThan": WORDS, "lessThanOrEqual": WORDS, "versionType": WORDS},
)


@given(st.lists(VERSIONS, min_size=1, max_size=4), st.sampled_from(["affected", "unaffected", "unknown", None]))
def test_everything_is_only_affected_where_it_is_said(versions: list[dict[str, Any]], default: str | None) -> None:
    """An unbounded criterion needs a word for all, a range without end, or a default with a repair."""
    nodes = read(affected(*versions, defaultStatus=default))
    unbounded = [c for node in nodes for c in (node.criteria or node.children[0].criteria) if c == Criterion(NAME)]
    if unbounded:
        said = " ".join(text for version in versions for text in version.values()).lower()
        assert "*" in said or "all" in said or "any" in said or default == "affected"
