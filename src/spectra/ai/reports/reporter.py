"""Making a report, step by step: facts, attempts at the sections, the document. Each step's outcome is kept before the
next begins, so that whoever goes on after a crash has all that went before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final, Literal, NamedTuple, Protocol

import msgspec

from spectra.ai.gateway.errors import NoModel, RefusedByModel
from spectra.ai.patterns import answers
from spectra.ai.patterns.loading import Pattern, suited
from spectra.ai.reports import collecting, facts, prompts, rules
from spectra.ai.reports.facts import Facts, Rules
from spectra.ai.retrieval.context import Sources
from spectra.errors import BadRequest, NotFound
from spectra.model.ai import Answer, Label, Prompt
from spectra.model.reports import (
    FORMAT,
    MAX_CITES,
    Attempt,
    Author,
    Finish,
    ReportDocument,
    ReviewDetail,
    Section,
    State,
    Statement,
)
from spectra.model.summaries import Target
from spectra.store import reports
from spectra.store.accounts import Act
from spectra.store.blobs import BlobStore
from spectra.store.reports import Made, Wanted

ATTEMPTS: Final = 5
DEADLINE_S: Final = 120.0
MAX_SAID: Final = 16_000
"""Characters of an answer that are shown to who finishes a report by hand."""
_FINAL: Final = ("ai_no_provider", "ai_budget", "ai_leak_stopped")
"""Why no model answers that another attempt would not change."""

Kind = Literal["holds", "wrong", "refused", "away", "none"]


class Asking(Protocol):
    """Asks models: `ai.gateway.Gateway`."""

    def answer(self, prompt: Prompt, *, account: str, deadline_s: float) -> Answer:
        """The answer of the first that gives one; raises `NoModel` or `RefusedByModel`."""
        ...


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How one attempt ended: the answer `holds`, is `wrong` (`reasons`), the request itself was `refused`, no model
    could be asked just now (`away`), or none will be (`none`). `answer` is the blob of what was said, as hex; `took_s`
    counts against the deadline.
    """

    kind: Kind
    reasons: tuple[str, ...] = ()
    answer: str = ""
    provider: str = ""
    model: str = ""
    label: str = ""
    took_s: float = 0.0


class Bounds(NamedTuple):
    """How often and how long models are asked for one report, in all."""

    attempts: int = ATTEMPTS
    deadline_s: float = DEADLINE_S
    free_text: Literal["local", "detected"] = "local"


