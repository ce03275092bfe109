"""What the formats have no words for: where a decision holds, and what exactly was decided.

A place is a URN, `urn:spectra:endpoint:192.0.2.7~22~tcp`, `urn:spectra:host:192.0.2.7` or `urn:spectra:everywhere`,
with the CPE name of the software that alone is meant as its fragment. A decision is a line beside what the format says,
`spectra accepted until 2027-03-01T00:00:00Z: behind the VPN`. Other readers may leave both alone; reading our own
document again gives the very decisions that it was made of.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

import msgspec

from spectra.errors import BadRequest
from spectra.intel.vex.names import is_pattern, whole
from spectra.intel.vex.texts import line
from spectra.model.findingrecords import TriageStatus, read_address, read_id
from spectra.model.triage import JUSTIFICATIONS, JUSTIFIED, STATUSES, Target, Verdict

_STATUS: Final[dict[str, TriageStatus]] = {status: status for status in STATUSES}
UNDECIDED: Final = "spectra undecided"
_PREFIX: Final = "urn:spectra:"
_MARK: Final = re.compile(r"spectra ([a-z_]+)(?: \(([a-z_]+)\))?(?: until (\S+))?(?:: (.*))?", re.DOTALL)
_CVE: Final = "CVE-2000-0000"  # of no finding: a place is an id without its CVE


class Mark(NamedTuple):
    """What a line says: a decision, or None where nobody decided."""

    verdict: Verdict | None


def place_id(target: Target) -> str:
    """The URN of where a decision about `target` holds, whatever its CVE."""
    match target.scope:
        case "endpoint":
            place = f"endpoint:{target.ip}~{target.port}~{target.protocol}"
        case "host":
            place = f"host:{target.ip}"
        case _:
            place = "everywhere"
    software = f"#{quote(target.cpe, safe=':*~!')}" if target.cpe else ""
    return f"{_PREFIX}{place}{software}"


def read_place(text: str, cve: str) -> Target | None:
    """What a decision about a CVE at the place of a URN is about; None for what is none of ours."""
    if not text.startswith(_PREFIX):
        return None
    place, _, fragment = text.removeprefix(_PREFIX).partition("#")
    cpe = unquote(fragment)
    if cpe and ((name := whole(cpe)) is None or is_pattern(name) or str(name) != cpe):
        return None
    found = _place(place, cve)
    return found and found._replace(cpe=cpe)


def _place(text: str, cve: str) -> Target | None:
    kind, _, rest = text.partition(":")
    if kind == "everywhere" and not rest:
        return Target(cve)
    if kind == "host" and (ip := read_address(rest)):
        return Target(cve, ip)
    try:
        key = read_id(f"{rest}~{_CVE}")
    except BadRequest:
        return None
    return Target(cve, key.ip, key.port, key.protocol) if kind == "endpoint" else None


def mark(verdict: Verdict | None) -> str:
    """The line of a decision; None: nobody decided."""
    if verdict is None:
        return UNDECIDED
    why = f" ({verdict.justification})" if verdict.justification else ""
    until = f" until {msgspec.to_builtins(verdict.until)}" if verdict.until else ""
    return f"spectra {verdict.status}{why}{until}{f': {verdict.note}' if verdict.note else ''}"


def read_mark(text: str) -> Mark | None:
    """What the line says; None for what is none."""
    if text == UNDECIDED:
        return Mark(None)
    found = _MARK.fullmatch(text)
    status = _STATUS.get(found[1]) if found else None
    if found is None or status is None:
        return None
    if found[2] and (status not in JUSTIFIED or found[2] not in JUSTIFICATIONS):
        return None
    until = None
    if found[3] and (until := _moment(found[3])) is None:
        return None
    return Mark(Verdict(status, line(found[4] or ""), found[2] or "", until))


def _moment(text: str) -> datetime | None:
    try:
        at = msgspec.convert(text, datetime)
        return at.astimezone(UTC) if at.tzinfo else None
    except (ValueError, OverflowError):
        return None
