"""Matching: configurations as they are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.intel.correlate import match, rules_of
from spectra.intel.correlate.match import bounds
from spectra.intel.correlate.versions import compare
from spectra.model.findings import Affected, Distribution, Identity, Software
from spectra.model.vulns import Criterion, Node, Status, Vuln
from tests.support.cpes import app, hardware, system

SSH = "openbsd:openssh"
LINUX = system("linux:linux_kernel")
WINDOWS = system("microsoft:windows")


def found(
    cpe: str,
    *nodes: Node,
    context: tuple[str, ...] = (),
    distribution: Distribution | None = None,
    status: Status = "",
    source: str = "nvd",
) -> Affected | None:
    """What a CVE with these configurations comes to for the software `cpe`."""
    software = Software((Identity(cpe, 1.0, "a test names it"),), context, distribution)
    rules = rules_of(Vuln("CVE-2024-0001", status=status, configured=source, configurations=nodes))
    affected = match(software, [rules])
    return affected[0] if affected else None


def listed(*criteria: Criterion) -> Node:
    """One plain list."""
    return Node(criteria=criteria)


def both(*nodes: Node) -> Node:
    """All of these have to hold."""
    return Node("AND", children=nodes)


@pytest.mark.parametrize(
    ("version", "expected"),
    [("8.4", False), ("8.5", True), ("8.5:p1", True), ("9.7:p1", True), ("9.8", False), ("9.8:p1", False)],
)
def test_bounds_include_or_exclude_as_they_say(version: str, expected: bool) -> None:
    """From 8.5, that included, to 9.8, that excluded."""
    assert bool(found(app(f"{SSH}:{version}"), listed(Criterion(app(SSH), at_least="8.5", below="9.8")))) is expected


def test_up_to_and_including_is_just_that() -> None:
    """The bound itself is in, its next patch is not."""
    upto = listed(Criterion(app("openssl:openssl"), at_most="1.0.2k"))
    assert found(app("openssl:openssl:1.0.2k"), upto)
    assert not found(app("openssl:openssl:1.0.2l"), upto)
    above = listed(Criterion(app("openssl:openssl"), above="1.0.2k", at_most="1.0.2m"))
    assert not found(app("openssl:openssl:1.0.2k"), above)
    assert found(app("openssl:openssl:1.0.2l"), above)


def test_an_update_beside_bounds_is_the_upper_ones() -> None:
    """`*:d` up to 1.3.5 is up to 1.3.5d."""
    upto = listed(Criterion(app("proftpd:proftpd:*:d"), at_most="1.3.5"))
    assert found(app("proftpd:proftpd:1.3.5:d"), upto)
    assert not found(app("proftpd:proftpd:1.3.5:e"), upto)


def test_a_version_alone_covers_its_updates_unless_they_are_listed() -> None:
    """1.3.5 is 1.3.5f too; 1.3.3, 1.3.3a and 1.3.3b are not 1.3.3c."""
    alone = listed(Criterion(app("proftpd:proftpd:1.3.5")))
    assert found(app("proftpd:proftpd:1.3.5:f"), alone)
    one_by_one = listed(*(Criterion(app(f"proftpd:proftpd:1.3.3{u}")) for u in ("", ":a", ":b")))
    assert found(app("proftpd:proftpd:1.3.3:b"), one_by_one)
    assert not found(app("proftpd:proftpd:1.3.3:c"), one_by_one)
    assert found(app("proftpd:proftpd:1.3.3"), one_by_one)


def test_bounds_without_update_cover_the_updates_of_the_last_version() -> None:
    """`<= 7.9` is 7.9p1 too, `< 7.9` is not."""
    assert found(app(f"{SSH}:7.9:p1"), listed(Criterion(app(SSH), at_most="7.9")))
    assert not found(app(f"{SSH}:7.9:p1"), listed(Criterion(app(SSH), below="7.9")))


def test_a_release_is_no_candidate_of_it() -> None:
    """A name without update is the release; a CVE of its release candidate is not about it."""
    assert not found(app("isc:bind:9.10.0"), listed(Criterion(app("isc:bind:9.10.0:rc1"))))
    assert found(app("isc:bind:9.10.0"), listed(Criterion(app("isc:bind:9.10.0:-"))))


def test_wildcards_in_a_version_are_patterns() -> None:
    """`2.4.*` is any 2.4, `2.4.?` one of one digit."""
    assert found(app("apache:http_server:2.4.49"), listed(Criterion(app("apache:http_server:2.4.*"))))
    assert not found(app("apache:http_server:2.2.49"), listed(Criterion(app("apache:http_server:2.4.*"))))
    assert not found(app("apache:http_server:2.4.49"), listed(Criterion(app("apache:http_server:2.4.?"))))


def test_every_version_is_less_sure_than_a_range() -> None:
    """A name without version and bounds says that nobody looked closer."""
    every, some = (
        found(app(f"{SSH}:9.2"), listed(Criterion(app(SSH)))),
        found(app(f"{SSH}:9.2"), listed(Criterion(app(SSH), below="9.8"))),
    )
    assert every
    assert some
    assert every.confidence < some.confidence


def test_a_version_that_is_not_told_is_only_possible() -> None:
    """`-` alone: perhaps. Beside versions it adds nothing."""
    alone = found(app("apache:http_server:2.4.25"), listed(Criterion(app("apache:http_server:-"))))
    assert alone
    assert alone.confidence < 0.5
    told = listed(Criterion(app("apache:http_server:-")), Criterion(app("apache:http_server:2.2.6")))
    assert not found(app("apache:http_server:2.4.25"), told)


def test_software_of_unknown_version_has_only_what_every_version_has() -> None:
    """No range is guessed to hold."""
    assert not found(app(SSH), listed(Criterion(app(SSH), below="9.8")))
    assert not found(app(SSH), listed(Criterion(app(f"{SSH}:9.2"))))
    assert found(app(SSH), listed(Criterion(app(SSH))))


def test_what_it_runs_on_may_be_unknown_known_or_contradicted() -> None:
    """Unknown makes it less sure and is told; Linux where Windows is needed is a no."""
    tree = both(listed(Criterion(app(SSH), below="9.8")), listed(Criterion(WINDOWS, vulnerable=False)))
    unknown = found(app(f"{SSH}:9.2"), tree)
    assert unknown
    assert unknown.requires == (WINDOWS,)
    known = found(app(f"{SSH}:9.2"), tree, context=(system("microsoft:windows:10"),))
    assert known
    assert known.requires == ()
    assert known.confidence > unknown.confidence
    assert not found(app(f"{SSH}:9.2"), tree, context=(LINUX,))


def test_a_module_that_was_not_seen_needs_a_version_at_least() -> None:
    """A plugin's CVE that does not even tell the application's version is no finding of the application."""
    plugin = listed(Criterion(app("someone:plugin"), at_most="2.0"))
    assert not found(app("wordpress:wordpress:5.7"), both(plugin, listed(Criterion(app("wordpress:wordpress:-")))))
    assert found(
        app("wordpress:wordpress:5.7"), both(plugin, listed(Criterion(app("wordpress:wordpress"), at_most="5.8")))
    )


def test_a_firmware_implies_its_device() -> None:
    """The device beside a firmware of the same maker hardly makes it less sure, and is not asked for."""
    firmware = listed(Criterion(system("cisco:rv340_firmware"), below="1.0.3"))
    device = listed(Criterion(hardware("cisco:rv340"), vulnerable=False))
    affected = found(system("cisco:rv340_firmware:1.0.2"), both(firmware, device))
    assert affected
    assert affected.confidence > 0.9
    assert affected.requires == ()


def test_negation_is_evaluated() -> None:
    """Everything below 2.0 but 1.5."""
    but = Node(negate=True, criteria=(Criterion(app("a:b:1.5")),))
    tree = Node("AND", criteria=(Criterion(app("a:b"), below="2.0"),), children=(but,))
    assert found(app("a:b:1.4"), tree)
    assert not found(app("a:b:1.5"), tree)


def test_editions_and_platforms_that_differ_are_a_no() -> None:
    """A library for Node.js is not one for Python; what was not seen makes it less sure."""
    node = listed(Criterion("cpe:2.3:a:a:b:*:*:*:*:*:node.js:*:*", below="2"))
    assert found("cpe:2.3:a:a:b:1.0:*:*:*:*:node.js:*:*", node)
    assert not found("cpe:2.3:a:a:b:1.0:*:*:*:*:python:*:*", node)
    unseen = found(app("a:b:1.0"), node)
    assert unseen
    assert unseen.confidence < 1


def test_a_distributions_build_is_possibly_patched() -> None:
    """The range holds for the upstream version alone, so it is said and less sure."""
    affected = found(
        app(f"{SSH}:9.2:p1"), listed(Criterion(app(SSH), below="9.8")), distribution=Distribution("debian", "12")
    )
    assert affected
    assert affected.patched == "possibly"
    assert affected.confidence < 0.8


def test_another_distributions_weakness_is_none() -> None:
    """A package of Red Hat's does not run on Debian; on CentOS, its rebuild, it does."""
    tree = both(
        listed(Criterion(app(SSH))), listed(Criterion(system("redhat:enterprise_linux_desktop:5"), vulnerable=False))
    )
    assert not found(app(f"{SSH}:4.3"), tree, distribution=Distribution("debian", "12"))
    assert found(app(f"{SSH}:4.3"), tree, distribution=Distribution("centos", "5"))


