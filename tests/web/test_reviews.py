"""Sections of a report as text that a person edits."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from spectra.model.reports import MAX_STATEMENTS, Statement
from spectra.web.forms import Form
from spectra.web.reviews import drafts, sections_of, statements
from tests.ai.reports.papers import document


def test_a_document_reads_the_same_when_it_comes_back() -> None:
    """Text, citations, weights, verdicts and titles of every section, through the form and back."""
    written = document()
    told = drafts(written, {})
    fields = Form([(f"section-{name}", draft.text) for name, draft in told.items()])
    for section in written.sections:
        if section.statements:
            back = sections_of(fields)[section.id].statements
            assert [one.text for one in back] == [" ".join(one.text.split()) for one in section.statements]
            assert [one.cites for one in back] == [one.cites for one in section.statements]
            assert [one.weight for one in back] == [one.weight for one in section.statements]


def test_marks_and_citations() -> None:
    """Only those that are known are taken for such; paragraphs are parted by empty lines, also those of a browser."""
    said = "[high] [= Old sshd] It is\r\nold. [F1, F12]\r\n\r\n[met] Done.\n\n\n[sic] As it stands [see below]."
    assert statements(said) == (
        Statement("It is old.", ("F1", "F12"), "Old sshd", "high"),
        Statement("Done.", verdict="met"),
        Statement("[sic] As it stands [see below]."),
    )
    assert statements(" \n \n ") == ()
    assert len(statements("a\n\n" * 90)) == MAX_STATEMENTS + 1


def test_references_stand_for_records() -> None:
    """What cites a record shows the reference of its fact; a section that is left empty is not sent."""
    written = document()
    cited = next(cite for section in written.sections for one in section.statements for cite in one.cites)
    assert "[F7]" in "".join(draft.text for draft in drafts(written, {cited: "F7"}).values())
    assert sections_of(Form([("section-a", " "), ("csrf", "x"), ("section-b", "Words.")])).keys() == {"b"}


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_statements(text: str) -> None:
    """Whatever is typed."""
    for one in statements(text):
        assert len(one.cites) <= 200
