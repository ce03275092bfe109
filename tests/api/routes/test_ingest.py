"""Submissions over HTTP: both paths, every refusal, and the bounds in front of the gate."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from select import select
from typing import Any

import pytest

from spectra.flow.submission import Ingest
from spectra.identity import dsse, payload
from spectra.identity.keys import SigningKey
from spectra.ingest.gate import Policy
from spectra.ingest.rate import RateLimiter
from spectra.model.envelope import Payload, sha256_hex
from spectra.store import keys
from tests.api.node import Account, Node, is_problem, raw_answer, raw_connection
from tests.support import samples
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine

FAST, DURABLE = "/v0/mesh/ingest", "/v0/ingest"
UNREADABLE = b"\x00\x01 this is no scanner's output"


def observation_id(envelope: bytes) -> str:
    """SHA-256 of the payload bytes."""
    return sha256_hex(base64.b64decode(json.loads(envelope)["payload"]))


def test_the_fast_path_answers_when_it_can_be_found(node: Node) -> None:
    """200 with the receipt, and the very next search, host page and observation show it."""
    ip = samples.address()
    envelope = node.of("contributor").seal(samples.scan_of(ip, 22, 80), scan_id="s-1", source="a.xml")
    receipt = node.submit(envelope).json()
    assert receipt["observation_id"] == observation_id(envelope)
    assert (receipt["status"], receipt["format"]) == ("merged", "nmap-xml")
    assert receipt["counts"] == {"hosts": 1, "endpoints": 2, "hostnames": 0, "silent": 0, "problems": 0}
    assert [m["port"] for m in node.found(f"ip:{ip}")] == [22, 80]
    assert [e["port"] for e in node.get(f"/v0/host/{ip}").json()["endpoints"]] == [22, 80]
    record = node.get(f"/v0/observations/{receipt['observation_id']}").json()
    assert (record["scan_id"], record["source"], record["contributor"]) == (
        "s-1",
        "a.xml",
        node.of("contributor").name,
    )


def test_the_same_submission_has_the_first_receipt(node: Node) -> None:
    """On either path, as often as it comes: the first's receipt, marked, and nothing is merged twice."""
    envelope = node.of("contributor").seal(samples.scan_of(samples.address(), 80))
    first = node.submit(envelope).json()
    for path in (FAST, DURABLE, FAST):
        again = node.submit(envelope, path)
        assert again.status_code == 200
        assert again.json() == first | {"duplicate": True}


def test_the_durable_path_accepts_and_then_does(node: Node) -> None:
    """202 with a workflow, whose end shows in search; the same again is 200 with the state of then."""
    ip = samples.address()
    envelope = node.of("contributor").seal(samples.scan_of(ip, 443))
    response = node.submit(envelope, DURABLE)
    assert response.status_code == 202
    receipt = response.json()
    assert receipt["status"] == "accepted"
    eventually(lambda: node.get(f"/v0/workflows/{receipt['workflow_id']}").json().get("status") == "done")
    assert [m["port"] for m in node.found(f"ip:{ip}")] == [443]
    again = node.submit(envelope, DURABLE)
    assert again.status_code == 200
    assert (again.json()["status"], again.json()["duplicate"]) == ("merged", True)


def test_what_cannot_be_read_is_kept_and_said_so_each_time(node: Node) -> None:
    """422 with the observation's id, first and again; the raw bytes and the reason stay on record."""
    envelope = node.of("contributor").seal(UNREADABLE)
    answers = [is_problem(node.submit(envelope), 422, "unrecognised_format") for _ in range(2)]
    assert answers[0] | {"request_id": ""} == answers[1] | {"request_id": ""}
    observation = answers[0]["observation_id"]
    assert observation == observation_id(envelope)
    record = node.get(f"/v0/observations/{observation}").json()
    assert record["status"] == "failed"
    assert record["error"].startswith("unrecognised_format: ")
    assert node.get(f"/v0/observations/{observation}/raw").content == UNREADABLE


def test_what_cannot_be_read_fails_its_workflow(node: Node) -> None:
    """The durable path has said 202 by then: the observation and the workflow tell."""
    envelope = node.of("contributor").seal(UNREADABLE)
    receipt = node.submit(envelope, DURABLE).json()
    eventually(lambda: node.get(f"/v0/observations/{receipt['observation_id']}").json()["status"] == "failed")
    eventually(lambda: node.get(f"/v0/workflows/{receipt['workflow_id']}").json()["status"] == "failed")
    assert node.submit(envelope, DURABLE).json()["status"] == "failed"
    is_problem(node.submit(envelope, FAST), 422, "unrecognised_format")


