"""Rules: what a CVE says of each product."""

from __future__ import annotations

from spectra.intel.correlate.rules import MAX_BESIDE, product_of, rules_of
from spectra.model.vulns import Criterion, Node, Product, Vuln
from tests.support.cpes import app, hardware, system

SSH = Product("a", "openbsd", "openssh")


def vuln(*nodes: Node, status: str = "") -> Vuln:
    """A CVE with these configurations."""
    return Vuln("CVE-2024-6387", status=status, configured="nvd", configurations=nodes)  # type: ignore[arg-type]


def test_each_vulnerable_product_has_a_rule_of_its_own() -> None:
    """Of a list of products each rule keeps what is about its own."""
    ours, theirs = Criterion(app("openbsd:openssh"), below="9.8"), Criterion(app("haxx:curl"), below="8.0")
    rules = {str(rule.product): rule for rule in rules_of(vuln(Node(criteria=(ours, theirs))))}
    assert rules.keys() == {"a:openbsd:openssh", "a:haxx:curl"}
    assert rules["a:openbsd:openssh"].configurations == (Node(criteria=(ours,)),)


def test_what_it_runs_on_has_no_rule_and_stays_beside() -> None:
    """A system that is only needed is not vulnerable; the rule of the application still asks for it."""
    both = Node(
        "AND",
        children=(
            Node(criteria=(Criterion(app("openbsd:openssh")),)),
            Node(criteria=(Criterion(system("microsoft:windows"), vulnerable=False),)),
        ),
    )
    (rule,) = rules_of(vuln(both))
    assert rule.product == SSH
    assert rule.configurations == (both,)


def test_lists_of_several_nodes_are_one() -> None:
    """The NVD writes one OR in many pieces; a rule has each criterion once."""
    one, two = Criterion(app("openbsd:openssh:9.2")), Criterion(app("openbsd:openssh:9.3"))
    (rule,) = rules_of(vuln(Node(criteria=(one,)), Node(criteria=(two, one))))
    assert rule.configurations == (Node(criteria=(one, two)),)


def test_long_lists_beside_are_cut() -> None:
    """Five thousand devices beside a firmware are told by the first of them; the rules stay small."""
    devices = tuple(Criterion(hardware(f"hp:printer_{i}"), vulnerable=False) for i in range(5000))
    firmware = Node(criteria=(Criterion(system("hp:futuresmart"), below="5"),))
    (rule,) = rules_of(vuln(Node("AND", children=(firmware, Node(criteria=devices)))))
    assert len(rule.configurations[0].children[1].criteria) == MAX_BESIDE


def test_a_cve_of_ten_thousand_products_has_a_rule_for_each() -> None:
    """One list of 10,000 names, as no CVE has yet: each rule has its one criterion."""
    listed = tuple(Criterion(app(f"vendor:product_{i}:1.0")) for i in range(10_000))
    rules = rules_of(vuln(Node(criteria=listed)))
    assert len(rules) == 10_000
    assert all(len(rule.configurations[0].criteria) == 1 for rule in rules)


def test_rejected_cves_have_no_rules() -> None:
    """Whatever a source still says of them."""
    assert rules_of(vuln(Node(criteria=(Criterion(app("openbsd:openssh")),)), status="rejected")) == []


def test_a_cve_without_configuration_has_no_rules() -> None:
    """Nothing is guessed from its text."""
    assert rules_of(vuln()) == []


def test_malformed_names_spoil_only_themselves() -> None:
    """In a list the rest is kept; where all has to hold, or must not, nothing can be said."""
    good, bad = Criterion(app("openbsd:openssh:9.2")), Criterion("cpe:2.3:a:openbsd:::::")
    (rule,) = rules_of(vuln(Node(criteria=(bad, good))))
    assert rule.configurations == (Node(criteria=(good,)),)
    assert rules_of(vuln(Node("AND", criteria=(good, bad)))) == []
    assert rules_of(vuln(Node("AND", criteria=(good,), children=(Node(negate=True, criteria=(bad,)),)))) == []


def test_what_is_negated_makes_nothing_vulnerable() -> None:
    """A product that must not be there has no rule."""
    tree = Node(
        "AND",
        criteria=(Criterion(app("openbsd:openssh")),),
        children=(Node(negate=True, criteria=(Criterion(app("openbsd:opensmtpd")),)),),
    )
    assert [rule.product for rule in rules_of(vuln(tree))] == [SSH]


def test_trees_without_end_are_no_rules() -> None:
    """Deeper than any configuration is: not read."""
    tree = Node(criteria=(Criterion(app("openbsd:openssh")),))
    for _ in range(100):
        tree = Node("OR", children=(tree, Node(criteria=(Criterion(app("haxx:curl")),))))
    assert SSH not in {rule.product for rule in rules_of(vuln(tree))}


def test_products_are_read_from_names() -> None:
    """Escapes stay; a name of every product is of none."""
    assert product_of(r"cpe:2.3:a:w3b\>cms:w3b\:x:1:*:*:*:*:*:*:*") == Product("a", r"w3b\>cms", r"w3b\:x")
    assert product_of("cpe:/a:openbsd:openssh:9.2") == SSH
    assert product_of("cpe:2.3:a:*:openssh:*:*:*:*:*:*:*:*") is None
    assert product_of("openssh") is None
