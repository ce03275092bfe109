"""Making a report step by step, without the engine; the whole way is in tests/flow/test_reportflow.py."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from spectra.ai.gateway.errors import NoModel
from spectra.ai.patterns import loading
from spectra.ai.reports.reporter import Outcome, Reporter
from spectra.errors import BadRequest, NotFound
from spectra.intel.explain import explain
from spectra.model.ai import Answer, Prompt
from spectra.model.reports import Finish, Statement
from spectra.model.summaries import Target
from spectra.store import reports
from spectra.store.accounts import Act
from spectra.store.blobs import BlobStore
from spectra.store.database import Database
from tests.ai.retrieval.town import IP, NOW, Town
from tests.flow.reportdesk import answer

pytestmark = pytest.mark.engine

ACT = Act("alice", NOW)
Said = Callable[[Prompt], Answer]


class Scripted:
    """Says what it is told to."""

    def __init__(self, say: Said) -> None:
        self.say = say
        self.asked: list[tuple[Prompt, str, float]] = []

    def answer(self, prompt: Prompt, *, account: str, deadline_s: float) -> Answer:
        """The next answer."""
        self.asked.append((prompt, account, deadline_s))
        return self.say(prompt)


@pytest.fixture
def make(database: Database, tmp_path: Path) -> Callable[[Said | None], Reporter]:
    """Reporters of a small town."""
    sources = Town(database).sources
    blobs = BlobStore.local(tmp_path)

    def clock() -> datetime:
        return NOW

    def made(say: Said | None) -> Reporter:
        gateway = Scripted(say) if say else None
        return Reporter(gateway, sources, blobs=blobs, patterns=loading.load(), rules=explain, clock=clock)

    return made


Make = Callable[[Said | None], Reporter]


def asked(reporter: Reporter, *, rules: bool = False) -> tuple[str, str]:
    """A report that was asked for, and the blob of its facts."""
    report = reports.ask(reporter.database, Target("ip", IP), "full", "", ACT, rules=rules).id
    return report, reporter.gather(report)


def test_the_pattern_suits_the_target(make: Make) -> None:
    """That of the newest scan where none is named; an unknown one is refused with those there are."""
    reporter = make(None)
    assert reporter.pattern("", Target("ip", IP)).name == "services"
    assert reporter.pattern("web", Target("ip", IP)).name == "web"
    with pytest.raises(BadRequest, match="no pattern"):
        reporter.pattern("odd", Target("ip", IP))
    with pytest.raises(NotFound):
        reporter.pattern("web", Target("ip", "192.0.2.99"))


def test_an_attempt_is_kept_with_what_was_asked(make: Make) -> None:
    """The prompt, the answer, what does not hold of it; the account pays, within the time that is left."""
    reporter = make(lambda _: Answer("{", provider="local", model="m", finish="length"))
    report, found = asked(reporter)
    outcome = reporter.attempt(report, 1, found, (), left_s=7.0)
    assert (outcome.kind, outcome.reasons) == ("wrong", ("It is not one JSON object.", "It was cut off: be shorter."))
    _, tried = reports.detail(reporter.database, report)
    assert reporter.blobs.get(tried[0].answer) == b"{"
    assert b"## system" in reporter.blobs.get(tried[0].prompt)
    assert reporter.write(report, found, [outcome]) == "incomplete"
    assert reporter.review(report).report.tries[0].answer == "{"


@pytest.mark.parametrize(
    ("reason", "kind", "state"),
    [("ai_no_provider", "none", "done"), ("ai_budget", "none", "done"), ("ai_deadline", "away", "incomplete")],
)
def test_why_no_model_answered_decides(make: Make, reason: str, kind: str, state: str) -> None:
    """Where none may, rules write a whole report; where one might have, a person may still want to look."""

    def say(_: Prompt) -> Answer:
        raise NoModel("No model.", reason=reason)  # type: ignore[arg-type]

    reporter = make(say)
    report, found = asked(reporter)
    outcome = reporter.attempt(report, 1, found, (), left_s=1.0)
    assert outcome.kind == kind
    assert reporter.write(report, found, [outcome]) == state
    assert "No model." in reporter.document(report).why


def test_rules_alone_may_be_asked_for(make: Make) -> None:
    """Then no model is."""
    reporter = make(lambda _: Answer(answer()))
    report, found = asked(reporter, rules=True)
    outcome = reporter.attempt(report, 1, found, (), left_s=1.0)
    assert (outcome.kind, reporter.write(report, found, [outcome])) == ("none", "done")
    assert make(None).attempt(report, 1, found, (), left_s=1.0).kind == "none"


def test_what_is_written_is_written_once(make: Make) -> None:
    """A step that runs again after a crash changes nothing."""
    reporter = make(lambda _: Answer(answer(), provider="local", model="m"))
    report, found = asked(reporter)
    outcome = reporter.attempt(report, 1, found, (), left_s=1.0)
    assert outcome.kind == "holds"
    assert reporter.write(report, found, [outcome]) == "done"
    first = reporter.content(report)
    assert reporter.write(report, found, [Outcome(kind="away")]) == "done"
    assert reporter.content(report) == first
    assert reporter.fail(report, "late") == "done"


def test_a_person_cites_what_there_is(make: Make) -> None:
    """References or ids; what is no section, no record or says nothing is refused by name."""
    reporter = make(None)
    report, found = asked(reporter)
    with pytest.raises(NotFound):
        reporter.review(report)
    reporter.write(report, found, [Outcome(kind="wrong", reasons=("x",))])
    new = f"report-{'0' * 20}"

    def finish(name: str, *said: Statement) -> reports.ReportRecord:
        return reporter.finish(report, new, Finish(sections={name: said}, note="as I saw"), Act("bob", NOW))

    for name, statement, field in (
        ("odd", Statement("a"), "sections.odd"),
        ("risks", Statement("a", ("host:10.0.0.1",)), "sections.risks[0].cites"),
        ("risks", Statement("\x1b"), "sections.risks[0].text"),
    ):
        with pytest.raises(BadRequest) as caught:
            finish(name, statement)
        assert caught.value.field == field
    finish("risks", Statement("Seen.", ("F1", f"host:{IP}"), weight="low"))
    document = reporter.document(new)
    assert (document.why, document.account, document.version) == ("as I saw", "bob", 2)
    risks = next(section for section in document.sections if section.id == "risks")
    assert f"host:{IP}" in risks.statements[0].cites