class Reporter:
    """Makes reports of one database. `gateway` None: there are no models. Thread-safe."""

    def __init__(
        self,
        gateway: Asking | None,
        sources: Sources,
        *,
        blobs: BlobStore,
        patterns: Mapping[str, Pattern],
        rules: Rules,
        clock: Callable[[], datetime],
        bounds: Bounds = Bounds(),  # noqa: B008 - immutable
    ) -> None:
        self._gateway = gateway
        self.sources = sources
        self.database = sources.database
        self.blobs = blobs
        self.patterns = patterns
        self._rules = rules
        self.clock = clock
        self.bounds = bounds

    # Asking ----------------------------------------------------------------------------------------------------------

    def pattern(self, name: str, target: Target) -> Pattern:
        """The pattern `name`, or the one that suits a target. Raises `BadRequest` naming `pattern`, and `NotFound`
        where nothing is known of the target.
        """
        types = collecting.scan_types(self.sources, target, self.clock())
        if not name:
            return suited(self.patterns, types)
        if name not in self.patterns:
            raise BadRequest(
                f"There is no pattern {name[:60]}.", field="pattern", hint=f"One of {', '.join(self.patterns)}."
            )
        return self.patterns[name]

    # Steps -----------------------------------------------------------------------------------------------------------

    def wanted(self, report: str) -> Wanted:
        """The report as it stands."""
        return reports.wanted(self.database, report)

    def gather(self, report: str) -> str:
        """Collect the facts of a report; the blob of them, as hex. Raises as `collecting.collect`."""
        wanted = self.wanted(report)
        found = collecting.collect(
            self.sources,
            wanted.target,
            self._pattern(wanted.pattern),
            wanted.question,
            now=self.clock(),
            rules=self._rules,
        )
        blob = self.blobs.put(facts.encoded(found))
        reports.begin(self.database, report, blob, self.clock())
        return blob.hex()

    def attempt(
        self, report: str, number: int, found: str, before: Sequence[str], *, left_s: float, plain: bool = False
    ) -> Outcome:
        """Ask a model for the sections; what it said is kept, and what does not hold about it.

        `found` is the blob of the facts, `before` what did not hold last time. `plain`: no schema is insisted on, since
        the gateway gives back nothing of an answer that is no JSON. Raises `Unavailable` only where the database or
        the blob store is away.
        """
        wanted, pattern = self.wanted(report), self._pattern(self.wanted(report).pattern)
        if self._gateway is None or wanted.rules:
            why = "No model was to be asked." if wanted.rules else "There is no model to ask."
            return Outcome(kind="none", reasons=(why,))
        known = self.facts(found)
        asked = prompts.prompt(pattern, known, before, free_text=self.bounds.free_text, plain=plain)
        began = self.clock()
        try:
            said = self._gateway.answer(asked, account=wanted.account, deadline_s=left_s)
        except NoModel as error:
            kind: Kind = "none" if error.reason in _FINAL else "away"
            missed = Outcome(kind=kind, reasons=(error.message,), took_s=self._since(began))
            return self._tried(report, number, missed, asked)
        except RefusedByModel as error:
            refused = Outcome(kind="refused", reasons=(error.message,), took_s=self._since(began))
            return self._tried(report, number, refused, asked)
        read = answers.read(said.text, pattern.plans, pattern.schema, known.refs)
        reasons = read.reasons
        if said.finish == "length" and reasons:
            reasons = (*reasons, "It was cut off: be shorter.")
        outcome = Outcome(
            kind="wrong" if reasons else "holds",
            reasons=reasons,
            answer=self.blobs.put(said.text.encode("utf-8", "replace")).hex(),
            provider=said.provider,
            model=said.model,
            label=Label(said.label).name,
            took_s=self._since(began),
        )
        return self._tried(report, number, outcome, asked)

    def write(self, report: str, found: str, outcomes: Sequence[Outcome]) -> str:
        """Put the document together and keep it; the state of the report then."""
        wanted, known = self.wanted(report), self.facts(found)
        pattern = self._pattern(wanted.pattern)
        last = outcomes[-1] if outcomes else Outcome(kind="none", reasons=("There is no model to ask.",))
        sections: tuple[Section, ...] = ()
        if last.kind == "holds":
            text = self.blobs.get(bytes.fromhex(last.answer)).decode()
            sections = answers.read(text, pattern.plans, pattern.schema, known.refs).sections
        by: Literal["model", "rules"] = "model" if sections else "rules"
        complete = bool(sections) or last.kind == "none"
        document = self._document(
            wanted,
            known,
            pattern,
            sections=sections or rules.sections(pattern, known),
            by=by,
            complete=complete,
            why="" if sections else _why(last, len(outcomes)),
            provider=last.provider if sections else "",
            model=last.model if sections else "",
            label=last.label if sections else "",
            attempts=len([one for one in outcomes if one.kind != "none"]),
        )
        state: State = "done" if complete else "incomplete"
        record = reports.keep(
            self.database, report, self._made(document, known, state), Act(wanted.account, self.clock())
        )
        return record.state

    def fail(self, report: str, why: str) -> str:
        """Nothing can be told of the target; the state of the report then."""
        made = Made("failed", "", "", why[:1000], "", "", 0, b"", 0, (), ())
        account = self.wanted(report).account
        return reports.keep(self.database, report, made, Act(account, self.clock())).state

    # By hand ---------------------------------------------------------------------------------------------------------

    def finish(self, report: str, new: str, given: Finish, act: Act) -> reports.ReportRecord:
        """Keep what a person made of an incomplete report, under the id `new`. Raises `NotFound`, and `BadRequest`
        naming the section that is none, or the citation of what the report was not made of.
        """
        wanted = self.wanted(report)
        if not wanted.facts:
            raise NotFound(f"{report} has no facts yet.", reason="report_unwritten")
        known, pattern = self.facts(wanted.facts.hex()), self._pattern(wanted.pattern)
        old = self.document(report)
        plans = {plan.id: plan for plan in pattern.plans}
        stands = {section.id: section for section in old.sections}
        for name, statements in given.sections.items():
            if name not in plans:
                known_ones = ", ".join(plans)
                raise BadRequest(
                    f"There is no section {name[:40]!r}.", field=f"sections.{name[:40]}", hint=f"One of {known_ones}."
                )
            said = tuple(_checked(one, known, f"sections.{name}[{number}]") for number, one in enumerate(statements))
            plan = plans[name]
            stands[name] = Section(id=name, title=plan.title, form=plan.form, by="person", statements=said)
        document = self._document(
            wanted._replace(id=new, account=act.by),
            known,
            pattern,
            sections=tuple(stands[plan.id] for plan in pattern.plans if plan.id in stands),
            by="person",
            complete=True,
            why=given.note,
            attempts=old.attempts,
        )
        return self._finish(report, new, document, known, act)

    def _finish(self, report: str, new: str, document: ReportDocument, known: Facts, act: Act) -> reports.ReportRecord:
        version = reports.next_version(self.database, known.target, document.pattern)
        numbered = msgspec.structs.replace(document, version=version)
        made = self._made(numbered, known, "done")
        return reports.finish(self.database, report, new, made, act, version=version)

    # Reading ---------------------------------------------------------------------------------------------------------

    def facts(self, blob: str) -> Facts:
        """The facts in a blob."""
        return facts.decoded(self.blobs.get(bytes.fromhex(blob)))

    def content(self, report: str) -> bytes:
        """The document of a report as it was stored: byte by byte. Raises `NotFound`, `Corrupt`."""
        return self.blobs.get(reports.document_of(self.database, report))

    def document(self, report: str) -> ReportDocument:
        """The document of a report."""
        return msgspec.json.decode(self.content(report), type=ReportDocument)

    def review(self, report: str) -> ReviewDetail:
        """All that is needed to finish a report by hand. Raises `NotFound` where there is no document yet."""
        document, (detail, tried) = self.document(report), reports.detail(self.database, report)
        wanted = self.wanted(report)
        known, pattern = self.facts(wanted.facts.hex()), self._pattern(wanted.pattern)
        tries = tuple(msgspec.structs.replace(one.attempt, answer=self._said(one.answer)) for one in tried)
        return ReviewDetail(
            report=msgspec.structs.replace(detail, tries=tries),
            document=document,
            facts=known.shown,
            instructions=pattern.system,
            schema=pattern.schema,
        )

    def _said(self, blob: bytes) -> str:
        return self.blobs.get(blob).decode("utf-8", "replace")[:MAX_SAID] if blob else ""

    # -----------------------------------------------------------------------------------------------------------------

    def _pattern(self, name: str) -> Pattern:
        """A pattern that was chosen before; one that a user has taken away since is not there."""
        found = self.patterns.get(name)
        if found is None:
            raise NotFound(f"The pattern {name} is not there any more.", reason="unknown_pattern")
        return found

    def _since(self, began: datetime) -> float:
        return max((self.clock() - began).total_seconds(), 0.0)

    def _tried(self, report: str, number: int, outcome: Outcome, asked: Prompt) -> Outcome:
        kept = self.blobs.put(_written(asked).encode())
        attempt = Attempt(
            number=number,
            at=self.clock(),
            provider=outcome.provider,
            model=outcome.model,
            label=outcome.label,
            reasons=outcome.reasons,
        )
        reports.attempted(
            self.database, report, attempt, kept, bytes.fromhex(outcome.answer) if outcome.answer else None
        )
        return outcome

    def _document(
        self,
        wanted: Wanted,
        known: Facts,
        pattern: Pattern,
        *,
        sections: tuple[Section, ...],
        by: Literal["model", "rules", "person"],
        complete: bool,
        why: str,
        provider: str = "",
        model: str = "",
        label: str = "",
        attempts: int,
    ) -> ReportDocument:
        cited = (cite for section in sections for statement in section.statements for cite in statement.cites)
        return ReportDocument(
            format=FORMAT,
            id=wanted.id,
            version=wanted.version,
            kind=wanted.target.kind,
            target=wanted.target.value,
            question=wanted.question,
            pattern=pattern.name,
            title=pattern.title,
            purpose=pattern.purpose,
            made=known.at,
            account=wanted.account,
            by=by,
            complete=complete,
            why=why,
            provider=provider,
            model=model,
            label=label,
            attempts=attempts,
            sections=sections,
            shown=pattern.tables,
            tables=known.tables,
            records=known.titled(cited),
            notes=known.notes,
        )

    def _made(self, document: ReportDocument, known: Facts, state: State) -> Made:
        data = msgspec.json.encode(document)
        by: Author = document.by
        return Made(
            state=state,
            by=by,
            title=f"{document.title}: {document.target}"[:300],
            why=document.why[:1000],
            provider=document.provider,
            model=document.model,
            attempts=document.attempts,
            document=self.blobs.put(data),
            size=len(data),
            ips=tuple(host.ip for host in known.tables.hosts),
            observations=tuple(scan.observation_id for scan in known.tables.scans),
        )


