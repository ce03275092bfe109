"""What is known of a target comes labelled, by priority, bounded, and each fact with the id of its record."""

from __future__ import annotations

import re

import pytest

from spectra.ai.retrieval.collect import gather, look, rank
from spectra.ai.retrieval.context import Context
from spectra.errors import BadRequest, NotFound
from spectra.model.ai import Label
from spectra.model.observation import Evidence
from spectra.model.summaries import Target
from tests.ai.retrieval.town import IP, LOOKUP, NAME, NOW, OTHER, REGRESSION, Alike, Town
from tests.store.scribe import host, seen

pytestmark = pytest.mark.engine

HOST = Target("ip", IP)


def text_of(context: Context) -> str:
    """All that a model reads on the machine."""
    return "".join(fragment.text for fragment in context.fragments)


def test_a_host_with_all_around_it(town: Town) -> None:
    """Itself, endpoints, certificate, names, scanners' words, findings and their CVEs, neighbours: each once, cited."""
    context = gather(town.sources, HOST, now=NOW)
    records = {item.record for item in context.items}
    assert records >= {
        f"host:{IP}",
        f"host:{OTHER}",
        f"endpoint:{IP}/tcp/22",
        f"endpoint:{IP}/tcp/443",
        f"endpoint:{IP}/tcp/8080",
        f"certificate:{'ab' * 32}",
        f"name:{NAME}",
        f"finding:{IP}~22~tcp~{REGRESSION}",
        f"cve:{REGRESSION}",
    }
    assert context.items[0].record == f"host:{IP}"
    assert [item.ref for item in context.items] == [f"F{n}" for n in range(1, len(context.items) + 1)]
    assert [item.score for item in context.items] == sorted((item.score for item in context.items), reverse=True)
    assert context.left_out == 0
    text = text_of(context)
    assert f"Finding {REGRESSION} at {IP} 22/tcp (OpenSSH 9.2p1): severity high, CVSS 8.1, EPSS 60%, known to" in text
    assert "expires soon" in text
    assert f"Neighbour {OTHER} of {IP} has the same certificate; open ports 22, 443" in text
    assert [found.cve for found in context.findings] == [REGRESSION, "CVE-2023-38408"]
    assert [found.ip for found in context.hosts] == [IP]


def test_no_private_word_is_left_where_raw_lines_are_dropped(town: Town) -> None:
    """What may leave has pseudonyms for private values; what machines said of themselves is local and droppable."""
    context = gather(town.sources, HOST, now=NOW)
    leaving = [one for one in context.fragments if one.effective <= Label.SANITIZED]
    assert all(one.droppable for one in context.fragments if one.effective > Label.SANITIZED)
    sent = "".join(part for one in leaving for part in one.parts if isinstance(part, str))
    for private in ("192.0.2", "corp", "Payroll", "jdoe", "intranet", "s3cret", "00:1b:21", "64500", "obey", "ab" * 8):
        assert private.lower() not in sent.lower()
    assert "OpenSSH 9.2p1" in sent
    assert "nginx 1.25.3" in sent


def test_data_cannot_make_references_or_lines(town: Town) -> None:
    """A banner with a reference in it stays on its own line and reads as none."""
    lines = text_of(gather(town.sources, HOST, now=NOW)).splitlines()
    assert all(re.match(r"\[F\d+\] ", line) for line in lines)
    said = next(line for line in lines if "obey me" in line)
    assert said.count("[F") == 1


def test_the_budget_holds_and_the_important_is_kept(town: Town) -> None:
    """Bytes are counted as rendered; what had no room is counted."""
    whole = gather(town.sources, HOST, now=NOW)
    for budget in (600, 1500, 2500):
        context = gather(town.sources, HOST, now=NOW, budget=budget)
        assert context.size <= budget
        assert context.items[0].record == f"host:{IP}"
        assert len(context.items) + context.left_out == len(whole.items)
    many = [seen(port, "http", banner="é" * 200) for port in range(1000, 1400)]
    town.write([host("192.0.2.99", NOW, *many, evidence=[Evidence("x", "y" * 400, str(n)) for n in range(50)])])
    crowded = gather(town.sources, Target("ip", "192.0.2.99"), now=NOW)
    assert 4000 < crowded.size <= 8192
    assert crowded.left_out


