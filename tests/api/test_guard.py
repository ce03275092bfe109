"""Where a request comes from, and who is turned away at the door.

All traffic is on loopback: a proxy that is trusted tells of other clients.
"""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.api import guard
from spectra.api.guard import Kept, client_address
from spectra.model.limits import Nets
from tests.api.node import Node, is_problem, raw_answer, raw_connection
from tests.support import samples
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine

PROXY = (ipaddress.ip_network("127.0.0.0/8"),)


def address(peer: str, *forwarded: str, trusted: tuple[str, ...] = ("127.0.0.0/8", "10.0.0.0/8")) -> str:
    """The client that such a request is taken to come from."""
    headers = [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded]
    return str(client_address({"client": (peer, 1), "headers": headers}, Nets(trusted)))


def test_a_stranger_is_who_connects() -> None:
    """Whatever they write into the header."""
    assert address("198.51.100.7", "192.0.2.1") == "198.51.100.7"
    assert address("127.0.0.1", "192.0.2.1", trusted=()) == "127.0.0.1"


def test_a_trusted_proxy_is_believed_from_the_right() -> None:
    """The last hop that is no proxy: what stands left of it was written by a stranger."""
    assert address("127.0.0.1", "192.0.2.1") == "192.0.2.1"
    assert address("127.0.0.1", "127.0.0.1, 192.0.2.1, 10.0.0.3") == "192.0.2.1"
    assert address("10.0.0.1", "203.0.113.9", "192.0.2.1") == "192.0.2.1"
    assert address("127.0.0.1", "10.0.0.9, 10.0.0.3") == "10.0.0.9"
    assert address("127.0.0.1") == "127.0.0.1"


@pytest.mark.parametrize("hop", ["192.0.2.1:4711", "::ffff:192.0.2.1", " 192.0.2.1 ", "[::ffff:192.0.2.1]:9"])
def test_hops_as_proxies_write_them(hop: str) -> None:
    """With ports, brackets and spaces."""
    assert address("127.0.0.1", hop) == "192.0.2.1"
    assert address("127.0.0.1", "2001:db8::7") == address("127.0.0.1", "[2001:db8::7]:443") == "2001:db8::7"


@pytest.mark.parametrize("hop", ["", "unknown", "_hidden", "1.2.3", "[", ":::", "\xe9"])
def test_a_hop_that_is_no_address_ends_it(hop: str) -> None:
    """The one before it is as far as is known."""
    assert address("127.0.0.1", f"192.0.2.1, {hop}") == "127.0.0.1"
    assert address("127.0.0.1", f"192.0.2.1, {hop}, 10.0.0.3") == "10.0.0.3"


def test_a_local_socket_has_no_address() -> None:
    """Nor has a client that the server cannot name."""
    assert client_address({"client": None, "headers": []}, Nets(())) is None
    assert client_address({"client": ("testclient", 1), "headers": []}, Nets(())) is None


@given(st.lists(st.text(st.characters(max_codepoint=255), max_size=20), max_size=4))
def test_no_header_is_too_odd(values: list[str]) -> None:
    """Whatever a proxy passes on, there is an address."""
    ipaddress.ip_address(address("127.0.0.1", *values))


