"""Artefacts: files of attempts (logs, original outputs, captures). The bytes are blobs; what they belong to is here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from spectra.model.results import ArtefactClaim
from spectra.model.work import ArtefactRecord
from spectra.store.database import Connection, Database


class NewArtefact(NamedTuple):
    """An artefact whose bytes are stored. `observation_id` (hex): the one it is the output of; empty: of them all."""

    claim: ArtefactClaim
    observation_id: str = ""


def insert(connection: Connection, lease: str, artefacts: Sequence[NewArtefact], now: datetime) -> list[int]:
    """Keep the artefacts of a lease; returns their ids in order. Raises `NotFound("unknown_lease")`."""
    raise NotImplementedError


def page(
    database: Database,
    *,
    job: str = "",
    target: int = 0,
    host: str = "",
    scan_id: str = "",
    observation_id: str = "",
    limit: int = 100,
    cursor: str = "",
) -> tuple[list[ArtefactRecord], str]:
    """Artefacts, newest first, and the cursor of the next page (empty: none); all that is given has to hold.

    A host's are those of the observations that saw it. Raises `BadRequest` naming `cursor` or `host`.
    """
    raise NotImplementedError


def get(database: Database, number: int) -> ArtefactRecord:
    """The artefact of this id; raises `NotFound("unknown_artefact")`."""
    raise NotImplementedError
