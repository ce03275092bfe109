"""Decisions about findings: what they are about, what they say, and how the API and the command line tell of them."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal, NamedTuple

import msgspec

from spectra.errors import BadRequest
from spectra.model.findingrecords import FindingKey, TriageRecord, TriageStatus, read_address, read_id
from spectra.model.vulns import CVE_ID

Scope = Literal["endpoint", "host", "everywhere"]
SCOPES: Final[tuple[Scope, ...]] = ("endpoint", "host", "everywhere")
STATUSES: Final[tuple[TriageStatus, ...]] = (
    "accepted", "false_positive", "not_affected", "fixed", "investigating", "affected",
)  # fmt: skip
OPENVEX_JUSTIFICATIONS: Final = (
    "component_not_present",
    "vulnerable_code_not_present",
    "vulnerable_code_not_in_execute_path",
    "vulnerable_code_cannot_be_controlled_by_adversary",
    "inline_mitigations_already_exist",
)
CYCLONEDX_JUSTIFICATIONS: Final = (
    "code_not_present",
    "code_not_reachable",
    "requires_configuration",
    "requires_dependency",
    "requires_environment",
    "protected_by_compiler",
    "protected_at_runtime",
    "protected_at_perimeter",
    "protected_by_mitigating_control",
)
JUSTIFICATIONS: Final = OPENVEX_JUSTIFICATIONS + CYCLONEDX_JUSTIFICATIONS
"""Why something is not affected, in the words of OpenVEX and of CycloneDX."""
JUSTIFIED: Final[tuple[TriageStatus, ...]] = ("not_affected", "false_positive")
"""Decisions that may have a justification."""
MAX_BULK: Final = 1000
"""Decisions that are made at once."""


class Target(NamedTuple):
    """What a decision is about: a CVE at an endpoint, a host (`port` None) or everywhere (`ip` empty), where `cpe` (a
    whole CPE 2.3 name, `*` is any) is told only for that software.
    """

    cve: str
    ip: str = ""
    port: int | None = None
    protocol: str = ""
    cpe: str = ""

    @property
    def scope(self) -> Scope:
        """How wide it is."""
        return "everywhere" if not self.ip else "host" if self.port is None else "endpoint"

    def __str__(self) -> str:
        place = f"{self.ip} {self.port}/{self.protocol}" if self.port is not None else self.ip or "every host"
        return f"{self.cve} at {place}{f' for {self.cpe}' if self.cpe else ''}"


class Verdict(NamedTuple):
    """What was decided; `origin` is the document that says so."""

    status: TriageStatus
    note: str = ""
    justification: str = ""
    until: datetime | None = None
    origin: str = ""


class DecisionRecord(TriageRecord, frozen=True, omit_defaults=True, kw_only=True):
    """A decision and what became of it: one that a later decision replaced, or that was taken back, is `removed`."""

    scope: Scope
    removed: datetime | None = None
    removed_by: str = ""

    @property
    def target(self) -> Target:
        """What it is about."""
        return Target(self.cve, self.ip, self.port, self.protocol, self.cpe)


class DecisionPage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Decisions, newest first; `next_cursor` is empty on the last page."""

    decisions: tuple[DecisionRecord, ...]
    next_cursor: str = ""


class Decided(msgspec.Struct, frozen=True, omit_defaults=True):
    """The decisions that stand now. `replaced` are those that stood in their place; `unchanged` of them said the very
    same before.
    """

    decisions: tuple[DecisionRecord, ...]
    replaced: tuple[DecisionRecord, ...] = ()
    unchanged: int = 0


def read_target(text: str, scope: Scope, cpe: str = "") -> Target:
    """What `text`, the id of a finding, means in a scope. For everywhere a CVE alone is enough, for a host `IP~CVE`.

    Raises `BadRequest` naming `id`.
    """
    words = text.strip().split("~")
    cve = words[-1].upper()
    if scope != "endpoint" and CVE_ID.fullmatch(cve):
        if scope == "everywhere" and len(words) == 1:
            return Target(cve, cpe=cpe)
        if len(words) == 2 and (ip := read_address(words[0])):
            return Target(cve, ip if scope == "host" else "", cpe=cpe)
    return aimed(read_id(text), scope, cpe)


def aimed(key: FindingKey, scope: Scope, cpe: str = "") -> Target:
    """What a decision about this finding is about, in a scope."""
    if scope == "endpoint":
        return Target(key.cve, key.ip, key.port, key.protocol, cpe)
    return Target(key.cve, key.ip if scope == "host" else "", cpe=cpe)


def require_justified(status: TriageStatus, justification: str) -> None:
    """Raises `BadRequest` for a justification that there is not, or of what needs none."""
    if not justification:
        return
    if justification not in JUSTIFICATIONS:
        hint = f"Justifications are {', '.join(JUSTIFICATIONS)}."
        raise BadRequest(f"{justification[:60]!r} is no justification.", field="justification", hint=hint)
    if status not in JUSTIFIED:
        hint = "Say why in `note`."
        raise BadRequest(f"A justification is for {' and '.join(JUSTIFIED)}.", field="justification", hint=hint)
