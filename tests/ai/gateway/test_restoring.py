"""Private values back into pieces."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from spectra.ai.gateway.outgoing import Outgoing, render
from spectra.ai.gateway.restoring import Restoring
from spectra.ai.privacy.pseudonyms import Pseudonyms
from spectra.ai.privacy.redaction import Redactor
from spectra.model.ai import CallDelta, Delta, Label
from spectra.settings.ai import Residency
from tests.ai.gateway.desk import ADDRESS, HOST, TOLD, USER, asking


def made(residency: Residency = "eu") -> Outgoing:
    """A prompt on its way."""
    one = render(asking(TOLD), residency, lambda: Redactor(Pseudonyms(b"s" * 32, "a")), lambda _: Label.LOCAL_ONLY)
    assert one is not None
    return one


@given(cuts=st.lists(st.integers(1, 9), min_size=1, max_size=30))
def test_texts_and_calls_however_they_are_cut(cuts: list[int]) -> None:
    """Two calls at once and a text, in pieces of any length: each comes back whole, and arguments are JSON."""
    outgoing = made()
    text = outgoing.turns[1].text
    arguments = json.dumps({"text": text})
    restoring, got = Restoring(outgoing), {"text": "", 0: "", 1: ""}
    at = 0
    for size in cuts * (len(arguments) // sum(cuts) + 1):
        some = arguments[at : at + size]
        calls = tuple(CallDelta(n, "id" if not at else "", "f" if not at else "", some) for n in (0, 1))
        piece = restoring.piece(Delta(text[at : at + size], calls))
        got["text"] += piece.text
        for call in piece.calls:
            got[call.number] += call.arguments
        at += size
    last = restoring.end(Delta(finish="stop"))
    for call in last.calls:
        got[call.number] += call.arguments
    plain = f"The host {ADDRESS} is {HOST}, of user {USER}."
    assert got["text"] + last.text == plain
    assert json.loads(got[0]) == json.loads(got[1]) == {"text": plain}
    assert last.finish == "stop"


def test_of_this_machine_pieces_are_as_they_are() -> None:
    """Nothing was taken out."""
    restoring, piece = Restoring(made("machine")), Delta("198.18.0.1", (CallDelta(0, arguments="{"),))
    assert restoring.piece(piece) is piece
    assert restoring.end(piece) is piece
