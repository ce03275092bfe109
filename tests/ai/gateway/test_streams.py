"""An answer that comes in pieces, whoever reads it and however slowly."""

from __future__ import annotations

import gc

import pytest

from spectra.ai.gateway.errors import NoModel
from spectra.model.ai import Label, local
from tests.ai.gateway.desk import asking, at, desk
from tests.support.llms import FaultyModel


def test_the_last_piece_says_who_answered() -> None:
    """And nothing comes after it; closing what is over is harmless."""
    with FaultyModel(piece=1) as model, desk(local=at(model.url)) as (gateway, books):
        stream = gateway.stream(asking(local("x" * 600)), account="a", deadline_s=60)
        pieces = list(stream)
        assert "".join(piece.text for piece in pieces) == "x" * 600
        last = pieces[-1]
        assert (last.provider, last.model, last.label, last.finish) == ("local", "default", Label.LOCAL_ONLY, "stop")
        assert list(stream) == []
        stream.close()
        assert books.outcomes == [("local", "answered")]


def test_a_stream_that_is_dropped_is_cancelled() -> None:
    """Nobody holds it any more: the request ends, and its place is free."""
    with FaultyModel("endless") as model, desk(local=at(model.url), concurrent=1) as (gateway, books):
        stream = gateway.stream(asking(local("x")), account="a", deadline_s=60)
        assert next(stream).text
        del stream
        gc.collect()
        assert model.gone.wait(30)
        assert books.recorded.acquire(timeout=30)
        assert books.outcomes == [("local", "cancelled")]


def test_a_place_is_given_back_when_a_stream_fails_to_begin() -> None:
    """As often as it is tried."""
    with FaultyModel("broken") as model, desk(local=at(model.url), concurrent=1) as (gateway, _):
        for _ in range(3):
            with pytest.raises(NoModel) as caught:
                gateway.stream(asking(local("x")), account="a", deadline_s=60)
            assert caught.value.reason == "ai_unavailable"
