"""A model that reads, looks further and writes a note: its turns, and what counts as a note."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from spectra.ai.enrich.asking import MAX_READ, Agent, Told, checked
from spectra.ai.enrich.lookups import Lookups
from spectra.ai.enrich.toolbox import MAX_CALLS, Toolbox
from spectra.ai.gateway.errors import NoModel
from spectra.model.ai import local
from spectra.store.blobs import BlobStore
from tests.ai.enrich.conftest import Making
from tests.ai.enrich.office import CVE, kev, note, places
from tests.ai.gateway.desk import at, desk
from tests.support.llms import FaultyModel
from tests.support.webs import Web

TOLD = (Told("D1", "what NVD says", "A race in sshd."), Told("D2", "what OSV says", "Fixed in 9.8."))


@pytest.fixture(scope="module")
def model() -> Iterator[FaultyModel]:
    """A model that says what a test scripted."""
    with FaultyModel("scripted") as faulty:
        yield faulty


@pytest.fixture
def agent(model: FaultyModel) -> Iterator[Agent]:
    """Asks it, through a gateway."""
    model.script.clear()
    model.requests.clear()
    with desk(local=at(model.url)) as (gateway, _):
        yield Agent(gateway, "alice", ends=time.monotonic() + 30)


@pytest.fixture
def box(making: Making, web: Web, tmp_path: Path) -> Toolbox:
    """Its tools."""
    web.sites["/kev.json"] = kev(CVE)
    return Toolbox(Lookups(making(), places(web), BlobStore.local(tmp_path), "alice"), {CVE}, [])


def test_it_looks_further_and_writes(agent: Agent, model: FaultyModel, box: Toolbox) -> None:
    """What a tool answered is read in the next turn, and may be cited; what the model said before is in none."""
    model.say("I shall look. MARKER", calls=[("exploit_references", {"cve": CVE})])
    model.say("done")
    model.say(note("Exploited; update.", "D1", "D3", "D1"))
    said = agent.note(CVE, TOLD, [local("22/tcp | OpenSSH", droppable=True)], box, ["https://example.org/a"])
    assert (said.text, said.provider, said.cites) == ("Exploited; update.", "local", ("D1", "D3"))
    first, second, last = [request.json for request in model.requests]
    assert len(first["tools"]) == 4
    assert "https://example.org/a" in first["messages"][1]["content"]
    assert "known to be exploited" not in first["messages"][1]["content"]
    assert "[D3] what a tool answered\nCISA: known to be exploited" in second["messages"][1]["content"]
    assert "tools" not in last
    assert last["response_format"]["type"] == "json_schema"
    assert "22/tcp | OpenSSH" in last["messages"][1]["content"]
    assert all("MARKER" not in json.dumps(request) for request in (second, last))


def test_it_calls_a_few_times_and_no_more(agent: Agent, model: FaultyModel, box: Toolbox) -> None:
    """However many it asks for at once; then it has to write."""
    for _ in range(4):
        model.say(calls=[("exploit_references", {"cve": CVE})] * 5)
    model.script.pop()
    model.script.pop()
    model.say(note())
    agent.note(CVE, TOLD, [], box, [])
    assert box.calls == MAX_CALLS
    assert len(model.requests) == 3


def test_a_wrong_note_is_asked_for_again(agent: Agent, model: FaultyModel, box: Toolbox) -> None:
    """With what was wrong, in words of ours."""
    model.say("done")
    model.say(note("x", "D7"))
    model.say(note("Better.", "D2"))
    assert agent.note(CVE, TOLD, [], box, []).text == "Better."
    assert "cited D7, which there is not" in model.requests[-1].json["messages"][1]["content"]


def test_what_is_read_is_bounded(agent: Agent, model: FaultyModel, box: Toolbox) -> None:
    """What comes last is cut."""
    model.say("done")
    model.say(note())
    agent.note(CVE, [*TOLD, Told("D3", "a page", "y" * MAX_READ), Told("D4", "a page", "z" * 100)], [], box, [])
    sent = model.requests[-1].json["messages"][1]["content"]
    assert len(sent) < MAX_READ + 2000
    assert "[D4] a page\n\ndata" in sent


def test_its_time_is_one(model: FaultyModel, box: Toolbox) -> None:
    """When it is up, no model is asked any more."""
    model.requests.clear()
    with desk(local=at(model.url)) as (gateway, _), pytest.raises(NoModel):
        Agent(gateway, "alice", ends=time.monotonic() - 1).note(CVE, TOLD, [], box, [])
    assert model.requests == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not the JSON object"),
        ('{"note": 1}', "not the JSON object"),
        (note("x" * 1501), "not the JSON object"),
        (note("x", exploited="perhaps"), "not the JSON object"),
        (note("x", "D1", "D8"), "cited D8"),
        ("}{", "not the JSON object"),
    ],
)
def test_what_is_no_note(text: str, why: str) -> None:
    """The reason names no word of the model's but references."""
    with pytest.raises(ValueError, match=why):
        checked(text, {"D1"})


def test_words_around_a_note_are_forgiven() -> None:
    """Models like to talk."""
    assert checked(f"Here it is:\n```json\n{note('A note.')}\n```", {"D1"}).note == "A note."
