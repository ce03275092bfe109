"""VEX documents made of findings and of what was decided about them, and decisions made of VEX documents.

A statement that is read is a decision like any other, whose origin is the document. It does not undo what somebody here
decided after it was said. A later version of the document takes the place of what the earlier said; an older one is
refused.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple, TypeVar
from uuid import UUID

from spectra import __version__
from spectra.errors import BadRequest, NotFound
from spectra.flow import triage
from spectra.flow.vexmatch import Matcher, Unmatched
from spectra.intel.vex import outgoing
from spectra.intel.vex.read import read
from spectra.model.query import Query, format_query
from spectra.model.triage import MAX_BULK, DecisionRecord, Target, Verdict
from spectra.model.vex import (
    MAX_DECISIONS,
    MAX_EXPORTED,
    MAX_TOLD,
    Claim,
    Format,
    Incoming,
    Outgoing,
    VexProblem,
    VexReport,
    VexUnmatched,
)
from spectra.model.vulns import CVE_ID
from spectra.store import provenance, triagelist, triagewrite, vexmatch, vexwrite
from spectra.store.database import Connection, Database
from spectra.store.findingask import Filters

T = TypeVar("T")

_TOOL: Final = f"Spectra {__version__}"


def exported(
    database: Database, query: Query, kind: Format, author: str, now: datetime, *, decided: bool = False
) -> Outgoing:
    """A document about the open findings that a question selects; `decided`: only those that somebody decided about.

    Raises `BadRequest` where more than 10,000 match and `NotFound` where none does. The id is the same for the same
    question on the same node, and the version grows with everything that is accepted.
    """
    found = triage.walk(database, Filters(query=query, triaged="all"), now, most=MAX_EXPORTED)
    told = outgoing.statements(found, decided=decided)
    if not told:
        raise NotFound("No open finding matches." if not decided else "Nothing was decided about the open findings.")
    first = next(provenance.links(database, page=1), None)
    length, _ = provenance.head(database)
    about = f"{first.hash.hex() if first else ''} {kind} {decided} {format_query(query)}"
    return Outgoing(
        id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"urn:spectra:vex:{about}")),
        author=author,
        issued=now.replace(microsecond=0),
        version=max(length, 1),
        tool=_TOOL,
        statements=told,
    )


# In -------------------------------------------------------------------------------------------------------------------


class _Wish(NamedTuple):
    """What a statement says of one target."""

    verdict: Verdict
    said: datetime | None
    place: int


class _Wanted(NamedTuple):
    """What a document says of what is known here, and what could not be used of it."""

    wishes: dict[Target, _Wish]
    statements: int
    problems: list[VexProblem]
    unmatched: list[VexUnmatched]


class _Made(NamedTuple):
    """What became of it."""

    decided: int
    unchanged: int
    kept: int
    replaced: int
    removed: int


def imported(database: Database, data: bytes, *, by: str, now: datetime) -> VexReport:
    """Make the decisions of a document. What of it is wrong, or about nothing here, is told; the rest is kept.

    Raises `BadRequest` for what is no document, an older version than one that was read before, and one with more than
    10,000 decisions.
    """
    document = read(data)
    with database.connection() as connection:
        wanted = _wanted(connection, document, now)
    kind, ident, author, version, issued, *_ = document
    source = vexwrite.Source(ident, kind, author, version, issued, hashlib.sha256(data).digest())
    vexwrite.register(database, source, by=by, now=now)
    made = _make(database, wanted.wishes, source, by, now)
    return VexReport(
        id=ident,
        format=kind,
        author=author,
        version=version,
        issued=issued,
        statements=wanted.statements,
        **made._asdict(),
        undecided=document.undecided,
        problems=tuple(wanted.problems[:MAX_TOLD]),
        problems_total=len(wanted.problems),
        unmatched=tuple(wanted.unmatched[:MAX_TOLD]),
        unmatched_total=len(wanted.unmatched),
    )


def _wanted(connection: Connection, document: Incoming, now: datetime) -> _Wanted:
    wanted = _Wanted({}, 0, list(document.problems), [])
    matcher = Matcher(connection, document.claims)
    others = vexmatch.cves(connection, {ident for c in document.claims if not _cves(c.ids) for ident in c.ids})
    good = 0
    for claim in document.claims:
        verdict = claim.verdict._replace(origin=document.id)
        cves = _cves(claim.ids) or [cve for ident in claim.ids for cve in others.get(ident, ())]
        if not cves:
            words = f"{claim.ids[0][:60]} is no CVE, and none is known by that name."
            wanted.problems.append(VexProblem(claim.place, "vulnerability", words))
        elif verdict.until is not None and verdict.until <= now:
            wanted.problems.append(VexProblem(claim.place, "until", "Its time is over."))
        else:
            about = [_aim(wanted, matcher, claim, verdict, cve) for cve in dict.fromkeys(cves)]
            good += any(about)
    wanted.problems.sort(key=_order)
    return wanted._replace(statements=good)


def _aim(wanted: _Wanted, matcher: Matcher, claim: Claim, verdict: Verdict, cve: str) -> bool:
    """Whether a claim is about anything here; what it is not about is noted."""
    good = False
    wish = _Wish(verdict, claim.said, claim.place)
    for named in claim.products:
        try:
            targets = matcher.targets(named, cve)
        except Unmatched as error:
            label = named.names[0] if named.names else ""
            wanted.unmatched.append(VexUnmatched(claim.place, label[:200], str(error)))
            continue
        good = True
        for target in targets:
            known = wanted.wishes.get(target)
            if known is None or _later(wish, known):
                wanted.wishes[target] = wish
        if len(wanted.wishes) > MAX_DECISIONS:
            hint = "Split the document, or name software instead of each endpoint."
            words = f"The document leads to more than {MAX_DECISIONS:,} decisions."
            raise BadRequest(words, reason="too_many", field="body", hint=hint)
    return good


def _later(one: _Wish, other: _Wish) -> bool:
    """Of two statements about the same the one said later holds, of those said together the one further down."""
    times = one.said.timestamp() if one.said else 0.0, other.said.timestamp() if other.said else 0.0
    return times[0] >= times[1]


def _cves(ids: Sequence[str]) -> list[str]:
    """The CVE that is named first, else those that it is also known by."""
    found = [ident.upper() for ident in ids if CVE_ID.fullmatch(ident.upper())]
    return found[:1] if found and found[0] == ids[0].upper() else found


def _make(database: Database, wishes: dict[Target, _Wish], source: vexwrite.Source, by: str, now: datetime) -> _Made:
    def newest(connection: Connection) -> None:
        vexwrite.require_newest(connection, source)

    def keep(record: DecisionRecord, _: Verdict) -> bool:
        """What somebody decided after it was said stays."""
        said = wishes[record.target].said
        return not record.origin and said is not None and record.at > said

    outcomes: list[triagewrite.Outcome] = []
    decisions = [(target, wish.verdict) for target, wish in wishes.items()]
    for part in _chunks(decisions):
        outcomes += triagewrite.decide(database, part, by=by, now=now, within=newest, keep=keep)
    with database.connection() as connection:
        stale = set(triagelist.of_origin(connection, source.id)) - {UUID(one.record.id) for one in outcomes}
    removed = 0
    for part in _chunks(sorted(stale)):
        removed += len(triagewrite.remove(database, part, by=by, now=now, within=newest))
    kept = sum(one.unchanged and not _says(one.record, wishes[one.record.target].verdict) for one in outcomes)
    unchanged = sum(one.unchanged for one in outcomes) - kept
    replaced = sum(len(one.replaced) for one in outcomes)
    return _Made(len(outcomes) - unchanged - kept, unchanged, kept, replaced, removed)


def _says(record: DecisionRecord, verdict: Verdict) -> bool:
    return (record.status, record.note, record.justification, record.until) == verdict[:4]


def _chunks(found: Sequence[T]) -> Iterable[Sequence[T]]:
    return (found[start : start + MAX_BULK] for start in range(0, len(found), MAX_BULK))


def _order(problem: VexProblem) -> int:
    return problem.index
