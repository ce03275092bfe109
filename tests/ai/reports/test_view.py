"""A report as it is shown: who wrote it, what is cited, and tables without columns that say nothing."""

from __future__ import annotations

import msgspec

from spectra.ai.reports.view import view
from tests.ai.reports.papers import EVIL, IP, document, finding, tables


def test_statements_cite_by_number() -> None:
    """In the order of the records; an empty section is left out."""
    seen = view(document(), "ab")
    assert [section.title for section in seen.sections] == ["Summary", "Risks", "Next steps", "Points", "Measures"]
    assert seen.sections[1].said[0].cites == (2,)
    assert (seen.sections[1].said[0].badge, seen.sections[4].said[0].tone) == ("high", "high")
    assert [source.number for source in seen.sources] == [1, 2]


def test_who_wrote_it_is_said_first() -> None:
    """A model, rules, a person, or nobody yet; and whose each section is where a person completed some."""
    assert "written by a language model (local tiny)" in view(document(), "").notice
    assert "no language model" in view(document(by="rules", why="None is configured."), "").notice
    unfinished = view(document(by="rules", complete=False, why="x"), "")
    assert (unfinished.notice.startswith("Incomplete"), unfinished.notice_tone) == (True, "high")
    finished = view(document(by="person"), "")
    assert "completed by alice" in finished.notice
    assert {section.by for section in finished.sections} == {"model"}


def test_nothing_that_steers_a_terminal_is_shown() -> None:
    """Wherever it was said."""
    shown = msgspec.json.encode(view(document(), "")).decode()
    assert "\\u001b" not in shown
    assert "\u202e" not in shown
    assert EVIL[:8] in shown


def test_a_weakness_of_several_places_is_one_row() -> None:
    """With all of them."""
    twice = (finding(), finding(ip="192.0.2.8"), finding("CVE-2023-0001"))
    seen = view(document(tables=tables(findings=twice)), "")
    table = next(table for table in seen.tables if table.id == "findings")
    where = [head.text for head in table.heads].index("Where")
    assert [row[where].text for row in table.rows] == [f"{IP} 22/tcp, 192.0.2.8 22/tcp", f"{IP} 22/tcp"]


def test_columns_without_a_word_are_left_out() -> None:
    """And tables that were not asked for; one without rows stays."""
    seen = view(document(shown=("hosts", "findings"), tables=tables(findings=())), "")
    assert [table.id for table in seen.tables] == ["hosts", "findings"]
    assert "System" not in {head.text for head in seen.tables[0].heads}
    assert (seen.figures, seen.severities, seen.tables[1].rows) == ((), (), ())


def test_what_had_no_room_is_counted() -> None:
    """In the scope, and under a table."""
    figures = msgspec.structs.replace(tables().figures, hosts_total=900, exact=False)
    seen = view(document(tables=tables(figures=figures, more={"services": 7})), "")
    assert seen.meta[1].value == "1 host of about 900"
    assert {table.id: table.more for table in seen.tables}["web"] == 7
