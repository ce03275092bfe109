"""Products by their names, as the feeds know them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from spectra.model.vulns import Product

_OTHER = re.compile(r"[^a-z0-9+]+")


class Known(msgspec.Struct, frozen=True):
    """A product that feeds name, and how many CVEs do; equal numbers but 0 of `family` are one software."""

    product: Product
    vulns: int
    family: int = 0


class Names(Protocol):
    """Where products are looked up."""

    def named(self, words: Sequence[str]) -> Mapping[str, Sequence[Known]]:
        """The products of each of `words` (each as `word` gives it); words that name none may be left out."""
        ...


class NoNames:
    """Where no feed was taken yet."""

    def named(self, words: Sequence[str]) -> Mapping[str, Sequence[Known]]:
        """None."""
        return {}


def word(product: str) -> str:
    """The normal form of a product's name, lower case letters, digits and `+`: `x_server` and `X Server` are one."""
    return _OTHER.sub("", product.replace("\\", "").lower())
