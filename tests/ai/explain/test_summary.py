"""Whatever a model does, a summary comes in time: the model's where every sentence holds, else the rules'."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from spectra.ai.explain.summary import Explainer
from spectra.ai.gateway.books import NoBooks, StoreBooks
from spectra.ai.gateway.gateway import Gateway
from spectra.errors import NotFound
from spectra.intel.explain import explain
from spectra.model.ai import Answer, Prompt
from spectra.model.summaries import AiSummary, Claim, Target
from spectra.settings.ai import AiSettings, ProviderSettings
from tests.ai.retrieval.town import IP, LOOKUP, NAME, NOW, REGRESSION, Alike, Town
from tests.store.scribe import host, seen
from tests.support.llms import FaultyModel, Mode, Reply, Seen

pytestmark = pytest.mark.engine

HOST = Target("ip", IP)
REF = re.compile(r"\[(F\d+)\] (.*)")


@pytest.fixture(scope="module")
def model() -> Iterator[FaultyModel]:
    """A model's server that fails as it is told to."""
    with FaultyModel() as served:
        yield served


Make = Callable[..., Explainer]


@pytest.fixture
def make(town: Town, model: FaultyModel) -> Iterator[Make]:
    """Makes summaries of the town by that model; `deadline_s` is for what is to be given up."""
    gateways: list[Gateway] = []
    model.freed.clear()
    model.requests.clear()
    model.script.clear()

    def made(deadline_s: float = 60.0, residency: Any = "machine", **options: Any) -> Explainer:
        local = ProviderSettings(opt_in=True, residency=residency, url=model.url, model="faulty", timeout_s=60)
        free_text = options.get("free_text", "local")
        books = NoBooks() if residency == "machine" else StoreBooks(town.database)
        gateway = Gateway(AiSettings(local=local, free_text=free_text), b"k" * 32, books, lambda: NOW)
        gateways.append(gateway)
        return Explainer(gateway, town.sources, explain, lambda: NOW, deadline_s=deadline_s, **options)

    yield made
    model.free()
    for gateway in gateways:
        gateway.close()


def facts_of(seen: Seen) -> dict[str, str]:
    """The facts that a request told, by reference."""
    said = seen.json["messages"][-1]["content"]
    return {found[1]: found[2] for line in said.splitlines() if (found := REF.fullmatch(line))}


def ref(seen: Seen, words: str) -> str:
    """The reference of the fact with these words."""
    return next(ref for ref, text in facts_of(seen).items() if words in text)


def well(seen: Seen) -> Reply:
    """An answer that holds."""
    gate, finding = ref(seen, "Host "), ref(seen, f"Finding {REGRESSION}")
    return Reply(
        json.dumps({
            "summary": [{"says": f"{IP} is a gate.", "cites": [gate]}],
            "risks": [{"level": "high", "says": f"{REGRESSION} is exploited.", "cites": [finding, gate]}],
            "next_steps": [{"says": "Update OpenSSH.", "cites": [finding]}],
        })
    )  # fmt: skip


def ill(seen: Seen) -> Reply:
    """The same, but it cites what it was not told, and names what no fact does."""
    gate = ref(seen, "Host ")
    return Reply(
        json.dumps({
            "summary": [{"says": "It is a gate.", "cites": ["F99"]}],
            "risks": [{"level": "low", "says": "CVE-1999-0001 of 203.0.113.77.", "cites": [gate]}],
            "next_steps": [{"says": "Rest.", "cites": []}],
        })
    )  # fmt: skip


def script(model: FaultyModel, *replies: Callable[[Seen], Reply]) -> None:
    """Let it answer these, in turn."""
    model.mode = "scripted"
    model.script.extend(replies)


def holds(summary: AiSummary) -> None:
    """Three parts; each sentence cites records, which are listed."""
    claims: tuple[Claim, ...] = (*summary.summary, *summary.risks, *summary.next_steps)
    assert summary.summary
    assert summary.next_steps
    assert all(claim.says and claim.cites for claim in claims)
    assert {record.id for record in summary.records} == {cited for claim in claims for cited in claim.cites}


