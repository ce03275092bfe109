"""What a request means by findings to decide about: their ids, or a question whose answers they are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from spectra.errors import BadRequest, NotFound
from spectra.flow.judging import JUDGE
from spectra.intel.vex.names import is_pattern, whole
from spectra.model import query as queries
from spectra.model import times
from spectra.model.findingrecords import FindingKey, FindingRecord, read_id
from spectra.model.triage import MAX_BULK, Scope, Target, aimed, read_target
from spectra.model.vulns import CVE_ID
from spectra.store import triagecheck
from spectra.store.database import Database
from spectra.store.findingask import Filters
from spectra.store.findinglist import findings

_PAGES: Final = 300
"""Pages of the list of findings that are read for one question: they may be short."""
_LATEST: Final = datetime(9000, 1, 1, tzinfo=UTC)


def named(database: Database, texts: Sequence[str], scope: Scope, cpe: str) -> list[Target]:
    """What the ids mean in a scope, each once. `NotFound` names the first that is no finding and never was one."""
    name = software(cpe)
    targets = list(dict.fromkeys(read_target(text, scope, name) for text in texts))
    keyed = [text for text in texts if text.count("~") == 3]
    triagecheck.require_findings(database, [read_id(text) for text in keyed])
    if len(keyed) < len(texts):
        triagecheck.require_targets(database, targets)
    return targets


def asked(  # noqa: PLR0917 - the fields of a request
    database: Database, q: str, cve: str, scope: Scope, cpe: str, now: datetime
) -> list[Target]:
    """The open findings of a CVE at the endpoints that a question selects, or their hosts.

    Raises `BadRequest` naming `q`, `cve` or `scope`, and where more than 1,000 match.
    """
    name, cve = software(cpe), cve.strip().upper()
    if scope == "everywhere":
        hint = "Leave `q` out and name the CVE among `findings`."
        raise BadRequest("A question selects endpoints or hosts, not everywhere.", field="scope", hint=hint)
    if not CVE_ID.fullmatch(cve):
        raise BadRequest(f"{cve[:40]!r} is no CVE.", field="cve", hint="A question needs the CVE to decide about.")
    query = queries.parse(q, now, {"vuln": cve})
    found = dict.fromkeys(
        aimed(FindingKey(f.ip, f.port, f.protocol, f.cve), scope, name)
        for f in walk(database, Filters(query=query, triaged="all"), now, most=MAX_BULK)
    )
    if not found:
        raise NotFound(f"No open finding of {cve} is there.", hint=f"`spectra findings list vuln:{cve}` shows them.")
    return list(found)


def walk(database: Database, filters: Filters, now: datetime, *, most: int) -> list[FindingRecord]:
    """The open findings that match, most urgent first. Raises `BadRequest` where there are more than `most`."""
    kept: list[FindingRecord] = []
    cursor = ""
    for _ in range(_PAGES):
        page = findings(database, filters, JUDGE, now, cursor=cursor, limit=1000)
        kept += page.findings
        if len(kept) > most:
            hint = "Narrow the question, for example by net:, product: or severity:."
            raise BadRequest(f"More than {most:,} findings match.", reason="too_many", field="q", hint=hint)
        if not (cursor := page.next_cursor):
            return kept
    hint = "Narrow the question, for example by net: or product:."
    raise BadRequest("Too much has to be looked at for this question.", reason="too_many", field="q", hint=hint)


def software(text: str) -> str:
    """The whole name of the software that is meant, empty for any. Raises `BadRequest` naming `cpe`."""
    if not text.strip():
        return ""
    name = whole(text)
    if name is None:
        hint = "Write cpe:2.3:a:openbsd:openssh or more of it; `*` is any."
        raise BadRequest(f"{text[:100]!r} is no CPE name.", field="cpe", hint=hint)
    if is_pattern(name):
        raise BadRequest("A part of the name is a value or `*`, not both.", field="cpe")
    return str(name)


def until(text: str, now: datetime) -> datetime | None:
    """The end of a decision: a date, a time, or a span from now; None for none. Raises `BadRequest` naming `until`."""
    if not text.strip():
        return None
    try:
        end = times.moment(text.strip(), now, ahead=True)
    except (ValueError, OverflowError) as error:
        hint = "Write 90d, 2027-03-01 or 2027-03-01T12:00:00Z."
        raise BadRequest(f"{text[:80]!r} is not a time.", field="until", hint=hint) from error
    if end <= now:
        raise BadRequest("`until` is not ahead.", field="until", hint="Leave it out for a decision without end.")
    if end > _LATEST:
        raise BadRequest("`until` is too far ahead.", field="until", hint="Leave it out for a decision without end.")
    return end