def test_disputed_cves_and_lesser_sources_are_less_sure() -> None:
    """They are findings all the same."""
    rule = listed(Criterion(app(SSH), below="9.8"))
    plain, disputed = found(app(f"{SSH}:9.2"), rule), found(app(f"{SSH}:9.2"), rule, status="disputed")
    other = found(app(f"{SSH}:9.2"), rule, source="cve")
    assert plain
    assert disputed
    assert other
    assert disputed.confidence < other.confidence < plain.confidence


def test_a_cve_is_found_once_by_its_surest_reason() -> None:
    """Two names of one software, two criteria of one CVE: one finding."""
    software = Software((Identity(app(f"{SSH}:9.2"), 0.5, "perhaps"), Identity(app(f"{SSH}:9.3"), 0.9, "surely")))
    rules = rules_of(
        Vuln("CVE-2024-0001", configured="nvd", configurations=(listed(Criterion(app(SSH), below="9.8")),))
    )
    (affected,) = match(software, [rules, rules])
    assert affected.cpe == app(f"{SSH}:9.3")
    assert affected.range == "< 9.8"


def test_names_that_are_none_match_nothing() -> None:
    """Malformed CPE names of a scanner are passed over."""
    for name in ("", "cpe:2.3:a:::", "cpe:2.3:a:openbsd:openssh", "cpe:/x:openbsd:openssh:9.2"):
        assert not found(name, listed(Criterion(app(SSH))))


def test_bounds_in_words() -> None:
    """As a person reads them."""
    assert bounds(Criterion(app(SSH), at_least="8.5", below="9.8")) == ">= 8.5, < 9.8"
    assert bounds(Criterion(app(SSH), above="1", at_most="2")) == "> 1, <= 2"
    assert bounds(Criterion(app(SSH))) == ""


NUMBERS = st.lists(st.integers(0, 12), min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))


@given(version=NUMBERS, low=NUMBERS, high=NUMBERS, inclusive=st.booleans())
def test_ranges_agree_with_plain_comparison(version: str, low: str, high: str, inclusive: bool) -> None:
    """Whatever the numbers: a range holds exactly when both comparisons do."""
    criterion = (
        Criterion(app("a:b"), at_least=low, at_most=high) if inclusive else Criterion(app("a:b"), above=low, below=high)
    )
    inside = (
        compare(low, version) <= 0 <= compare(high, version)
        if inclusive
        else compare(low, version) < 0 < compare(high, version)
    )
    assert bool(found(app(f"a:b:{version}"), listed(criterion))) is inside
