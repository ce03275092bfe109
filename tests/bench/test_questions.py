"""The questions: forty, of things that are there, all answered."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from spectra.bench import hosts, load, networks, questions
from spectra.bench.questions import Question, answer, asked
from spectra.bench.server import BenchServer
from spectra.errors import SpectraError
from spectra.model.query import parse

COUNT = 3000


@pytest.mark.parametrize("n_hosts", [100, 10_000, 1_000_000])
def test_forty_queries_of_the_language(n_hosts: int) -> None:
    """Each of them is another, and can be read."""
    texts = questions.queries(n_hosts)
    assert len({parse(text, datetime.now(UTC)) for text in texts}) == 40
    assert len(questions.facets(n_hosts)) == 80


@pytest.fixture(scope="module")
def filled(server: BenchServer, tmp_path_factory: pytest.TempPathFactory) -> BenchServer:
    """The server with the world's feeds and some hosts."""
    load.load_feeds(server, networks.feeds(COUNT))
    files = load.prepare(server, tmp_path_factory.mktemp("x") / "envelopes", COUNT, 1000)
    load.submit_all(server, files, clients=1, progress=lambda _: None)
    return server


@pytest.mark.engine
@pytest.mark.slow
def test_hosts_are_found_where_the_world_has_them(filled: BenchServer) -> None:
    """As many endpoints in a city, a system and the cloud as the world puts hosts there."""
    numbers = range(COUNT)
    here, system = networks.city_at(COUNT // 2), networks.asn_at(COUNT // 2)
    expected = {
        f"city:{here.name}": sum(networks.city_at(n) == here for n in numbers),
        f"asn:{system}": sum(networks.asn_at(n) == system for n in numbers),
        "cloud:aws": sum(networks.cloud_at(n) is not None for n in numbers),
        "country:FR": sum(networks.city_at(n).country == "FR" for n in numbers),
    }
    with load.client_of(filled) as client:
        for q, hosts_there in expected.items():
            count = answer(client, Question("/v0/count", {"q": f"{q} net:{hosts.address(0)}/20", "exact": "true"}))
            assert (count["hosts"], count["count"]) == (hosts_there, 3 * hosts_there), q


@pytest.mark.engine
@pytest.mark.slow
def test_every_question_is_answered(filled: BenchServer) -> None:
    """All kinds, from one client and from several; plans and diffs of what is there are not empty."""
    for kind in (questions.facets, questions.plans, questions.coverage, questions.diffs):
        for clients in (1, 4):
            spread = asked(filled, kind(COUNT), clients=clients, rounds=1)
            assert 0 < spread.p50 <= spread.p95
    with load.client_of(filled) as client:
        plans = [answer(client, one) for one in questions.plans(COUNT)]
        assert sum(bool(plan["targets"]) for plan in plans) > len(plans) / 2
        found = [answer(client, one) for one in questions.facets(COUNT)[:40]]
        assert sum(bool(page["matches"]) for page in found) > 25
        assert all(page["facets"] for page in found)


@pytest.mark.engine
def test_a_question_that_is_refused_ends_the_bench(server: BenchServer, tmp_path: Path) -> None:
    """A refusal is the quickest answer of all."""
    with pytest.raises(SpectraError, match="answered 400"):
        asked(server, [Question("/v0/search", {"q": "contry:FR"})])
    with pytest.raises(SpectraError, match="answered 4"):
        load.load_feeds(server, {"nonsense": b"<html>"})
