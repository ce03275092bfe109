"""Similar CVEs over HTTP: what may be asked, by whom, and the workflow that makes the vectors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from spectra.model.tiers import Policy
from spectra.model.vulns import Metric, VulnRecord
from spectra.store.vulnwrite import Writer
from tests.api.node import Node, is_problem
from tests.store.corpus import KNOWLEDGE
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine

RACE, OTHER, FAR = (f"CVE-2032-{number}" for number in (8001, 8002, 8003))
RECORDS = [
    VulnRecord(RACE, "nvd", description="Race in quuxd's signal handler.", metrics=(Metric("3.1", 8.1, "high"),)),
    VulnRecord(OTHER, "nvd", description="Signal handler race of quuxd.", metrics=(Metric("3.1", 5.0, "medium"),)),
    VulnRecord(FAR, "nvd", description="Cross-site scripting in quuxweb."),
]  # fmt: skip


@pytest.fixture(scope="module")
def vectored(node: Node) -> Node:
    """The node with a few CVEs more, and vectors of all of them."""
    with node.services.database.transaction() as connection:
        Writer(connection, KNOWLEDGE, datetime.now(UTC) + timedelta(hours=2)).write(RECORDS)
    begun = node.ask("POST", "/v0/vulns/vectorize")
    assert begun.status_code == 202, begun.text
    path = f"/v0/workflows/{begun.json()['workflow_id']}"
    eventually(lambda: node.get(path).json()["status"] == "done")
    record = node.get(path).json()
    assert (record["name"], record["done"]) == ("wf.vuln_vectorize", record["total"])
    return node


def test_what_is_alike_is_found_and_explained(vectored: Node) -> None:
    """By a text, or by another CVE that is not among its own neighbours; filters narrow."""
    page = vectored.get("/v0/vulns/similar", text="race in the signal handler of quuxd", k=3).json()
    assert (page["vectors"], page["embedder"]) == ("ready", vectored.get("/v0/vulns/vectors").json()["ready"]["model"])
    assert {one["cve"] for one in page["similar"][:2]} == {RACE, OTHER}
    first = page["similar"][0]
    assert (first["text_rank"], first["vector_rank"]) in [(1, 1), (1, 2), (2, 1)]
    assert 0 < first["cosine"] <= 1
    assert "quuxd" in page["words"]
    page = vectored.get("/v0/vulns/similar", cve=RACE.lower(), k=5).json()
    assert page["cve"] == RACE
    assert page["similar"][0]["cve"] == OTHER
    assert RACE not in {one["cve"] for one in page["similar"]}
    page = vectored.get("/v0/vulns/similar", text="quuxd race", severity="high", min_cvss=8, kev=False).json()
    assert page["similar"][0]["cve"] == RACE
    assert {one["severity"] for one in page["similar"]} <= {"high"}


def test_how_vectors_stand_is_told(vectored: Node) -> None:
    """To whoever may read of weaknesses."""
    status = vectored.get("/v0/vulns/vectors", "read-only").json()
    assert (status["vectors"], status["behind"]) == ("ready", 0)
    assert status["ready"]["done"] >= len(RECORDS)


@pytest.mark.parametrize(
    ("params", "field"),
    [({}, "text"), ({"text": "a", "cve": RACE}, "text"), ({"text": " "}, "text"),
     ({"text": "x" * 4001}, "text"), ({"cve": "CVE-1"}, "cve"), ({"text": "a", "k": 0}, "k"),
     ({"text": "a", "k": 201}, "k"), ({"text": "a", "severity": "awful"}, "severity"),
     ({"text": "a", "min_cvss": 11}, "min_cvss")],
)  # fmt: skip
def test_what_cannot_be_asked_is_named(node: Node, params: dict[str, str], field: str) -> None:
    """The parameter that is off."""
    assert is_problem(node.get("/v0/vulns/similar", **params), 400, "bad_request")["field"] == field


def test_unknown_cves_are_not_found(node: Node) -> None:
    """404, and where to look."""
    is_problem(node.get("/v0/vulns/similar", cve="CVE-2032-9999"), 404, "not_found")


def test_who_may_ask(node: Node) -> None:
    """Readers of weaknesses who are Pro; making vectors is for who may change feeds."""
    is_problem(node.get("/v0/vulns/similar", "module", text="a"), 403, "forbidden")
    is_problem(node.get("/v0/vulns/similar", "", text="a"), 401, "unauthenticated")
    is_problem(node.ask("POST", "/v0/vulns/vectorize", "read-only"), 403, "forbidden")
    with node.variant(tiers=Policy(mode="earned", threshold=10)) as strict:
        assert strict.get("/v0/vulns/similar", "user", text="a").status_code == 402