def test_a_partly_bad_submission_keeps_the_good(node: Node) -> None:
    """200, what was kept, and each record that was not, by line."""
    ip = samples.address()
    good = json.dumps({"host": ip, "ip": ip, "port": 80, "protocol": "tcp"})
    receipt = node.submitted(f'{good}\n{{"ip": "nonsense", "port": 80}}\n{good[:-9]}\n'.encode(), tool="naabu")
    assert receipt["counts"]["hosts"] == 1
    assert receipt["counts"]["problems"] == 2
    assert [p["line"] for p in receipt["problems"]] == [2, 3]
    assert len(node.found(f"ip:{ip}")) == 1


# --- refusals of the gate ---


def resigned(account: Account, **changes: Any) -> bytes:
    """An envelope whose payload JSON was changed before it was signed."""
    content = json.loads(payload.encode(samples.built(b"x", account.name))) | changes
    return dsse.sign(account.key, json.dumps(content, sort_keys=True, separators=(",", ":")).encode())


def refusals(node: Node) -> dict[str, tuple[int, bytes]]:
    """For each reason of the gate that needs no other bounds: the status, and an envelope for it."""
    now, output = datetime.now(UTC), samples.scan_of(samples.address(), 80)
    account, reader, nonce = node.of("contributor"), node.of("read-only"), secrets.token_urlsafe(24)
    good = account.seal(output)
    forged = json.loads(good) | {"payload": json.loads(account.seal(output))["payload"]}
    revoked, retired = node.account(), node.account()
    keys.revoke(node.services.database, revoked.key.public.keyid, now)
    new = SigningKey.generate().public
    keys.rotate(
        node.services.database,
        keyid=retired.key.public.keyid,
        public_key=new.raw,
        new_keyid=new.keyid,
        now=now - timedelta(hours=2),
        grace_s=3600,
    )
    used = account.seal(output, nonce=nonce)
    assert node.submit(used).status_code == 200
    return {
        "malformed_envelope": (400, b'{"payload": 1}'),
        "malformed_payload": (400, resigned(account, privacy="loud")),
        "not_canonical": (400, dsse.sign(account.key, b" " + payload.encode(samples.built(b"x", account.name)))),
        "unknown_key": (401, samples.sealed(SigningKey.generate(), account.name, output)),
        "bad_signature": (401, json.dumps(forged).encode()),
        "key_revoked": (401, revoked.seal(output)),
        "key_expired": (401, retired.seal(output)),
        "contributor_mismatch": (403, samples.sealed(account.key, reader.name, output)),
        "expired": (400, account.seal(output, now=now - timedelta(days=2))),
        "from_the_future": (400, account.seal(output, now=now + timedelta(hours=1))),
        "nonce_replayed": (409, account.seal(output + b"\n", nonce=nonce)),
        "role_forbidden": (403, reader.seal(output)),
        "envelope_too_large": (413, b" " * (4 * 1024 * 1024 + 1)),
    }


@pytest.mark.parametrize("path", [FAST, DURABLE])
def test_every_refusal_is_a_problem_and_is_counted(node: Node, path: str) -> None:
    """Status and reason of each; the metric of that reason; and a good submission works right after."""
    for reason, (status, envelope) in refusals(node).items():
        line = f'spectra_gate_rejections_total{{reason="{reason}"}}'
        before = node.metric(line)
        is_problem(node.submit(envelope, path), status, reason)
        assert node.metric(line) == before + 1
        ip = samples.address()
        node.submitted(samples.scan_of(ip, 80))
        assert node.found(f"ip:{ip}")


def test_a_refused_submission_leaves_nothing(node: Node) -> None:
    """Not on record, not in the graph, not in the chain."""
    ip = samples.address()
    envelope = samples.sealed(SigningKey.generate(), "nobody", samples.scan_of(ip, 80))
    chain = node.entries()
    node.submit(envelope)
    assert node.found(f"ip:{ip}") == []
    is_problem(node.get(f"/v0/observations/{observation_id(envelope)}"), 404, "not_found")
    assert node.recorded(chain) == []


# --- bounds in front of the gate ---


@contextmanager
def limited(node: Node, rate_per_minute: int) -> Generator[Node]:
    """The node with a rate limit."""
    services = node.services
    policy = Policy(max_envelope_bytes=1 << 22, max_age_s=3600, max_ahead_s=300, rate_per_minute=rate_per_minute)
    ingest = Ingest(
        services.database,
        services.blobs,
        policy=policy,
        limiter=RateLimiter(rate_per_minute),
        max_output_bytes=1 << 24,
        clock=services.clock,
    )
    try:
        with node.variant(ingest=ingest) as other:
            yield other
    finally:
        ingest.close()


def test_a_contributor_has_a_rate_and_an_admin_has_none(node: Node) -> None:
    """429 with `Retry-After` for the third in a minute of two; others and admins are not in it."""
    with limited(node, 2) as strict:
        account = strict.account()

        def send(who: Account) -> Any:
            return strict.submit(who.seal(samples.scan_of(samples.address(), 80)))

        assert [send(account).status_code for _ in range(2)] == [200, 200]
        response = send(account)
        body = is_problem(response, 429, "rate_limited")
        assert 1 <= int(response.headers["retry-after"]) <= 31
        assert 0 < body["retry_after"] <= 30
        assert strict.metric('spectra_gate_rejections_total{reason="rate_limited"}') == 1
        assert send(strict.account()).status_code == 200
        assert [send(strict.of("admin")).status_code for _ in range(5)] == [200] * 5