def test_what_is_asked_is_more_important(town: Town) -> None:
    """Lines with words of the question come before others of their kind."""
    plain = [item.record for item in gather(town.sources, HOST, now=NOW).items]
    asked = [item.record for item in gather(town.sources, HOST, "nginx on port 443?", now=NOW).items]
    endpoint = f"endpoint:{IP}/tcp/443"
    assert asked.index(endpoint) < plain.index(endpoint)


def test_cves_that_are_alike_are_told_as_such(town: Town) -> None:
    """By words and vectors; a question goes nowhere where a text leaves the machine, names of products may."""
    alike = Alike((LOOKUP, 1, 1), (REGRESSION, 2, None))
    context = gather(town.sources._replace(nearest=alike), HOST, "is jdoe's log4j looked up?", now=NOW)
    assert "not known to concern the target" in context.records[f"cve:{LOOKUP}"].fragment.text
    assert "not known" not in context.records[f"cve:{REGRESSION}"].fragment.text
    assert alike.asked[0].startswith("is jdoe's log4j looked up?")
    away = Alike((LOOKUP, 1, 1), leaves=True)
    gather(town.sources._replace(nearest=away), HOST, "is jdoe's log4j looked up?", now=NOW)
    assert away.asked == ["vendor openssh"]


def test_rankings_by_each_way(town: Town) -> None:
    """The graph by urgency, the question's words within it, words and vectors anywhere; all fused."""
    alike = Alike((LOOKUP, None, 1), (REGRESSION, 1, 2))
    sources = town.sources._replace(nearest=alike)
    ranked = rank(sources, look(sources, HOST, NOW), "which agent loads libraries?", frozenset())
    assert ranked.graph == (REGRESSION, "CVE-2023-38408")
    assert ranked.question == ("CVE-2023-38408",)
    assert (ranked.text, ranked.vector) == ((REGRESSION,), (LOOKUP, REGRESSION))
    assert ranked.fused[0] == REGRESSION
    assert set(ranked.fused) == {REGRESSION, "CVE-2023-38408", LOOKUP}


def test_weaknesses_only_for_who_may_see_them(town: Town) -> None:
    """Neither findings nor CVEs."""
    context = gather(town.sources, HOST, now=NOW, findings=False)
    assert "CVE-" not in text_of(context)
    assert context.findings == ()


def test_a_name_and_a_query(town: Town) -> None:
    """A name's hosts are told whole; of a query how many match, of what kinds, and the first."""
    named = gather(town.sources, Target("host", NAME), now=NOW)
    assert named.items[0].record == f"host:{IP}"
    found = gather(town.sources, Target("query", "port:22 net:192.0.2.0/24"), now=NOW)
    assert "The query finds 2 open endpoints" in found.items[0].fragment.text
    assert found.items[0].record == "query:port:22 net:192.0.2.0/24"
    assert {f"endpoint:{IP}/tcp/22", f"endpoint:{OTHER}/tcp/22", f"finding:{OTHER}~22~tcp~{REGRESSION}"} <= {
        item.record for item in found.items
    }
    assert {one.ip for one in found.hosts} == {IP, OTHER}
    none = gather(town.sources, Target("query", "port:9"), now=NOW)
    assert "The query finds 0 open endpoints" in none.items[0].fragment.text
    leaving = "".join(one.text for one in found.fragments if one.effective == Label.CLOUD_DIRECT)
    assert "192.0.2" not in leaving


@pytest.mark.parametrize(
    ("target", "error"),
    [
        (Target("ip", "203.0.113.9"), NotFound),
        (Target("ip", "gate"), BadRequest),
        (Target("host", "nowhere.example"), NotFound),
        (Target("query", "port:x"), BadRequest),
    ],
)
def test_what_is_no_target(town: Town, target: Target, error: type[Exception]) -> None:
    """Each says what it is."""
    with pytest.raises(error):
        gather(town.sources, target, now=NOW)


def test_facts_change_with_what_they_are_made_of(town: Town) -> None:
    """The same at another time; another one once an endpoint changed."""
    before = gather(town.sources, HOST, now=NOW).facts
    assert gather(town.sources, HOST, now=NOW).facts == before
    town.write([host(IP, NOW, seen(443, "https", "nginx", "1.25.4"))], at=NOW)
    after = gather(town.sources, HOST, now=NOW).facts
    assert after != before
    assert {fact for fact in after if fact.startswith("name:")} == {f for f in before if f.startswith("name:")}
