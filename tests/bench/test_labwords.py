"""The words of the small servers are of the protocols that they stand for."""

from __future__ import annotations

import pytest

from spectra.bench.labreal import REAL
from spectra.bench.labwords import TRUTH, WORDS
from spectra.collect.scanners import questions, recognise


def test_every_server_has_its_truth() -> None:
    """Small and real ones, and no other."""
    assert TRUTH.keys() == WORDS.keys() | REAL.keys()


@pytest.mark.parametrize("name", sorted(name for name, words in WORDS.items() if words.greeting))
def test_greetings_are_recognised_as_what_they_are(name: str) -> None:
    """Before any network is in between."""
    service = recognise.recognise(WORDS[name].greeting)
    assert service is not None
    assert service.name == TRUTH[name].removesuffix(" in tls")


@pytest.mark.parametrize("name", ["ldap", "amqp"])
def test_answers_are_recognised_as_what_they_are(name: str) -> None:
    """Those of ports that wait to be spoken to."""
    question = next(one for one in questions.QUESTIONS if one.name == name)
    assert question.read(WORDS[name].replies[0][1])