def test_a_value_is_read_by_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it is known, whoever finds it old reads it, and the others take it as it is."""
    now = [100.0]
    monkeypatch.setattr(guard.time, "monotonic", lambda: now[0])
    kept = Kept(lambda: now[0], 0.0)
    assert (kept.due(), kept.due(), kept.known) == (True, True, False)
    assert kept.read() == 100.0
    assert not kept.due()
    now[0] += guard.KEEP_S
    assert (kept.due(), kept.due(), kept.value) == (True, False, 100.0)


# --- over HTTP ---


@pytest.fixture(scope="module")
def proxied(node: Node) -> Iterator[Node]:
    """The node behind a reverse proxy."""
    with node.variant(trusted_proxies=PROXY) as other:
        yield other


def of(client: str) -> dict[str, str]:
    """What the proxy says of a request by `client`."""
    return {"x-forwarded-for": client}


def block(node: Node, **fields: Any) -> str:
    """Block something; the id of the block."""
    response = node.ask("POST", "/v0/blocks", json={"reason": "test"} | fields)
    assert response.status_code == 201, response.text
    return response.json()["block_id"]


def test_a_blocked_network_is_refused_before_anything_else(proxied: Node) -> None:
    """Every path, with every token and none, a submission and the public form: 403, and only for that network."""
    block_id = block(proxied, network="203.0.113.0/25")
    envelope = proxied.of("contributor").seal(samples.scan_of(samples.address(), 80))
    asked = [
        ("GET", "/v0/search", "admin", {}),
        ("GET", "/health/live", "", {}),
        ("GET", "/nowhere", "", {}),
        ("POST", "/v0/mesh/ingest", "", {"content": envelope}),
        ("POST", "/v0/do-not-scan", "", {"json": {"network": "192.0.2.0/24", "contact": "a@b", "reason": "x"}}),
    ]
    for method, path, role, sent in asked:
        response = proxied.ask(method, path, role, headers=of("203.0.113.7"), **sent)
        body = is_problem(response, 403, "blocked")
        assert "test" not in body["detail"]
        assert response.headers["connection"] == "close"
    assert proxied.ask("GET", "/health/live", "", headers=of("203.0.113.200")).status_code == 200
    assert proxied.ask("DELETE", f"/v0/blocks/{block_id}").status_code == 200
    assert proxied.ask("GET", "/health/live", "", headers=of("203.0.113.7")).status_code == 200


def test_a_block_holds_at_every_coordinator(node: Node, proxied: Node) -> None:
    """Soon, where another one was asked to block."""
    with node.variant(trusted_proxies=PROXY) as other:

        def refused() -> bool:
            return other.ask("GET", "/health/live", "", headers=of("2001:db8:7::1")).status_code == 403

        assert not refused()
        block_id = block(proxied, network="2001:db8:7::/48")
        eventually(refused)
        proxied.ask("DELETE", f"/v0/blocks/{block_id}")
        eventually(lambda: not refused())


def test_this_machine_is_never_blocked(proxied: Node) -> None:
    """Whatever is blocked, an admin here can take it away."""
    block_ids = [block(proxied, network=network) for network in ("0.0.0.0/1", "::/1", "64.0.0.0/2")]
    assert proxied.ask("GET", "/health/live", "", headers=of("8.8.8.8")).status_code == 403
    assert proxied.ask("GET", "/v0/blocks").status_code == 200
    assert proxied.ask("GET", "/health/live", "", headers=of("::ffff:127.0.0.1")).status_code == 200
    for block_id in block_ids:
        assert proxied.ask("DELETE", f"/v0/blocks/{block_id}").status_code == 200


def test_without_a_trusted_proxy_the_header_is_nothing(node: Node) -> None:
    """Neither to get in by, nor to lock somebody else out; not even from this machine."""
    block_id = block(node, network="203.0.113.0/24")
    assert node.ask("GET", "/health/live", "", headers=of("203.0.113.7")).status_code == 200
    node.ask("DELETE", f"/v0/blocks/{block_id}")


def test_while_the_database_is_away_the_last_known_blocks_hold(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nobody waits for it."""
    block_id = block(node, network="203.0.113.0/24")
    away = threading.Event()

    def standing(*_: object) -> Any:
        away.set()
        raise guard.SpectraError("away")

    with node.variant(trusted_proxies=PROXY) as other:
        assert other.ask("GET", "/health/live", "", headers=of("203.0.113.7")).status_code == 403
        monkeypatch.setattr(guard.blocks, "standing", standing)

        def asked() -> bool:
            assert other.ask("GET", "/health/live", "", headers=of("203.0.113.7")).status_code == 403
            return away.is_set()

        eventually(asked)
        assert other.ask("GET", "/health/live", "", headers=of("198.51.100.7")).status_code == 200
    monkeypatch.undo()
    node.ask("DELETE", f"/v0/blocks/{block_id}")


@pytest.mark.parametrize("target", ["/v0/hostname/a%00b", "/v0/search?q=%00", "/v0/audit?kind=a%00"])
def test_no_text_has_a_nul(node: Node, target: str) -> None:
    """The database could not store it, nor compare with it."""
    with raw_connection(node.url) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        status, headers, body = raw_answer(connection)
    assert (status, headers["content-type"]) == (400, "application/problem+json")
    assert b"NUL" in body


def test_a_blocked_upload_is_not_read(proxied: Node) -> None:
    """The answer comes at once and the connection is closed, though 50 MB were announced."""
    block_id = block(proxied, network="203.0.113.0/24")
    with raw_connection(proxied.url) as connection:
        head = (
            "POST /v0/mesh/ingest HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.7\r\nContent-Length: 50000000\r\n"
        )
        connection.sendall(f"{head}\r\nbegin".encode())
        assert raw_answer(connection)[0] == 403
    proxied.ask("DELETE", f"/v0/blocks/{block_id}")


def test_metrics_count_who_was_refused(proxied: Node) -> None:
    """As any other answer."""
    line = 'spectra_http_requests_total{method="GET",route="unmatched",status="403"}'
    before = proxied.metric(line)
    block_id = block(proxied, network="203.0.113.0/24")
    with httpx.Client(trust_env=False) as client:
        client.get(f"{proxied.url}/v0/status", headers=of("203.0.113.7"))
    assert proxied.metric(line) == before + 1
    proxied.ask("DELETE", f"/v0/blocks/{block_id}")