@pytest.mark.parametrize("path", [FAST, DURABLE])
def test_two_gigabytes_are_refused_by_their_claim(node: Node, path: str) -> None:
    """413 before one byte of it was sent."""
    with raw_connection(node.url) as connection:
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2147483648\r\n\r\n".encode())
        status, fields, body = raw_answer(connection)
    assert (status, fields["content-type"]) == (413, "application/problem+json")
    assert json.loads(body)["reason"] == "envelope_too_large"
    assert "2147483648" in json.loads(body)["detail"]


def test_chunks_without_end_are_refused_at_the_bound(node: Node) -> None:
    """No length was claimed: what came is counted."""
    chunks = (b"x" * 65536 for _ in range(100))
    is_problem(node.ask("POST", FAST, "", content=chunks), 413, "envelope_too_large")


def test_a_slow_body_is_given_up(node: Node) -> None:
    """408, and its place in the queue is free again."""
    with node.variant(body_timeout_s=0.2, max_concurrent_ingests=1) as hasty:
        for _ in range(3):
            with raw_connection(hasty.url) as connection:
                connection.sendall(f"POST {FAST} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{{".encode())
                assert raw_answer(connection)[0] == 408
        hasty.submitted(samples.scan_of(samples.address(), 80))


def test_a_full_queue_answers_busy(node: Node) -> None:
    """One at work and one waiting is all that this one takes: the third is told to come back, and may."""
    envelopes = [node.of("contributor").seal(samples.scan_of(samples.address(), 80)) for _ in range(3)]
    with node.variant(max_concurrent_ingests=1) as narrow, ThreadPoolExecutor(3) as pool:
        with narrow.services.database.transaction() as connection:
            connection.execute("LOCK TABLE observation IN EXCLUSIVE MODE")  # whoever is at work stays at work
            running = {pool.submit(narrow.submit, envelope): envelope for envelope in envelopes}
            first = next(as_completed(running, timeout=30))
            is_problem(first.result(), 503, "busy")
            assert first.result().headers["retry-after"] == "1"
        others = [future for future in running if future is not first]
        assert [future.result(timeout=30).status_code for future in others] == [200, 200]
        assert narrow.submit(running[first]).status_code == 200


def test_slow_strangers_keep_nobody_out(node: Node) -> None:
    """A body takes a place only once it is there: twenty that never end do not fill a queue of one."""
    with node.variant(max_concurrent_ingests=1) as narrow, ExitStack() as stack:
        for _ in range(20):
            connection = stack.enter_context(raw_connection(narrow.url))
            connection.sendall(f"POST {FAST} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{{".encode())
        narrow.submitted(samples.scan_of(samples.address(), 80))


def test_bodies_share_a_bounded_memory(node: Node) -> None:
    """Four of the largest may arrive at once; of five one is told to come back, and what the others held is freed."""
    with node.variant(max_envelope_bytes=50_000) as narrow, ExitStack() as stack:
        held = [stack.enter_context(raw_connection(narrow.url)) for _ in range(5)]
        for connection in held:
            connection.sendall(f"POST {FAST} HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n".encode())
            connection.sendall(b"x" * 49_999)
        refused = select(held, [], [], 30)[0]
        assert [raw_answer(connection)[0] for connection in refused] == [503]
        for connection in held:
            if connection not in refused:
                connection.sendall(b"x")
                assert raw_answer(connection)[0] == 400
        narrow.submitted(samples.scan_of(samples.address(), 80))


def test_eight_clients_with_one_envelope_make_one_observation(node: Node) -> None:
    """All are answered with the same receipt, one of them as the first."""
    envelope = node.of("contributor").seal(samples.scan_of(samples.address(), 22, 80))
    before = node.get("/v0/status").json()["counts"]["observations"]
    with ThreadPoolExecutor(8) as pool:
        answers = [r.json() for r in pool.map(node.submit, [envelope] * 8)]
    assert len({a["observation_id"] for a in answers}) == 1
    assert [a.get("duplicate", False) for a in answers].count(False) == 1
    assert len({json.dumps(a | {"duplicate": True}, sort_keys=True) for a in answers}) == 1
    assert node.get("/v0/status").json()["counts"]["observations"] == before + 1


def test_an_issued_time_is_read_to_the_microsecond(node: Node) -> None:
    """A payload is what was signed: nothing in it is rounded on the way."""
    content: Payload = samples.built(samples.scan_of(samples.address(), 80), node.of("contributor").name)
    envelope = dsse.sign(node.of("contributor").key, payload.encode(content))
    assert node.submit(envelope).json()["observation_id"] == payload.observation_id(payload.encode(content))