def _why(last: Outcome, attempts: int) -> str:
    said = " ".join(last.reasons)[:600]
    if last.kind == "none":
        return said
    if last.kind == "away":
        return f"No model answered in {attempts} attempts: {said}"
    if last.kind == "refused":
        return f"The model refuses what it was asked: {said}"
    return f"No answer of {attempts} held: {said}"


def _written(asked: Prompt) -> str:
    """A prompt as text, for a person who goes on where models failed."""
    return "\n\n".join(
        f"## {message.role}\n{''.join(fragment.text for fragment in message.fragments)}" for message in asked.messages
    )


def _checked(statement: Statement, known: Facts, where: str) -> Statement:
    """A statement of a person, its references as ids of records."""
    cites = tuple(dict.fromkeys(known.refs.get(cite, cite) for cite in statement.cites))[:MAX_CITES]
    for cite in cites:
        if cite not in known.known:
            raise BadRequest(
                f"{cite[:80]!r} is nothing that this report was made of.",
                field=f"{where}.cites",
                hint="`spectra reports review ID` shows what is.",
            )
    text = answers.clean(statement.text)
    if not text:
        raise BadRequest("It says nothing.", field=f"{where}.text")
    return msgspec.structs.replace(statement, text=text, title=answers.clean(statement.title), cites=cites)
