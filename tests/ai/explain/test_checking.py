"""An answer holds only if every sentence cites facts that were shown, and speaks of nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectra.ai.explain.checking import MAX_ANSWER, MOST, checked, schema
from spectra.ai.retrieval.context import Item
from spectra.ai.retrieval.lines import address, line, raw_line
from spectra.model.ai import Label
from spectra.model.summaries import Claim, RiskClaim

_LINES = (
    line("host:192.0.2.17", "192.0.2.17", ["Host ", address("192.0.2.17"), " is up"], 90.0),
    line("finding:x", "CVE-2024-63871 at x", ["Finding CVE-2024-63871 at ", address("192.0.2.17")], 80.0),
    raw_line("endpoint:192.0.2.17/tcp/80", "80/tcp", "It says: 10.9.8.7 greets CVE-2020-0001", 30.0),
)
ITEMS = [Item(f"F{n}", one.record, one.title, one.fragment, one.score) for n, one in enumerate(_LINES, 1)]


def said(**parts: Any) -> str:
    """An answer that holds, but for `parts`."""
    whole = {
        "summary": [{"says": "It is up.", "cites": ["F1"]}],
        "risks": [{"level": "high", "says": "It suffers from CVE-2024-63871.", "cites": ["F2", "F1"]}],
        "next_steps": [{"says": "Repair it.", "cites": ["[f2]"]}],
    }
    return json.dumps(whole | parts)


@pytest.mark.parametrize("text", [said(), f"```json\n{said()}\n```", f"  ```\n{said()}```\n"])
def test_an_answer_that_holds(text: str) -> None:
    """References become the records they stand for; a fence around it does no harm."""
    parts, reasons = checked(text, ITEMS, Label.LOCAL_ONLY)
    assert reasons == ()
    assert parts is not None
    assert parts.summary == (Claim("It is up.", ("host:192.0.2.17",)),)
    assert parts.risks == (RiskClaim("It suffers from CVE-2024-63871.", ("finding:x", "host:192.0.2.17"), "high"),)
    assert parts.next_steps == (Claim("Repair it.", ("finding:x",)),)


def claim(says: str = "It is up.", *cites: str) -> list[dict[str, object]]:
    """A part of one sentence."""
    return [{"says": says, "cites": list(cites)}]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (said(summary=claim("Up.", "F9")), "summary 1 cites F9, which is none of the facts"),
        (said(summary=claim("Up.", "F1", "finding:x")), "summary 1 cites something that is no reference such as F1"),
        (said(summary=claim("Up.")), "summary 1 cites nothing"),
        (said(summary=claim("Up.", *["F1"] * 13)), "summary 1 cites more than 12 facts"),
        (said(summary=claim(" \u200b\n", "F1")), "summary 1 says nothing"),
        (said(summary=claim("[F1]", "F1")), "summary 1 says nothing"),
        (said(summary=claim("x" * 701, "F1")), "summary 1 is longer than 700 characters"),
        (said(summary=[]), "summary is empty"),
        (said(summary=claim("Up.", "F1") * 7), f"summary has more than {MOST['summary']} entries"),
        (said(next_steps=[]), "next_steps is empty"),
        (said(next_steps=claim("Mind CVE-2024-6387.", "F2")), "next_steps 1 names a CVE that is in none of the facts"),
        (said(next_steps=claim("Ask 192.0.2.1.", "F1")), "next_steps 1 names an address that is in none of the facts"),
        (said(next_steps=claim("See 2001:db8::9 now", "F1")), "next_steps 1 names an address that is in none"),
        (said(risks=claim("No level.", "F1")), "the answer is not the JSON object that was asked for"),
        ("I am sorry.", "the answer is not the JSON object that was asked for"),
        ("[" * 50_000, "the answer is not the JSON object that was asked for"),
        ("", "the answer is not the JSON object that was asked for"),
        (said() + " " * MAX_ANSWER, "the answer is too long"),
    ],
)
def test_an_answer_that_does_not(text: str, reason: str) -> None:
    """The reason repeats nothing of it but references: it is told to models again."""
    parts, reasons = checked(text, ITEMS, Label.LOCAL_ONLY)
    assert parts is None
    assert any(one.startswith(reason) for one in reasons), reasons


def test_what_was_withheld_cannot_be_cited() -> None:
    """A raw fact that the class of the provider kept back was not shown; without risks there is nothing to mind."""
    text = said(summary=claim("It greets.", "F3"), risks=[])
    assert checked(text, ITEMS, Label.SANITIZED)[1] == ("summary 1 cites F3, which is none of the facts",)
    parts, _ = checked(text, ITEMS, Label.LOCAL_ONLY)
    assert parts is not None
    assert parts.risks == ()


def test_what_facts_or_the_question_name_may_be_named() -> None:
    """Addresses and CVEs of either."""
    text = said(summary=claim("10.9.8.7, 198.51.100.4 and CVE-2020-0001: see 192.0.2.17.", "F3"))
    assert checked(text, ITEMS, Label.LOCAL_ONLY)[0] is None
    assert checked(text, ITEMS, Label.LOCAL_ONLY, "And 198.51.100.4?")[0] is not None


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["summary", "risks", "next_steps", "says", "cites", "level"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(_JSON)
def test_whatever_comes_is_refused_or_whole(value: Any) -> None:
    """No answer raises; what is taken has citations everywhere."""
    parts, reasons = checked(json.dumps(value), ITEMS, Label.LOCAL_ONLY)
    assert (parts is None) == bool(reasons)
    assert parts is None or all(one.says and one.cites for one in parts.claims)


def test_the_schema_lets_nothing_else_be_cited() -> None:
    """A server that holds its model to it cannot answer with a reference that was not told."""
    parts: Any = schema(["F1", "F2"])["properties"]
    assert list(parts) == ["summary", "risks", "next_steps"]
    for name, part in parts.items():
        cites = part["items"]["properties"]["cites"]
        assert (cites["minItems"], cites["items"]["enum"]) == (1, ["F1", "F2"])
        assert part["maxItems"] == MOST[name]
        assert part["items"]["additionalProperties"] is False
