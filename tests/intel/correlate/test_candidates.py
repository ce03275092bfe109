"""What is cut away would not have been found: matching all rules and matching those that are left is the same."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spectra.intel.correlate import match, rules_of
from spectra.intel.correlate.candidates import Candidates, _attributes, alike
from spectra.intel.correlate.rules import name_of
from spectra.intel.enrich.cpename import Cpe
from spectra.model.findings import Affected, Distribution, Identity, Software
from spectra.model.vulns import Criterion, Node, Rule, Vuln

NUMBERS = ["1", "1.0", "1.2", "1.2.0", "1.2.3", "1.10", "2", "2.0.1", "10.4"]
LETTERS = ["1.2a", "1.2c", "1.2rc1", "1.2-beta2", "1.2p1", "1.0.2k", "final", "1.x", "2.0-p3"]
UPDATES = ["*", "*", "*", "-", "p1", "p2", "a", "rc1", "beta2"]
OWN = ("acme", "server")
OTHERS = [OWN, OWN, OWN, ("acme", "module"), ("linux", "linux_kernel"), ("debian", "debian_linux")]

BUILDS = [
    Distribution("debian"),
    Distribution("debian", "12", "1.2-3+deb12u1", "3+deb12u1"),
    Distribution("ubuntu", "22.04", "1.2-3ubuntu0.1", "3ubuntu0.1"),
    Distribution("ubuntu", "24.04", "1.0.2k-9ubuntu2", "9ubuntu2"),
]

versions = st.sampled_from([*NUMBERS, *NUMBERS, *LETTERS])


def name(product: tuple[str, str], version: str, update: str, edition: str = "*") -> str:
    """A CPE name."""
    return str(Cpe("a", *product, version, update, edition))


bounded = st.fixed_dictionaries(
    {},
    optional={field: versions | st.just("unknown-") for field in ("at_least", "above", "at_most", "below")},
)


def criterion(
    product: tuple[str, str], version: str, update: str, edition: str, bounds: dict[str, str], vulnerable: bool
) -> Criterion:
    """A criterion, with bounds where its version leaves room for them."""
    cpe = name(product, version, update, edition)
    return Criterion(cpe, vulnerable, **(bounds if version == "*" else {}))


def identity(product: tuple[str, str], version: str, update: str, confidence: float, how: str) -> Identity:
    """One name of a software."""
    return Identity(name(product, version, update), confidence, how)


criteria = st.builds(
    criterion,
    st.sampled_from(OTHERS),
    st.sampled_from(["*", "*", "*", "-", "1.*", "1.?", *NUMBERS, *LETTERS]),
    st.sampled_from(UPDATES),
    st.sampled_from(["*", "*", "*", "pro"]),
    bounded,
    st.sampled_from([True, True, True, False]),
)
nodes = st.recursive(
    st.builds(
        Node, st.sampled_from(["OR", "OR", "AND"]), st.sampled_from([False] * 5 + [True]),
        st.lists(criteria, min_size=1, max_size=4).map(tuple),
    ),
    lambda inner: st.builds(
        Node, st.sampled_from(["OR", "AND"]), st.sampled_from([False] * 5 + [True]),
        st.lists(criteria, max_size=2).map(tuple), st.lists(inner, min_size=1, max_size=3).map(tuple),
    ),
    max_leaves=4,
)  # fmt: skip
families = st.lists(st.lists(nodes, min_size=1, max_size=3).map(tuple), min_size=1, max_size=6).map(
    lambda all_of: [
        rule
        for n, configurations in enumerate(all_of)
        for rule in rules_of(Vuln(f"CVE-2025-{n:04}", configured="nvd", configurations=configurations))
    ]
)
identities = st.builds(
    identity,
    st.sampled_from([OWN, OWN, ("acme", "module")]),
    st.sampled_from(["*", "-", *NUMBERS, *LETTERS]),
    st.sampled_from(UPDATES),
    st.sampled_from([0.9, 0.5]),
    st.sampled_from(["so", "otherwise"]),
)
softwares = st.builds(
    Software,
    st.lists(identities, min_size=1, max_size=2).map(tuple),
    st.sampled_from([(), (), (name(("linux", "linux_kernel"), "1.2", "*"),)]),
    st.sampled_from([None, None, *BUILDS]),
)


def without_version(found: Sequence[Affected]) -> list[Affected]:
    """What was found, but for the name that tells the version."""
    return [msgspec.structs.replace(a, cpe="") for a in found]


@settings(max_examples=80)
@given(rules=families, software=softwares)
def test_nothing_is_lost_and_nothing_is_otherwise(rules: list[Rule], software: Software) -> None:
    """The same CVEs for the same reasons, in the same order."""
    candidates = Candidates(rules)
    cuts = [candidates.of(i.cpe) for i in software.identities]
    whole = match(software, [rules] * len(cuts))
    assert match(software, [cut.rules for cut in cuts]) == whole


@settings(max_examples=50)
@given(rules=families, of=st.lists(softwares, min_size=6, max_size=24))
def test_what_is_alike_has_the_same_findings(rules: list[Rule], of: list[Software]) -> None:
    """Software that `alike` takes for equal differs in the findings only by its own name."""
    candidates = Candidates(rules)
    known: dict[object, list[Affected]] = {}
    for software in of:
        cuts = [candidates.of(i.cpe) for i in software.identities]
        like = alike(software, cuts)
        found = without_version(match(software, [rules] * len(cuts)))
        if like is not None:
            assert known.setdefault(like, found) == found


def below(*versions: str) -> list[Rule]:
    """A CVE for each bound."""
    return [
        rule
        for n, version in enumerate(versions)
        for rule in rules_of(
            Vuln(
                f"CVE-2025-{n:04}",
                configured="nvd",
                configurations=(Node(criteria=(Criterion(name(OWN, "*", "*"), below=version),)),),
            )
        )
    ]


def test_only_what_may_hold_is_left() -> None:
    """Of a hundred CVEs that were repaired one after the other, those that were after the version."""
    candidates = Candidates(below(*(f"1.{n}" for n in range(100))))
    assert len(candidates.of(name(OWN, "1.96.5", "*")).rules) == 3
    assert candidates.of(name(OWN, "2", "*")).rules == ()
    assert candidates.of("no name at all").rules == ()


def test_versions_between_the_same_releases_are_of_one_kind() -> None:
    """Builds of which no rule speaks are the same to all rules; a release that one names is like no other."""
    candidates = Candidates(below("1.2", "1.4", "1.4p1"))
    kinds = {v: candidates.of(name(OWN, v, "*")).kind for v in ("1.1", "1.2", "1.2.7", "1.3.9", "1.4", "1.5")}
    assert kinds["1.2.7"] == kinds["1.3.9"]
    assert len(set(kinds.values())) == 5


def test_a_release_without_number_is_like_no_other() -> None:
    """Where a rule asks for how a version is written, versions are not put together."""
    rules = rules_of(
        Vuln("CVE-2025-0001", configured="nvd", configurations=(Node(criteria=(Criterion(name(OWN, "1.*", "*")),)),))
    )
    assert Candidates(rules).of(name(OWN, "1.5", "*")).kind == -1


@example(version="1.2.3")
@given(version=versions)
def test_an_exact_version_is_found_among_thousands(version: str) -> None:
    """A CVE that lists versions one by one is cut down to the one that is meant."""
    listed = tuple(Criterion(name(OWN, v, "*")) for v in dict.fromkeys([*NUMBERS, *LETTERS]))
    rules = rules_of(Vuln("CVE-2025-0001", configured="nvd", configurations=(Node(criteria=listed),)))
    (rule,) = Candidates(rules).of(name(OWN, version, "*")).rules
    assert 1 <= len(rule.configurations[0].criteria) <= 3


@given(st.lists(st.from_regex(r"[a-z0-9._*-]{1,5}", fullmatch=True), min_size=4, max_size=4))
def test_plain_names_are_taken_apart_as_all_are(values: list[str]) -> None:
    """The short way gives what the long one gives."""
    cpe = ":".join(["cpe:2.3:a", *values, *["*"] * 6])
    assert _attributes(cpe) == name_of(cpe)
