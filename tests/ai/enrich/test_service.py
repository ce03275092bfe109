"""The enrichment agent at work on a database, with a web of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from spectra.ai.enrich.fetching import FetchRefused
from spectra.ai.enrich.service import AT_ONCE, Enricher, Has
from spectra.errors import BadRequest, NotFound, Unavailable
from spectra.flow.insights import Insights
from spectra.model.enrichment import EnrichAsk, Enrichment
from spectra.store import insights
from spectra.store.blobs import BlobStore
from spectra.store.database import Database
from tests.ai.enrich.conftest import Making
from tests.ai.enrich.office import CVE, Office, kev, note, now, nvd, office, places
from tests.ai.gateway.desk import at, desk
from tests.ai.retrieval.town import IP, Town
from tests.store.weak import JUDGE
from tests.support.llms import FaultyModel
from tests.support.webs import Web

pytestmark = pytest.mark.engine


@pytest.fixture
def at_work(database: Database, web: Web, tmp_path: Path) -> Iterator[Office]:
    """The agent, without a model, where places know the CVE of a small town."""
    web.sites |= {f"/nvd?cveId={CVE}": nvd(CVE, "A race in sshd."), "/kev.json": kev(CVE)}
    with office(database, web, tmp_path) as one:
        yield one


def enriched(one: Office, kind: Literal["ip", "cve"], value: str) -> Enrichment:
    """What comes of it."""
    return one.enricher.enrich(EnrichAsk(kind, value), "alice")


def test_a_cve_that_nobody_here_knew(at_work: Office) -> None:
    """Is looked up, concluded and kept, signed, with its pages; a second time it is the same insight, seen again."""
    found = enriched(at_work, "cve", CVE.lower())
    assert [record.insight.title for record in found.insights] == [f"{CVE}: known to be exploited since 2024-07-08"]
    assert len(found.sources) == 2
    assert {failed.reason for failed in found.failed} == {"fetch_failed"}
    for source in found.sources:
        assert len(at_work.blobs.get(bytes.fromhex(source.sha256))) == source.size
    at_work.web.sites.clear()
    assert enriched(at_work, "cve", CVE).insights == ()  # nobody answers: what was found out stays
    at_work.web.sites |= {f"/nvd?cveId={CVE}": nvd(CVE, "A race in sshd."), "/kev.json": kev(CVE)}
    again = enriched(at_work, "cve", CVE)
    kept = insights.get(at_work.database, found.insights[0].insight.id)
    assert again.insights[0].insight.id == kept.insight.id
    assert kept.times == 2


def test_the_findings_of_a_host(at_work: Office) -> None:
    """Their CVEs, the most urgent first; each insight is about its findings too, and stays here."""
    Town(at_work.database)
    at_work.web.sites["/nvd?cveId=CVE-2023-38408"] = nvd("CVE-2023-38408", "Libraries are loaded.", score=5.0)
    found = enriched(at_work, "ip", f"::ffff:{IP}")
    told = {record.insight.key: record.insight for record in found.insights}
    assert list(told) == [CVE, "CVE-2023-38408"]
    assert told[CVE].subjects == (f"cve:{CVE}", f"finding:{IP}~22~tcp~{CVE}")
    assert told[CVE].label == "LOCAL_ONLY"
    assert IP not in repr([msgspec.to_builtins(source) for source in found.sources])
    assert all(IP not in path for path in at_work.web.asked)
    assert at_work.web.asked.count("/kev.json") == 1


def test_a_model_adds_its_note(database: Database, web: Web, tmp_path: Path) -> None:
    """Beside what the rules concluded; where the first CVE shows that none answers, no more are asked."""
    web.sites[f"/nvd?cveId={CVE}"] = nvd(CVE, "A race in sshd.")
    Town(database)
    with FaultyModel("scripted") as model, office(database, web, tmp_path, local=at(model.url)) as one:
        for answer in ("done", note("Update."), "done", note("Old.", "D1")):
            model.say(answer)
        found = enriched(one, "ip", IP)
        assert {record.insight.key: record.insight.note for record in found.insights}[CVE] == "Update."
        assert found.by == "model"
        model.mode = "broken"
        model.requests.clear()
        assert enriched(one, "ip", IP).why == "ai_unavailable"
        assert len(model.requests) == 1


def test_what_cannot_be_asked_for(at_work: Office) -> None:
    """Nothing is looked up for it."""
    for value in ("CVE-1", f"{CVE} OR 1", "router"):
        with pytest.raises(BadRequest):
            enriched(at_work, "cve", value)
        with pytest.raises(BadRequest):
            enriched(at_work, "ip", value)
    with pytest.raises(NotFound):
        enriched(at_work, "ip", "203.0.113.9")
    assert at_work.web.asked == []


def test_it_is_off_unless_allowed(database: Database, web: Web, making: Making, tmp_path: Path) -> None:
    """And says how to allow it."""
    with desk() as (gateway, _):
        keeps = Insights(database, tmp_path, clock=now)
        has = Has(database, BlobStore.local(tmp_path), making(on=False), places(web), keeps, JUDGE, now)
        with pytest.raises(FetchRefused, match="SPECTRA_AI__FETCH") as refused:
            Enricher(gateway, has, deadline_s=1).enrich(EnrichAsk("cve", CVE), "alice")
    assert refused.value.reason == "fetch_off"


def test_few_at_once(at_work: Office) -> None:
    """Others are told to come again; a run that fails gives its place back."""
    for _ in range(AT_ONCE):
        at_work.enricher._places.acquire()
    with pytest.raises(Unavailable) as busy:
        enriched(at_work, "cve", CVE)
    assert busy.value.reason == "busy"
    for _ in range(AT_ONCE):
        at_work.enricher._places.release()
    assert enriched(at_work, "cve", CVE).insights
