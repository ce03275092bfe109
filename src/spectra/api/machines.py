"""What the routes of machines work with; the composition root builds one and the mesh's app carries it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Protocol

from fastapi import Depends, Request

from spectra.api.strikes import Strikes
from spectra.flow.attestation import Attestations
from spectra.flow.authority import Certificates
from spectra.flow.members import Members
from spectra.flow.signing import Signer


class Notes(Protocol):
    """Where refusals are noted (`flow.refusals.RefusalLog`)."""

    def note(self, kind: str, who: str, detail: str = "", times: int = 1) -> None:
        """Never waits."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Machines:
    """The mesh of one coordinator. `certificates` is the built-in CA; None where another one issues certificates."""

    members: Members
    signer: Signer
    attestations: Attestations
    notes: Notes
    strikes: Strikes
    certificates: Certificates | None


def machines_of(request: Request) -> Machines:
    """The mesh of the app that serves `request`."""
    return request.app.state.machines


MachinesDep = Annotated[Machines, Depends(machines_of)]
