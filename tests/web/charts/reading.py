"""Reads drawings back."""

from __future__ import annotations

from typing import Any

from lxml import etree


def drawn(svg: str) -> Any:
    """The root element of a drawing; raises where it is not well-formed."""
    return etree.fromstring(svg)
