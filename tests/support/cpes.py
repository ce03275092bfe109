"""CPE names in short, for tests."""

from __future__ import annotations


def app(name: str) -> str:
    """The full 2.3 name of an application: `openbsd:openssh:9.2:p1`."""
    return _full("a", name)


def system(name: str) -> str:
    """As `app`, of an operating system or firmware."""
    return _full("o", name)


def hardware(name: str) -> str:
    """As `app`, of a device."""
    return _full("h", name)


def _full(part: str, name: str) -> str:
    given = name.split(":")
    return ":".join(["cpe:2.3", part, *given, *["*"] * (10 - len(given))])
