"""Names in place of private values: the same for the same value of an account, and with the structure of it."""

from __future__ import annotations

from collections.abc import Mapping

from spectra.model.ai import Private


class Pseudonyms:
    """Those of `account` on the node that keeps `secret`. One instance for one prompt; not thread-safe."""

    def __init__(self, secret: bytes, account: str) -> None:
        raise NotImplementedError

    def of(self, private: Private) -> str:
        """What stands for `private`: deterministic but where two values would have the same one."""
        raise NotImplementedError

    @property
    def known(self) -> Mapping[str, str]:
        """Pseudonym to what it stands for, all that were given so far."""
        raise NotImplementedError
