"""Which class of data goes where."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.ai.gateway.policy import TAKES, decide, decide_texts, fate
from spectra.model.ai import Fragment, Kind, Label, Message, Private, Prompt, ToolCall, generic, local
from spectra.settings.ai import Residency

ADDRESS = Private(Kind.ADDRESS, "10.0.0.1")


def prompt(*fragments: Fragment, calls: tuple[ToolCall, ...] = ()) -> Prompt:
    """A user's turn, and an assistant's with calls."""
    return Prompt((Message("user", fragments), Message("assistant", (), calls)))


def nothing_known(_: ToolCall) -> Label:
    """Calls in a history that nobody knows."""
    return Label.LOCAL_ONLY


@pytest.mark.parametrize(
    ("fragment", "goes"),
    [
        (local("10.0.0.1 said x"), {"machine"}),
        (Fragment(("the host ", ADDRESS), Label.CLOUD_DIRECT), {"machine", "eu"}),
        (Fragment(("patterns",), Label.SANITIZED), {"machine", "eu"}),
        (Fragment((ADDRESS,)), {"machine"}),
        (generic("What is TLS?"), {"machine", "eu", "elsewhere"}),
    ],
)
def test_each_class_goes_where_it_may(fragment: Fragment, goes: set[Residency]) -> None:
    """Raw data to this machine alone, what can be sanitised to the EU, generic text anywhere; so a prompt of it."""
    assert {r for r in TAKES if decide(prompt(generic("Be short."), fragment), r, nothing_known).allowed} == goes
    assert {r for r in TAKES if fate(fragment, r) == "send"} == goes
    assert {r for r in TAKES if decide_texts([generic("x"), fragment], r).allowed} == goes


def test_what_may_be_dropped_is_withheld_and_no_longer_counts() -> None:
    """A droppable fragment holds nothing back; the class is that of what is left."""
    raw = local("banner", droppable=True)
    assert decide(prompt(generic("x"), raw), "eu", nothing_known) == (True, Label.CLOUD_DIRECT, 1)
    assert decide(prompt(generic("x"), raw), "elsewhere", nothing_known) == (True, Label.CLOUD_DIRECT, 1)
    assert decide(prompt(generic("x"), raw), "machine", nothing_known) == (True, Label.LOCAL_ONLY, 0)
    assert not decide_texts([raw], "eu").allowed


def test_calls_in_a_history_are_as_private_as_they_are_said_to_be() -> None:
    """An unknown one stays here; one of a model that saw sanitised data may go where that was."""
    asked = prompt(generic("x"), calls=(ToolCall("1", "look", "{}"),))
    assert not decide(asked, "eu", nothing_known).allowed
    assert decide(asked, "machine", nothing_known).label == Label.LOCAL_ONLY
    assert decide(asked, "eu", lambda _: Label.SANITIZED) == (True, Label.SANITIZED, 0)
    assert not decide(asked, "elsewhere", lambda _: Label.SANITIZED).allowed


fragments = st.builds(
    Fragment,
    parts=st.lists(st.one_of(st.text(max_size=3), st.just(ADDRESS)), max_size=3).map(tuple),
    label=st.sampled_from(Label),
    droppable=st.booleans(),
)


@given(some=st.lists(fragments, max_size=4), residency=st.sampled_from(sorted(TAKES)))
def test_nothing_more_private_is_ever_allowed(some: list[Fragment], residency: Residency) -> None:
    """Whatever a prompt is made of: what is allowed out has no fragment above what is taken there."""
    decision = decide(prompt(*some), residency, nothing_known)
    sent = [f for f in some if fate(f, residency) == "send"]
    assert decision.allowed == all(f.droppable or f.effective <= TAKES[residency] for f in some)
    if decision.allowed:
        assert decision.label == max((f.effective for f in sent), default=Label.CLOUD_DIRECT) <= TAKES[residency]