def test_a_model_answers_and_its_answer_is_kept(make: Make, model: FaultyModel, town: Town) -> None:
    """It is told facts and a schema; the same facts are not asked about again, a changed one is, by whomever."""
    script(model, well, well, well)
    explainer = make()
    made = explainer.summary(HOST, "alice", "Who logs in?")
    holds(made)
    assert (made.by, made.provider, made.model, made.label) == ("model", "local", "faulty", "LOCAL_ONLY")
    assert (made.attempts, made.cached, made.reason, made.why) == (1, False, "", "")
    assert made.summary == (Claim(f"{IP} is a gate.", (f"host:{IP}",)),)
    assert made.risks[0].cites == (f"finding:{IP}~22~tcp~{REGRESSION}", f"host:{IP}")
    assert f"{REGRESSION} at {IP} 22/tcp" in {record.title for record in made.records}
    asked = model.requests[0]
    assert "Question: Who logs in?" in asked.json["messages"][-1]["content"]
    assert len(asked.json["messages"][-1]["content"].encode()) < 8192 + 200
    assert asked.json["response_format"]["json_schema"]["schema"]["required"] == ["summary", "risks", "next_steps"]
    again = explainer.summary(HOST, "bob", "Who logs in?")
    assert again == msgspec.structs.replace(made, cached=True)
    assert len(model.requests) == 1
    assert not explainer.summary(HOST, "alice").cached
    town.write([host(IP, NOW, seen(22, "ssh", "OpenSSH", "9.9p1"))], at=NOW)
    model.mode = "dead"
    assert explainer.summary(HOST, "alice", "Who logs in?").by == "rules"


def test_an_answer_that_does_not_hold_is_asked_for_again(make: Make, model: FaultyModel) -> None:
    """The model is told why, in words that repeat nothing of it; what was refused is not kept."""
    script(model, ill, well)
    made = make().summary(HOST, "alice")
    assert (made.by, made.attempts) == ("model", 2)
    told = model.requests[1].json["messages"][-1]["content"]
    assert "summary 1 cites F99, which is none of the facts" in told
    assert "risks 1 names a CVE that is in none of the facts" in told
    assert "risks 1 names an address that is in none of the facts" in told
    assert "next_steps 1 cites nothing" in told
    assert "203.0.113.77" not in told


def test_one_that_never_holds_is_given_up(make: Make, model: FaultyModel) -> None:
    """After three answers rules answer, and say what was wrong; nothing of it is kept."""
    script(model, ill, ill, ill, well)
    explainer = make()
    made = explainer.summary(HOST, "alice")
    holds(made)
    assert (made.by, made.reason, made.attempts) == ("rules", "ai_answer_refused", 3)
    assert "cites F99" in made.why
    assert explainer.summary(HOST, "alice").by == "model"


FAULTS: tuple[Mode, ...] = ("dead", "garbage", "wrong_schema", "rate_limited", "broken", "refusing", "forbidden")


@pytest.mark.parametrize("mode", FAULTS)
def test_a_model_that_fails_leaves_the_rules(make: Make, model: FaultyModel, mode: Mode) -> None:
    """The shape is the same, and the reason is told."""
    model.mode = mode
    made = make().summary(HOST, "alice")
    holds(made)
    assert (made.by, made.provider, made.attempts) == ("rules", "", 0)
    assert made.reason.startswith("ai_")
    assert made.why.count("local") == 1


def test_a_model_that_is_slow_is_not_waited_for(make: Make, model: FaultyModel) -> None:
    """The deadline is one for all: the server still holds the request when the rules have answered."""
    model.mode = "slow"
    made = make(deadline_s=0.6).summary(HOST, "alice")
    holds(made)
    assert (made.by, made.reason) == ("rules", "ai_deadline")
    assert not model.freed.is_set()


