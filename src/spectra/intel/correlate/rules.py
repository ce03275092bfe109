"""From what a CVE says of all products to what it says of each: rules, cut down to the product they are about."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from typing import Final

import msgspec

from spectra.intel.enrich.cpename import ANY, NA, Cpe, parse
from spectra.model.vulns import Criterion, Node, Product, Rule, Vuln

MAX_BESIDE: Final = 20
"""Criteria about other products that a rule keeps: more only say that it is some device of a long list."""
_MAX_DEPTH: Final = 8
_MAX_PARTS: Final = 64  # of an AND; the longest in the NVD has 9

_VALUE: Final = r"(?:[^:\\*?]|\\.|[*?])+"
_NAME: Final = re.compile(rf"cpe:2\.3:([aoh]):({_VALUE}):({_VALUE})(?::{_VALUE}){{8}}", re.ASCII)


@lru_cache(maxsize=1 << 15)
def name_of(cpe: str) -> Cpe | None:
    """A CPE name in either form; None for what is none."""
    return parse(cpe)


@lru_cache(maxsize=1 << 15)
def product_of(cpe: str) -> Product | None:
    """The product of a name; None for what is no name, or is of every product."""
    found = _NAME.fullmatch(cpe)
    if found is None:
        name = parse(cpe)
        part, vendor, product = name[:3] if name is not None else (ANY, ANY, ANY)
    else:
        part, vendor, product = found.groups()
    if {part, vendor, product} & {ANY, NA}:
        return None
    return Product(part, vendor, product)


def rules_of(vuln: Vuln) -> list[Rule]:
    """One rule for each product that `vuln` says is vulnerable; none for a rejected one."""
    if vuln.status == "rejected":
        return []
    by_product: dict[Product, list[Node]] = {}
    for configuration in vuln.configurations:
        tree = _readable(configuration, 0)
        for product, cut in _cuts(tree).items() if tree is not None else ():
            by_product.setdefault(product, []).append(cut)
    return [
        Rule(vuln.cve, vuln.configured, product, _distinct(nodes), vuln.status) for product, nodes in by_product.items()
    ]


def _distinct(nodes: Iterable[Node]) -> tuple[Node, ...]:
    """Each node once, and of nodes that are plain lists of criteria one."""
    plain: dict[Criterion, None] = {}
    others: dict[Node, None] = {}
    for node in nodes:
        if node.operator == "OR" and not node.negate and not node.children:
            plain.update(dict.fromkeys(node.criteria))
        else:
            others[node] = None
    return (*((Node(criteria=tuple(plain)),) if plain else ()), *others)


def _readable(node: Node, depth: int) -> Node | None:
    """`node` without criteria whose names are malformed; None where nothing is left of it."""
    if depth > _MAX_DEPTH:
        return None
    criteria = tuple(c for c in node.criteria if product_of(c.cpe) is not None)
    children = [_readable(child, depth + 1) for child in node.children]
    lost = len(criteria) < len(node.criteria) or None in children
    strict = node.operator == "AND" or node.negate
    if strict and (lost or len(children) > _MAX_PARTS):
        return None  # what has to hold beside, or must not, cannot be known
    kept = tuple(child for child in children if child is not None)
    if not criteria and not kept:
        return None
    if not node.negate and not criteria and len(kept) == 1:
        return kept[0]  # an AND or OR of one
    return msgspec.structs.replace(node, criteria=criteria, children=kept)


def _cuts(node: Node) -> dict[Product, Node]:
    """For each product that can make the tree hold, the part of the tree in which it does.

    Of an OR, what is about other products goes: it would hold for those. Of an AND everything stays, shortened.
    """
    if node.negate:
        return {}
    own: dict[Product, list[Criterion]] = {}
    for criterion in node.criteria:
        product = product_of(criterion.cpe) if criterion.vulnerable else None
        if product is not None:
            own.setdefault(product, []).append(criterion)
    inside = [_cuts(child) for child in node.children]
    if node.operator == "OR":
        below: dict[Product, list[Node]] = {}
        for cuts in inside:
            for product, cut in cuts.items():
                below.setdefault(product, []).append(cut)
        return {
            product: Node("OR", False, tuple(own.get(product, ())), tuple(below.get(product, ())))
            for product in dict.fromkeys((*own, *below))
        }
    beside = [_beside(child) for child in node.children]
    return {
        product: Node(
            "AND",
            False,
            (*own.get(product, ()), *_without(node.criteria[:MAX_BESIDE], own.get(product, ()))),
            tuple(cuts.get(product, rest) for cuts, rest in zip(inside, beside, strict=True)),
        )
        for product in dict.fromkeys((*own, *(product for cuts in inside for product in cuts)))
    }


def _without(criteria: Iterable[Criterion], others: Collection[Criterion]) -> Iterator[Criterion]:
    return (c for c in criteria if c not in others)


def _beside(node: Node) -> Node:
    """What another part of an AND asks for: of a long list of products, the first."""
    return msgspec.structs.replace(
        node, criteria=node.criteria[:MAX_BESIDE], children=tuple(_beside(child) for child in node.children)
    )
