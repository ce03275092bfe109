"""Labels of fragments and prompts: the most private part decides, and what nobody labelled is local."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from spectra.model.ai import Fragment, Kind, Label, Message, Private, Prompt, ToolCall, generic, local

LABELS = st.sampled_from(Label)
FRAGMENTS = st.builds(
    Fragment,
    st.lists(st.text(max_size=5) | st.builds(Private, st.sampled_from(Kind), st.text(max_size=5)), max_size=3).map(
        tuple
    ),
    LABELS,
)


def test_what_nobody_labelled_is_local() -> None:
    """A fragment without a word about its class does not leave the machine."""
    assert Fragment(("anything",)).effective == Label.LOCAL_ONLY
    assert local("a banner", droppable=True).effective == Label.LOCAL_ONLY
    assert generic("Be brief.").effective == Label.CLOUD_DIRECT


def test_private_values_make_generic_words_sanitised() -> None:
    """They have to be taken out before the words may go anywhere."""
    fragment = Fragment(("The host ", Private(Kind.ADDRESS, "192.0.2.1"), " answers."), Label.CLOUD_DIRECT)
    assert (fragment.effective, fragment.text) == (Label.SANITIZED, "The host 192.0.2.1 answers.")
    assert fragment.privates == (Private(Kind.ADDRESS, "192.0.2.1"),)


@given(st.lists(FRAGMENTS, max_size=4))
def test_the_most_private_fragment_decides(fragments: list[Fragment]) -> None:
    """A prompt is at least as private as every fragment of it, and as one of them."""
    prompt = Prompt((Message("user", tuple(fragments)),))
    assert prompt.label == max((fragment.effective for fragment in fragments), default=Label.CLOUD_DIRECT)


def test_calls_in_a_history_are_private() -> None:
    """Their arguments are text that nobody labelled."""
    said = Message("assistant", (generic("I look it up."),), (ToolCall("1", "host", '{"ip": "192.0.2.1"}'),))
    assert Prompt((Message("user", (generic("Hello"),)), said)).label == Label.LOCAL_ONLY
