"""Names of domains: what was registered, and how usual its letters are, on names that were not learned from."""

from __future__ import annotations

import random
from pathlib import Path
from statistics import fmean

import pytest

from spectra.ai.agents import names
from spectra.ai.agents.dns_guard import DGA_BITS, DGA_NAMES
from tests.ai.agents import families

ORDINARY = (Path(__file__).with_name("ordinary_names.txt")).read_text("utf-8").split()


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("www.example.org", "example.org"),
        ("a.b.example.co.uk", "example.co.uk"),
        ("co.uk", "co.uk"),
        ("Host.", "host"),
        ("x.y.z.example.museum", "example.museum"),
    ],
)
def test_the_registered_part(name: str, part: str) -> None:
    """Also below the second-level labels of countries."""
    assert names.registered(name) == part


def test_real_names_are_usual_and_generated_ones_are_not() -> None:
    """By one name one in sixteen real ones is odd, by the mean of ten none of a thousand draws; four of five families
    are found by the mean of ten in every draw, those of words in none.
    """
    odd = sum(names.likelihood(name) < DGA_BITS for name in ORDINARY) / len(ORDINARY)
    assert 0.03 < odd < 0.09
    draw = random.Random(1)
    real = [fmean(names.likelihood(n) for n in draw.sample(ORDINARY, DGA_NAMES)) for _ in range(1000)]
    assert min(real) > DGA_BITS
    for family in (families.letters, families.longer, families.digits, families.hashes):
        made = family(300)
        drawn = [fmean(names.likelihood(n) for n in draw.sample(made, DGA_NAMES)) for _ in range(100)]
        assert max(drawn) < DGA_BITS, family
    assert fmean(map(names.likelihood, families.words(300))) > DGA_BITS


def test_entropy() -> None:
    """Bits a character: none of one letter, four of hexadecimal digits."""
    assert names.entropy([]) == names.entropy(["aaaa"]) == 0
    assert names.entropy(["0123456789abcdef"]) == pytest.approx(4)