class Stuck:
    """A gateway that keeps no deadline."""

    def __init__(self) -> None:
        self.ended = threading.Event()

    def answer(self, prompt: Prompt, *, account: str, deadline_s: float) -> Answer:
        """Never."""
        self.ended.wait(30)
        raise ZeroDivisionError


class Broken(Stuck):
    """A gateway with a defect."""

    def answer(self, prompt: Prompt, *, account: str, deadline_s: float) -> Answer:
        """Fails."""
        raise ZeroDivisionError


def test_not_even_a_gateway_that_hangs_or_breaks_is_relied_upon(town: Town) -> None:
    """Rules answer; without a gateway too."""
    stuck = Stuck()
    made = Explainer(stuck, town.sources, explain, lambda: NOW, deadline_s=0.6).summary(HOST, "alice")
    stuck.ended.set()
    assert (made.by, made.reason) == ("rules", "ai_deadline")
    made = Explainer(Broken(), town.sources, explain, lambda: NOW).summary(HOST, "alice")
    assert (made.by, made.reason) == ("rules", "ai_unavailable")
    made = Explainer(None, town.sources, explain, lambda: NOW).summary(HOST, "alice")
    assert (made.by, made.reason) == ("rules", "ai_no_provider")


def test_what_leaves_has_no_private_word(make: Make, model: FaultyModel) -> None:
    """To a provider of the EU facts go with pseudonyms and without raw lines; a question only as the detector has it.
    What comes back speaks of the real ones, and what was withheld cannot be cited.
    """
    refused = make(residency="eu").summary(HOST, "alice", "Is 10.11.12.13 of jdoe safe?")
    assert (refused.by, refused.reason, model.requests) == ("rules", "ai_no_provider", [])
    script(model, pseudonymous)
    made = make(residency="eu", free_text="detected").summary(HOST, "alice", "Is 10.11.12.13 safe?")
    assert (made.by, made.label, made.why) == ("model", "SANITIZED", "")
    assert made.summary[0].says == f"{IP} is a gate."
    sent = model.bytes.lower()
    for private in (b"192.0.2", b"10.11.12.13", b"corp", b"payroll", b"jdoe", b"s3cret", b"00:1b:21", b"64500"):
        assert private not in sent
    assert b"openssh 9.2p1" in sent
    assert all(len(seen.json["messages"][-1]["content"].encode()) < 8192 + 200 for seen in model.requests)


def pseudonymous(seen: Seen) -> Reply:
    """An answer that holds, by what it was told."""
    finding = ref(seen, f"Finding {REGRESSION}")
    known_as = facts_of(seen)["F1"].split()[1]
    claim = [{"says": f"{known_as} is a gate.", "cites": [finding]}]
    return Reply(json.dumps({"summary": claim, "risks": [], "next_steps": claim}))


def test_rules_alone_and_what_may_not_be_told(make: Make, model: FaultyModel, town: Town) -> None:
    """No model is asked, nothing is looked up elsewhere; weaknesses only for who may see them."""
    alike = Alike((LOOKUP, 1, 1))
    explainer = Explainer(None, town.sources._replace(nearest=alike), explain, lambda: NOW)
    ruled = explainer.summary(HOST, "alice", rules=True)
    assert (ruled.by, ruled.reason, alike.asked, model.requests) == ("rules", "ai_not_asked", [], [])
    hidden = explainer.summary(HOST, "alice", findings=False)
    assert "CVE-" not in msgspec.json.encode(hidden).decode()
    for target in (Target("host", NAME), Target("query", "port:22")):
        holds(explainer.summary(target, "alice"))
    with pytest.raises(NotFound):
        make().summary(Target("ip", "203.0.113.1"), "alice")


def test_nothing_is_kept_where_nothing_may_be(make: Make, model: FaultyModel) -> None:
    """With no hours to keep it, each is asked for anew."""
    script(model, well, well)
    explainer = make(cache_hours=0)
    assert not explainer.summary(HOST, "alice").cached
    assert not explainer.summary(HOST, "alice").cached
    assert len(model.requests) == 2
