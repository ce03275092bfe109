"""Limits over HTTP: the same for every coordinator on one database."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest

from spectra.api.rates import Limits
from spectra.flow.submission import Ingest
from spectra.ingest.gate import Policy
from spectra.store.database import Database
from spectra.store.limits import AccountLimit, Buckets, Rate
from tests.api.node import Node, is_problem
from tests.support import samples

pytestmark = pytest.mark.engine

RATES = {"plan": Rate(6), "search": Rate(3), "do_not_scan": Rate(2, 3600), "do_not_scan_total": Rate(3, 3600)}
INGESTS = 10


def coordinator(node: Node, stack: ExitStack) -> Node:
    """An app with connections of its own to the node's database."""
    database = stack.enter_context(Database(node.services.database.url, pool_size=6))
    buckets = Buckets(database)
    ingest = Ingest(
        database,
        node.services.blobs,
        policy=Policy(max_envelope_bytes=1 << 22, max_age_s=3600, max_ahead_s=300, rate_per_minute=INGESTS),
        limiter=AccountLimit(buckets, "ingest", INGESTS),
        max_output_bytes=1 << 24,
        clock=node.services.clock,
    )
    stack.callback(ingest.close)
    changes = {"database": database, "ingest": ingest, "limits": Limits(buckets, RATES)}
    proxies = (ipaddress.ip_network("127.0.0.0/8"),)
    return stack.enter_context(node.variant(**changes, trusted_proxies=proxies))


@pytest.fixture(scope="module")
def two(node: Node) -> Iterator[tuple[Node, Node]]:
    """Two coordinators on one database."""
    with ExitStack() as stack:
        yield coordinator(node, stack), coordinator(node, stack)


def test_submissions_are_counted_over_both(two: tuple[Node, Node]) -> None:
    """Of thirty at once, by threads to both, exactly the rate is let in, and nothing of the others is kept."""
    account = two[0].account()
    envelopes = [account.seal(samples.scan_of(samples.address(), 80)) for _ in range(30)]
    began = time.monotonic()

    def send(n: int) -> httpx.Response:
        return two[n % 2].submit(envelopes[n])

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(send, range(30)))
    refused = [answer for answer in answers if answer.status_code != 200]
    refilled = (time.monotonic() - began) * INGESTS / 60
    assert INGESTS <= len(answers) - len(refused) <= INGESTS + refilled
    for answer in refused:
        body = is_problem(answer, 429, "rate_limited")
        assert 1 <= int(answer.headers["retry-after"]) <= 6
        assert int(answer.headers["retry-after"]) >= body["retry_after"]


def test_plans_are_counted_over_both(two: tuple[Node, Node]) -> None:
    """By account, whichever coordinator is asked; an admin may go on."""
    account = two[0].account("user")

    def plan(n: int, token: str) -> int:
        headers = {"authorization": f"Bearer {token}"}
        response = two[n % 2].ask("POST", "/v0/plan", "", headers=headers, json={"limit": 1})
        if response.status_code == 429:
            assert 1 <= int(response.headers["retry-after"]) <= 10
        return response.status_code

    statuses = [plan(n, account.token) for n in range(9)]
    assert statuses[:6] == [201] * 6
    assert 429 in statuses[6:]
    assert {plan(n, two[0].of("admin").token) for n in range(8)} == {201}


def test_searches_and_counts_are_counted_together(two: tuple[Node, Node]) -> None:
    """Where the settings limit them; one account's flood slows no other."""
    paths = ("/v0/search", "/v0/count")

    def ask(n: int, token: str) -> int:
        return two[n % 2].ask("GET", paths[n % 3 % 2], "", headers={"authorization": f"Bearer {token}"}).status_code

    token = two[0].account("user").token
    assert [ask(n, token) for n in range(4)] == [200, 200, 200, 429]
    assert ask(0, two[0].account("user").token) == 200


def test_the_public_form_is_bounded_by_source_and_in_total(two: tuple[Node, Node]) -> None:
    """Two an hour from one /24 and three from all: by then the others wait too, until somebody has time to look."""

    def ask(n: int, client: str) -> int:
        form = {"network": "192.0.2.0/24", "contact": "noc@example.org", "reason": "ours"}
        headers = {"x-forwarded-for": client}
        return two[n % 2].ask("POST", "/v0/do-not-scan", "", headers=headers, json=form).status_code

    assert [ask(n, f"198.51.100.{n}") for n in range(3)] == [202, 202, 429]
    assert [ask(n, f"2001:db8:0:{n}::1") for n in range(2)] == [202, 429]
