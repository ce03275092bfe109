"""Which class of data goes where: the one place that says so. Pure.

A provider of residency `machine` sees everything as it is. One in the EU sees text of which private values can be taken
out, and one elsewhere generic text alone. Whatever this does not allow is not sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Literal, NamedTuple

from spectra.model.ai import Fragment, Label, Prompt, ToolCall
from spectra.settings.ai import Residency

TAKES: Final[dict[Residency, Label]] = {
    "machine": Label.LOCAL_ONLY,
    "eu": Label.SANITIZED,
    "elsewhere": Label.CLOUD_DIRECT,
}
"""The most private class that may go to a residency."""

Fate = Literal["send", "withhold", "refuse"]


class Decision(NamedTuple):
    """Whether something may go to a residency, and the class of what goes there, droppable parts left out."""

    allowed: bool
    label: Label
    withheld: int = 0


def fate(fragment: Fragment, residency: Residency) -> Fate:
    """What becomes of a fragment on its way to a residency."""
    if fragment.effective <= TAKES[residency]:
        return "send"
    return "withhold" if fragment.droppable else "refuse"


def decide(prompt: Prompt, residency: Residency, said: Callable[[ToolCall], Label]) -> Decision:
    """Whether `prompt` may go to a residency. `said` is the class of the arguments of a call in its history."""
    labels = [said(call) for message in prompt.messages for call in message.calls]
    return _decision(prompt.fragments(), labels, residency)


def decide_texts(fragments: Iterable[Fragment], residency: Residency) -> Decision:
    """Whether all of `fragments` may go to a residency, each as it is: none of them can be left out."""
    return _decision((fragment._replace(droppable=False) for fragment in fragments), [], residency)


def _decision(fragments: Iterable[Fragment], labels: list[Label], residency: Residency) -> Decision:
    withheld = 0
    allowed = all(label <= TAKES[residency] for label in labels)
    for fragment in fragments:
        fated = fate(fragment, residency)
        allowed = allowed and fated != "refuse"
        if fated == "withhold":
            withheld += 1
        else:
            labels.append(fragment.effective)
    return Decision(allowed, max(labels, default=Label.CLOUD_DIRECT), withheld)
