"""Clients that listen: who hears what happened is counted, and nobody else."""

from __future__ import annotations

import pytest

from spectra.bench import load, stream
from spectra.bench.server import BenchServer

pytestmark = pytest.mark.engine


def test_every_client_is_held_and_hears(server: BenchServer) -> None:
    """More than one account may have; each is another's neighbour, and nothing of it stays but the accounts."""
    assert stream.clients_held(server, stream._EACH + 5) == stream._EACH + 5
    with load.client_of(server) as client:
        assert client.get("/v0/blocks").json()["blocks"] == []


def test_who_is_not_let_in_is_not_counted(server: BenchServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of them have a token that no node gave; the count is of the others, and comes to an end."""
    tokens = [*stream._tokens(server, 1), "no-token"]

    def given(_: BenchServer, number: int) -> list[str]:
        assert number == 1
        return tokens

    monkeypatch.setattr(stream, "_tokens", given)
    assert stream.clients_held(server, 6) == 3
