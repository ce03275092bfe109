"""What the common ports are for."""

from __future__ import annotations


def label(port: int, protocol: str) -> str:
    """A short label (`http`, `ssh`, `mongodb`) of a common port of `tcp`, `udp` or `sctp`; "" of any other."""
    raise NotImplementedError
