"""Sections that rules write: what they say, in which order, and that each sentence cites what there is."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from spectra.ai.patterns import loading
from spectra.ai.patterns.loading import Pattern
from spectra.ai.reports import rules
from spectra.ai.reports.facts import Facts, Told
from spectra.model.explanations import Risk
from tests.ai.reports.papers import FINDING, IP, facts, finding, service, tables

PATTERNS = loading.load()


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=lambda pattern: pattern.name)
@pytest.mark.parametrize("empty", [False, True])
def test_every_pattern_has_a_report_without_a_model(pattern: Pattern, empty: bool) -> None:
    """Whose statements cite known records, are no more than a model may make, and name no command."""
    known = facts(tables=tables(findings=(), services=(), changes=(), certificates=()), told=()) if empty else facts()
    sections = rules.sections(pattern, known)
    assert {section.by for section in sections} == {"rules"}
    assert {plan.id for plan in pattern.sections if plan.rules != "none"} == {section.id for section in sections}
    for section in sections:
        assert len(section.statements) <= pattern.schema["properties"][section.id]["maxItems"]
        for statement in section.statements:
            assert statement.cites
            assert set(statement.cites) <= known.known
            assert "spectra scan" not in statement.text


def test_the_worst_comes_first() -> None:
    """What is exploited before what rules say, with how bad it is."""
    found = list(rules.risks(facts()))
    assert [(one.title, one.weight) for one in found] == [
        ("OpenSSH 9.2p1", "critical"),
        ("Unencrypted service", "high"),
        ("Not looked at for long", "low"),
    ]
    assert "CVSS 9.8, known to be exploited" in found[0].text
    assert "1 further weakness" in found[0].text
    assert found[0].cites[0] == f"finding:{FINDING}"


def test_the_same_of_several_hosts_is_said_once() -> None:
    """With where it is."""
    risk = Risk("low", "stale", "1 of 1 may have changed.", "", "Look again.")
    found = list(
        rules.risks(facts(told=(Told(IP, "", (risk,)), Told("192.0.2.8", "", (risk,))), tables=tables(findings=())))
    )
    assert len(found) == 1
    assert "192.0.2.7, 192.0.2.8" in found[0].text


def test_steps_are_updates_first() -> None:
    """Then what rules advise, for each endpoint of it, without commands."""
    found = [one.text for one in rules.steps(facts())]
    assert found[0].startswith(
        "Update OpenSSH 9.2p1 at 192.0.2.7 22/tcp to a release that repairs CVE-2024-6387 and 1 more"
    )
    assert found[1:] == ["Switch it off and use SSH (192.0.2.7 23).", "Look again (192.0.2.7)."]


def test_the_summary_counts() -> None:
    """One host in its own words, several in figures."""
    one = [said.text for said in rules.summary(facts())]
    assert one[0] == f"{IP} is up."
    assert "2 known weaknesses are open: 1 critical, 1 low. 1 of them is known to be exploited." in one[1]
    assert one[2] == "In the time that is compared: opened: 1."
    many = list(rules.summary(facts(told=())))
    assert many[0].text.startswith("1 host were looked at") or "open endpoints" in many[0].text
    none = [said.text for said in rules.summary(facts(tables=tables(findings=(), changes=())))]
    assert none[-1].startswith("In the time") or none[-1].startswith("No known weakness")


def test_the_web_names_and_certificates() -> None:
    """Pages that ask for a password, names of inner use, what expired."""
    titles = {one.title for one in rules.web(facts())}
    assert {"Pages for signing in", "Web without TLS", "Software"} <= titles
    assert [one.title for one in rules.names(facts())] == [
        *("Names that tell of an inner use", "Many names on one host", "Wildcard names"),
    ]
    assert next(iter(rules.certificates(facts()))).text == "1 certificate expired: www (2027-02-28)."
    exposed = [one.title for one in rules.exposure(facts())]
    assert set(exposed) == {"ssh", "http", "telnet"}
    more = facts(tables=tables(services=(service(9),)))
    assert [one.title for one in rules.exposure(more)] == ["Services that were not recognised"]


def test_a_weakness_that_may_be_repaired_says_so() -> None:
    """And one whose version is not certain."""
    told = next(iter(rules.weaknesses(_with(facts(), patched="possibly", level="possible", kev=None, epss=0.05))))
    assert "may have repaired it" in told.text
    assert "not certain" in told.text
    assert "exploited" not in told.text


def _with(known: Facts, **fields: Any) -> Facts:
    found = tables(findings=(finding(**fields),))
    return msgspec.structs.replace(known, tables=found)
