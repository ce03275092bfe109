"""The load: what is sent is what a contributor sends, and a wrong answer ends the bench."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.bench import hosts, load
from spectra.bench.server import BenchServer
from spectra.errors import SpectraError
from spectra.identity.keys import SigningKey

pytestmark = pytest.mark.engine


def test_envelopes_are_signed_ahead_and_all_are_sent(server: BenchServer, tmp_path: Path) -> None:
    """Every host once, the last batch being what is left; each is told of."""
    first = load.prepare(server, tmp_path / "envelopes", 25, 10)
    assert [f.name for f in first] == ["000000000.json", "000000010.json", "000000020.json"]
    told: list[int] = []
    assert load.submit_all(server, first, clients=2, progress=told.append) > 0
    assert sorted(told) == [1, 2, 3]
    with load.client_of(server) as client:
        found = client.get("/v0/search", params={"q": f"ip:{hosts.address(24)}"}).json()["matches"]
    assert len(found) == 3


def test_visibility_is_measured_on_what_search_shows(server: BenchServer) -> None:
    """One number a sample; the hundred hosts of each are there."""
    start = 3_000_000
    assert len(load.visible_ms(server, start, 2)) == 2
    with load.client_of(server) as client:
        for number in (start, start + 199):
            assert client.get(f"/v0/host/{hosts.address(number)}").status_code == 200


def test_questions_are_asked_and_answered(server: BenchServer) -> None:
    """The whole mix, each with an answer; a page that is not there ends the bench with what the server said."""
    mix = list(load.questions(1000, 1))
    assert len(load.asked_ms(server, mix)) == len(mix) == 15
    with pytest.raises(SpectraError, match=r"answered 404.*not_found"):
        load.asked_ms(server, [("/v0/host/192.0.2.1", {})])


def test_a_refused_submission_ends_the_bench(server: BenchServer, tmp_path: Path) -> None:
    """Counting what was not accepted would be a lie."""
    file = tmp_path / "forged.json"
    file.write_bytes(load.envelope(SigningKey.generate(), server.contributor, 0, 1))
    with pytest.raises(SpectraError, match="unknown_key"):
        load.submit_all(server, [file], clients=1, progress=print)


def test_each_envelope_is_another(server: BenchServer) -> None:
    """The same hosts twice are two observations: a duplicate would be answered without work."""
    one, two = (load.envelope(server.key, server.contributor, 0, 1) for _ in range(2))
    assert json.loads(one)["payload"] != json.loads(two)["payload"]


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=200))
def test_percentiles_are_measured_values(values: list[float]) -> None:
    """By nearest rank: no number that never happened, at least half below the one and most below the other."""
    spread = load.spread(secrets.SystemRandom().sample(values, len(values)))
    assert spread.p50 in values
    assert spread.p95 in values
    assert sum(v <= spread.p50 for v in values) * 2 >= len(values)
    assert sum(v <= spread.p95 for v in values) >= 0.95 * len(values)
