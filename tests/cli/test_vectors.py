"""`spectra similar`, `spectra feeds vectors` and `vectorize` against the contract."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from spectra.model.records import WorkflowRecord
from spectra.model.similar import EmbedderRecord, SimilarPage, SimilarVuln, Vectorizing, VectorStatus
from tests.cli.conftest import Run
from tests.cli.standin import StandIn

NOW = datetime.now(UTC)
ID = "vectorize-" + "ab" * 16
FOUND = SimilarVuln(
    cve="CVE-2006-5051",
    description="Signal handler race\x1b[2J in OpenSSH",
    severity="high",
    cvss=9.3,
    kev=date(2024, 7, 2),
    products=("openbsd:openssh",),
    score=0.0325,
    text_rank=2,
    vector_rank=1,
    cosine=0.8349,
)
WORDS_ALONE = SimilarVuln(cve="CVE-2001-0144", description="CRC32 attack", score=0.0161, text_rank=1)
PAGE = SimilarPage(similar=(FOUND, WORDS_ALONE), vectors="ready", embedder="lsa-1", words=("race",))
LEARNED = EmbedderRecord(
    id=2, kind="learned", model="lsa-1", dims=256, state="ready", created=NOW, texts=5000, total=5100, done=5100,
    indexed=True,
)  # fmt: skip
SERVICE = EmbedderRecord(
    id=3, kind="service", model="nomic", place="127.0.0.1:11434", dims=768, state="filling", created=NOW, total=5100,
    done=100,
)  # fmt: skip


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever watches looks often."""
    monkeypatch.setattr("spectra.cli.workflows.WATCH_EVERY_S", 0.001)


def test_a_text_or_a_cve_is_asked_for(run: Run, server: StandIn) -> None:
    """What looks like an id is one; words need no quotes; filters go along."""
    server.say("GET", "/v0/vulns/similar", PAGE)
    result = run("similar", "cve-2024-6387", "--kev", "-k", 5)
    assert "CVE-2006-5051" in result.out
    assert "0.83" in result.out
    assert "\x1b[2J" not in result.out
    run("similar", "race", "in", "sshd", "--severity", "high", "--min-cvss", 7.5, "--no-kev")
    first, second = (request.params for request in server.asked("/v0/vulns/similar"))
    assert first == {"cve": "cve-2024-6387", "k": "5", "kev": "true"}
    assert second == {"text": "race in sshd", "k": "20", "severity": "high", "min_cvss": "7.5", "kev": "false"}


def test_for_programs(run: Run, server: StandIn) -> None:
    """Whole records as JSON lines, the explanation among them; chosen columns as CSV."""
    server.say("GET", "/v0/vulns/similar", PAGE)
    lines = [json.loads(line) for line in run("similar", "race", "--json").out.splitlines()]
    assert [(one["cve"], one["text_rank"], one.get("vector_rank")) for one in lines] == [
        ("CVE-2006-5051", 2, 1),
        ("CVE-2001-0144", 1, None),
    ]
    out = run("similar", "race", "--csv", "--fields", "cve,text_rank,vector_rank,score").out
    assert out.splitlines()[1:] == ["CVE-2006-5051,2,1,0.0325", "CVE-2001-0144,1,,0.0161"]


@pytest.mark.parametrize(
    ("page", "said"),
    [(SimilarPage(similar=(), vectors="ready"), "Nothing is like it."),
     (SimilarPage(similar=(WORDS_ALONE,), vectors="none"), "not there yet"),
     (SimilarPage(similar=(WORDS_ALONE,), vectors="filling"), "being made"),
     (SimilarPage(similar=(WORDS_ALONE,), vectors="ready", note="By words alone: it is away."), "it is away.")],
)  # fmt: skip
def test_what_an_answer_lacks_is_said(run: Run, server: StandIn, page: SimilarPage, said: str) -> None:
    """Beside the answer, so that programs do not read it."""
    server.say("GET", "/v0/vulns/similar", page)
    result = run("similar", "race")
    assert said in result.err
    assert said not in result.out


def test_how_vectors_stand(run: Run, server: StandIn) -> None:
    """Which embedder answers, which is being filled, and how many texts are to go."""
    server.say("GET", "/v0/vulns/vectors", VectorStatus("ready", 5000, LEARNED, SERVICE))
    out = run("feeds", "vectors").out
    assert "lsa-1, learned from 5,000 texts answers: 5,100 of 5,100 texts, 256 dimensions, indexed." in out
    assert "nomic at 127.0.0.1:11434 is being filled: 100 of 5,100 texts" in out
    assert "5,000 texts to go." in out
    assert json.loads(run("feeds", "vectors", "--json").out)["ready"]["id"] == 2
    server.say("GET", "/v0/vulns/vectors", VectorStatus("none", 0))
    assert run("feeds", "vectors").out == "There are no vectors: similar CVEs are found by words alone.\n"


def workflow(status: str, done: int = 0, error: str = "") -> WorkflowRecord:
    """The workflow in some state."""
    told: Any = status
    return WorkflowRecord(ID, "wf.vuln_vectorize", told, NOW, NOW, error=error, done=done, total=40)


def test_vectors_are_brought_up_to_date(run: Run, server: StandIn) -> None:
    """Begun, or followed to its end, which may be a failure."""
    server.say("POST", "/v0/vulns/vectorize", Vectorizing(ID, True, 40))
    result = run("feeds", "vectorize", "--anew")
    assert result.out == f"40 texts without a vector, workflow {ID}\n"
    assert server.asked("/v0/vulns/vectorize")[0].params == {"anew": "true"}
    server.say("GET", f"/v0/workflows/{ID}", workflow("running", 20), workflow("done", 40))
    assert run("feeds", "vectorize", "--watch").out == "done, 40 texts looked at\n"
    server.say("POST", "/v0/vulns/vectorize", Vectorizing(ID, False, 40))
    server.say("GET", f"/v0/workflows/{ID}", workflow("failed", 20, "who are you?"))
    failed = run("feeds", "vectorize", "--watch")
    assert (failed.code, failed.out) == (1, "failed: who are you?\n")
    assert "One is running already." in failed.err
