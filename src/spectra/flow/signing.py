"""What the coordinator needs of a CA, be it the built-in one (`flow/authority.py`) or a step-ca (`flow/stepca.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from cryptography.x509 import Certificate

from spectra.identity.x509 import PrivateKey
from spectra.model.joining import AuthorityRecord
from spectra.model.nodes import Role
from spectra.store.accounts import Act


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A join token to mint: `name` is empty for a reusable one."""

    id: str
    name: str
    role: Role
    ttl: timedelta


class Signer(Protocol):
    """Issues certificates to machines that bring one of its tokens, and to the coordinator itself."""

    @property
    def roots(self) -> tuple[Certificate, ...]:
        """Every root that is trusted now."""
        ...

    def token(self, asked: Asked, act: Act) -> str:
        """A join token. Raises `BadRequest` for one that this CA would not take."""
        ...

    def own(self, key: PrivateKey, name: str) -> tuple[Certificate, ...]:
        """The coordinator's own certificate and what follows it, for all its hosts."""
        ...

    def is_current(self, chain: Sequence[Certificate]) -> bool:
        """Whether what follows a leaf (all of `chain`) is what would follow one that is issued now."""
        ...

    def maintain(self) -> None:
        """Renew what the CA itself needs to go on."""
        ...

    def describe(self) -> AuthorityRecord:
        """For people."""
        ...

    def rotate(self, act: Act) -> None:
        """Issue under a new root. Raises `BadRequest`: `ca_external`, `ca_rotating`."""
        ...

    def retire(self, act: Act) -> None:
        """Trust the newest root alone. Raises `BadRequest("ca_external")`."""
        ...
