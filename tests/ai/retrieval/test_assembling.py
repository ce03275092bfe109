"""Lines become items by priority, each once, within the budget whatever pseudonyms stand in them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from spectra.ai.privacy.pseudonyms import Pseudonyms
from spectra.ai.privacy.redaction import Redactor
from spectra.ai.retrieval.assembling import assembled, size
from spectra.ai.retrieval.context import Context
from spectra.ai.retrieval.lines import Focus, Line, address, line
from spectra.model.ai import Fragment, Kind, Private
from spectra.model.summaries import Target


def _line(told: tuple[int, str, float]) -> Line:
    number, text, score = told
    return line(f"r{number}", "t", [text, address(f"10.0.0.{number}")], score)


LINES = st.lists(st.tuples(st.integers(0, 255), st.text(max_size=60), st.floats(0, 100)).map(_line), max_size=30)


@settings(max_examples=40, deadline=None)
@given(LINES, st.integers(0, 1500))
def test_the_budget_holds_and_nothing_is_lost_count_of(lines: list[Line], budget: int) -> None:
    """What is given is in order and fits; what is not is counted."""
    items, left_out = assembled(lines, Focus(""), budget)
    assert Context(target=Target("ip", "x"), items=items).size <= budget
    assert [item.score for item in items] == sorted((item.score for item in items), reverse=True)
    assert len(items) + left_out == len({one.fragment.text for one in lines})


def test_a_line_without_room_leaves_it_to_shorter_ones() -> None:
    """And the question moves a line up."""
    lines = [line("a", "a", ["x" * 90], 9.0), line("b", "b", ["short"], 5.0), line("c", "c", ["nginx"], 1.0)]
    items, left_out = assembled(lines, Focus("nginx"), 40)
    assert ([item.record for item in items], left_out) == (["c", "b"], 1)


def test_the_size_is_that_of_the_widest_pseudonyms() -> None:
    """No pseudonym of a kind is longer than is reckoned with."""
    values = {
        Kind.ADDRESS: ("10.0.0.1", "fe80::1", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff"),
        Kind.NETWORK: ("10.0.0.0/8", "2001:db8::/32"),
        Kind.MAC: ("00:1b:21:aa:bb:cc",),
        Kind.HOSTNAME: ("a", "x.corp", "a.b.c.d.example.org"),
        Kind.EMAIL: ("a@b.example",),
        Kind.USER: ("al",),
        Kind.PATH: ("/home/al", "/a/b/c/d/e/f/g"),
        Kind.SECRET: ("s3cret",),
        Kind.ID: ("AS1",),
    }
    redactor = Redactor(Pseudonyms(b"k" * 32, "alice"))
    for kind, some in values.items():
        for value in some:
            fragment = Fragment((Private(kind, value),))
            redactor.add(fragment.privates)
            assert len(redactor.text(fragment).encode()) <= size(fragment), (kind, redactor.text(fragment))
