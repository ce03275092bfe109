"""VEX documents as everything but their formats sees them: what goes out, what comes in, and what became of that."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal, NamedTuple

import msgspec

from spectra.model.triage import Target, Verdict

Format = Literal["openvex", "cyclonedx"]
FORMATS: Final[tuple[Format, ...]] = ("openvex", "cyclonedx")
MAX_EXPORTED: Final = 10_000
"""Findings that one document tells of."""
MAX_BYTES: Final = 16 * 1024 * 1024
"""Of a document that is read."""
MAX_DECISIONS: Final = 10_000
"""Decisions that one document leads to."""
MAX_TOLD: Final = 1000
"""Problems, and products that nobody knows, that are told one by one."""


# Out ------------------------------------------------------------------------------------------------------------------


class Product(NamedTuple):
    """What a statement is about: the place of `target`, whatever its CVE; and the software there, as far as known."""

    target: Target
    name: str = ""
    version: str = ""
    cpe: str = ""


class Statement(NamedTuple):
    """What is said of a CVE in some products. `verdict` None: nobody decided; `sure` tells whether it is one, and
    `action` what there is to do.
    """

    cve: str
    verdict: Verdict | None
    said: datetime
    products: tuple[Product, ...]
    sure: bool = True
    action: str = ""


class Outgoing(NamedTuple):
    """A document to be written. `id` is a UUID: the same question has the same, `version` grows."""

    id: str
    author: str
    issued: datetime
    version: int
    tool: str
    statements: tuple[Statement, ...]


# In -------------------------------------------------------------------------------------------------------------------


class Named(NamedTuple):
    """A product by all that names it: ids, CPE names, package URLs. `parts` are those of each component that is meant
    within it.
    """

    names: tuple[str, ...]
    parts: tuple[tuple[str, ...], ...] = ()


class Claim(NamedTuple):
    """One statement as read. `ids` are the names of the weakness, CVE or other; `place` counts from 0."""

    place: int
    ids: tuple[str, ...]
    verdict: Verdict
    said: datetime | None
    products: tuple[Named, ...]


class VexProblem(msgspec.Struct, frozen=True, omit_defaults=True):
    """A statement that could not be used: its place in the document from 0, the field and what is wrong."""

    index: int
    field: str
    message: str


class VexUnmatched(msgspec.Struct, frozen=True):
    """A product of a statement that is nothing known here, and why not."""

    index: int
    product: str
    why: str


class Incoming(NamedTuple):
    """A document as read: the claims that are good, and what is wrong with the others. `undecided` are statements of
    one of our own documents that say that nobody decided.
    """

    format: Format
    id: str
    author: str
    version: int
    issued: datetime | None
    claims: tuple[Claim, ...]
    problems: tuple[VexProblem, ...]
    undecided: int = 0


class VexReport(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What reading a VEX document led to.

    Of its statements, those that were good (`statements`) led to decisions: made (`decided`), said before
    (`unchanged`), or not made because somebody has decided otherwise since the document said so (`kept`). `replaced`
    decisions stood before in their place, `removed` ones an earlier version of the document said. `problems` and
    `unmatched` are told up to 1,000 each; `problems_total` and `unmatched_total` count all.
    """

    id: str
    format: Format
    author: str
    version: int
    issued: datetime | None = None
    statements: int
    decided: int
    unchanged: int
    kept: int
    replaced: int
    removed: int
    undecided: int
    problems: tuple[VexProblem, ...] = ()
    problems_total: int
    unmatched: tuple[VexUnmatched, ...] = ()
    unmatched_total: int
