"""Criteria in words, as a person reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.model.vulnrecords import Configuration, bounds, in_words, told
from spectra.model.vulns import Criterion, Node


def name(product: str, version: str = "*", rest: str = "*:*:*:*:*:*:*") -> str:
    """A CPE 2.3 name."""
    return f"cpe:2.3:a:openbsd:{product}:{version}:{rest}"


@pytest.mark.parametrize(
    ("criterion", "words"),
    [
        (Criterion(name("openssh"), at_least="8.5p1", below="9.8p1"), "openbsd:openssh >= 8.5p1, < 9.8p1"),
        (Criterion(name("openssh"), above="1", at_most="2"), "openbsd:openssh > 1, <= 2"),
        (Criterion(name("openssh")), "openbsd:openssh every version"),
        (Criterion(name("openssh", "-")), "openbsd:openssh of no version"),
        (Criterion(name("openssh", "4.4", "p1:*:*:*:*:*:*")), "openbsd:openssh 4.4 p1"),
        (
            Criterion(name(r"c\+\+", r"1\:2", "*:*:*:*:wordpress:x64:*"), below="9"),
            "openbsd:c++ 1:2 (target software wordpress, target hardware x64)",
        ),
        (Criterion("cpe:/a:x", below="3"), "cpe:/a:x < 3"),
        (Criterion(""), ""),
    ],
)
def test_criteria_in_words(criterion: Criterion, words: str) -> None:
    """The product, and its versions or the bounds of them; what is no name is given as it is."""
    assert in_words(criterion) == words


def test_what_has_to_be_beside() -> None:
    """Platforms that a weakness needs are told apart from what is affected; what is excluded says so."""
    platform = Criterion("cpe:2.3:o:linux:linux_kernel:-:*:*:*:*:*:*:*", vulnerable=False)
    app, other = Criterion(name("openssh"), below="2"), Criterion(name("openbgpd"), below="3")
    running_on = Node("AND", children=(Node(criteria=(app, other)), Node(criteria=(platform,))))
    both = Node("AND", criteria=(app, other))
    without = Node(criteria=(app,), negate=True)
    assert told([running_on, both, without, Node()]) == (
        (
            Configuration(
                ("openbsd:openssh < 2", "openbsd:openbgpd < 3"), ("linux:linux_kernel of no version",)
            ),
            Configuration(("openbsd:openssh < 2", "openbsd:openbgpd < 3"), all_of=True),
            Configuration(("not openbsd:openssh < 2",)),
        ),
        6,
    )  # fmt: skip


@given(st.lists(st.integers(0, 9), max_size=6), st.integers(0, 30))
def test_no_more_than_asked_for(sizes: list[int], most: int) -> None:
    """Whatever the shape, at most so many criteria are told, from the first on, and all are counted."""
    nodes = [Node(criteria=tuple(Criterion(name("x", str(n)), vulnerable=n % 3 > 0) for n in range(s))) for s in sizes]
    found, count = told(nodes, most)
    assert count == sum(sizes)
    assert sum(len(one.affected) + len(one.beside) for one in found) == min(most, sum(sizes))


def test_bounds() -> None:
    """None where there are none."""
    assert bounds(Criterion(name("x"))) == ""
    assert bounds(Criterion(name("x"), at_least="1", above="2", at_most="3", below="4")) == ">= 1, > 2, <= 3, < 4"
