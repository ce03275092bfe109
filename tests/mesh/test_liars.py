"""Nodes that lie: with real certificates of a real coordinator, over NATS, MQTT and HTTPS. Each lie is refused, counted
and visible, and costs the honest nodes nothing.
"""

from __future__ import annotations

import contextlib
import secrets
import ssl
from collections.abc import Generator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import httpx
import msgspec
import pytest

from spectra.api.meshapp import MESH_ROUTERS
from spectra.api.meshserver import BOUNDS
from spectra.fabric import messages, subjects
from spectra.fabric.link import TlsFiles
from spectra.fabric.messages import Lost, Pong
from spectra.fabric.nodefolder import NodeFolder
from spectra.identity import x509
from spectra.identity.ca import Authority
from spectra.identity.jointokens import mint, renew_token
from spectra.identity.names import node_uri
from spectra.identity.provisioner import Provisioner
from spectra.identity.rotation import build_registration
from tests.mesh.liars import (
    CAN,
    Liar,
    ask,
    client,
    connect_packet,
    context,
    count,
    hangs_up,
    now,
    publish_packet,
    refused,
    sign,
    spki_of,
    status,
    tcp,
    tls,
)
from tests.mesh.town import Town, lines, town
from tests.support import samples
from tests.support.fabrics import Heard
from tests.support.waiting import eventually

pytestmark = [pytest.mark.engine, pytest.mark.fault]

VICTIM = "honest-mqtt"
SILENT = {"url": "127.0.51.1", "nats": "127.0.51.2", "mqtt": "127.0.51.3"}  # who begins handshakes and ends none
WRONG_A_MINUTE = 60


@pytest.fixture(scope="module")
def mesh() -> Generator[Town]:
    """A mesh with two honest nodes, and somebody who keeps handshakes open from the beginning."""
    with town(SPECTRA_LIMITS__MESH_FAILURES_PER_MINUTE=str(WRONG_A_MINUTE)) as made, ExitStack() as stack:
        made.joined(VICTIM)
        made.joined("honest-nats", role="full")
        for where, source in SILENT.items():
            stack.enter_context(tcp(status(made)[where], source))
        yield made


@pytest.fixture(scope="module", params=["nats", "mqtt"])
def liar(mesh: Town, request: pytest.FixtureRequest) -> Generator[Liar]:
    """An active node that speaks one of the two protocols."""
    made = Liar(mesh, f"liar-{request.param}", "full" if request.param == "nats" else "worker")
    yield made
    made.close()


@pytest.fixture
def another(mesh: Town) -> Generator[Liar]:
    """An active node that is this test's own."""
    made = Liar(mesh, f"liar-{secrets.token_hex(4)}", "full")
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _unmoved(mesh: Town) -> Generator[None]:
    """After each lie the honest nodes are alive, as they were all the time."""
    yield
    for name in (VICTIM, "honest-nats"):
        mesh.wait(name, presence="alive", standing="active")
    assert not mesh.turns(VICTIM, "honest-nats")


# --- the fabric ---


def test_nobody_speaks_on_anothers_subjects(mesh: Town, liar: Liar) -> None:
    """Not in its name, not to it, not to all, and not to the broker's own services."""
    link = liar.link()
    incarnation = liar.incarnation + 10**9
    stolen = [subjects.presence(VICTIM), subjects.reply(VICTIM), subjects.work(VICTIM)]
    stolen += [subjects.control(VICTIM), subjects.assign(VICTIM), subjects.ALL, "$SYS.REQ.SERVER.PING"]
    stolen += ["$JS.API.STREAM.CREATE.mine", "$JS.API.STREAM.LIST"] if liar.transport == "nats" else []
    with refused(mesh, "forbidden_publish", liar.name, len(stolen)):
        for subject in stolen:
            link.publish(subject, liar.beat(VICTIM, incarnation=incarnation, leaving=True))
    liar.is_heard(link)


def test_nobody_listens_in(mesh: Town, liar: Liar) -> None:
    """Not to what another is told or says, and not to everything; what goes on meanwhile does not reach it."""
    heard, link = Heard(), liar.link()
    stolen = [subjects.control(VICTIM), subjects.assign(VICTIM), subjects.presence(VICTIM), "spectra.presence.*"]
    stolen += ["spectra.reply.*", "spectra.ctl.*", "spectra.>", ">"]
    stolen += ["$SYS.>", "_INBOX.>", "$MQTT.>"] if liar.transport == "nats" else []
    with refused(mesh, "forbidden_subscribe", liar.name, len(stolen)):
        for subject in stolen:
            link.subscribe(subject, heard)
    mesh.wait(VICTIM, after=now())
    liar.is_heard(link)
    assert heard.told == []


def test_what_it_says_of_itself_is_looked_at(mesh: Town, liar: Liar) -> None:
    """On its own subject, where the broker lets it speak: another's name, heartbeats of the past, and rubbish."""
    own, answers = subjects.presence(liar.name), subjects.reply(liar.name)
    liar.is_heard(liar.link())  # of a stranger only the last word on each subject waits until it is looked up
    recorded = [liar.beat() for _ in range(3)]
    true = liar.beat()
    huge = b'{"version":1,"pad":"' + b"x" * messages.MAX_BYTES + b'"}'
    others = [liar.beat(VICTIM), messages.encode(Lost(1, VICTIM))]
    old = [*recorded, liar.beat(incarnation=liar.incarnation - 1)]
    rubbish = [b"", b"{", b"\xff" * 40, b"[" * 5000, huge, liar.beat(every_s=1e9), liar.beat(seq=-1)]
    pongs = [messages.encode(Pong("a", VICTIM)), messages.encode(Pong("never-asked", liar.name))]
    with refused(mesh, "impostor", liar.name, 3), refused(mesh, "replay", liar.name, 5):
        liar.say(*((own, data) for data in (true, *others, *old)), *((answers, data) for data in pongs))
    with refused(mesh, "malformed_message", liar.name, len(rubbish)):
        liar.say(*((own, data) for data in rubbish))
    with refused(mesh, "flood", liar.name):
        liar.say(*((own, liar.beat()) for _ in range(200)))
    liar.is_heard(liar.link())


def test_a_will_is_no_way_around(mesh: Town) -> None:
    """A last will in another's name, which the broker would say for it: the connection is refused, or the will is."""
    liar = Liar(mesh, "liar-will")
    will = (subjects.topic(subjects.presence(VICTIM)), messages.encode(Lost(1, VICTIM)))
    before = len(mesh.turns(VICTIM, presence="suspect"))
    with (
        refused(mesh, "forbidden_publish", liar.name),
        tls(liar.places["mqtt"], context(mesh, liar.folder.tls)) as sock,
    ):
        sock.sendall(connect_packet("anything", will))
        sock.recv(4)
    mesh.wait(VICTIM, after=now(), presence="alive")
    assert len(mesh.turns(VICTIM, presence="suspect")) == before


def test_too_much_at_once_ends_the_connection(mesh: Town, liar: Liar) -> None:
    """More than the broker takes in one message; the next connection is as good as any."""
    secured, data = context(mesh, liar.folder.tls), b"x" * (2 * 1024 * 1024)
    with refused(mesh, "too_large", liar.name), tls(liar.places[liar.transport], secured) as sock:
        if liar.transport == "nats":
            sock.sendall(b'CONNECT {"verbose":false,"pedantic":false}\r\n')
            start = f"PUB {subjects.presence(liar.name)} {len(data)}\r\n".encode()
        else:
            sock.sendall(connect_packet("anything"))
            assert sock.recv(4) == b"\x20\x02\x00\x00"
            start = b""
            data = publish_packet(subjects.topic(subjects.presence(liar.name)), data)
        with contextlib.suppress(ConnectionError, ssl.SSLError):  # it may hang up meanwhile
            sock.sendall(start + data)
        assert hangs_up(sock)
    liar.is_heard(liar.link())


def test_a_quarantined_node_gets_no_work(mesh: Town, another: Liar) -> None:
    """What an active node may do is over at once, on the connection that is open; it is heard as before."""
    link = another.link()
    link.publish(subjects.work(another.name), b"{}")
    another.is_heard(link)
    assert count(mesh, "forbidden_publish", another.name) == 0
    mesh.post(f"/v0/nodes/{another.name}/quarantine", {"reason": "it lies"})

    def is_refused() -> bool:
        link.publish(subjects.work(another.name), b"{}")
        return count(mesh, "forbidden_publish", another.name) > 0

    eventually(is_refused, 30, every_s=0.2)
    with refused(mesh, "forbidden_subscribe", another.name, 2):
        for subject in (subjects.assign(another.name), subjects.ALL):
            link.subscribe(subject, Heard())
        link.reload()
    eventually(lambda: link.connected)
    another.is_heard(link)
    assert mesh.node(another.name)["standing"] == "quarantined"


# --- certificates ---


def test_without_a_certificate_no_machine_is_served(mesh: Town) -> None:
    """Every route for machines says so; those of people are not there; the CA is not where people are served."""
    source = "127.0.52.1"
    paths = {(m, r.path) for router in MESH_ROUTERS for r in router.routes for m in getattr(r, "methods", ())}  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType, reportUnknownArgumentType]
    own = sorted((m, p) for m, p in paths if p.startswith("/v0/mesh/") and "ingest" not in p)
    assert len(own) >= 6
    with refused(mesh, "unauthenticated", source, len(own)), client(mesh, source=source) as one:
        for method, path in own:
            answer = one.request(method, path, json={})
            assert answer.status_code in (401, 403), (method, path)
            assert answer.json()["reason"] == "unauthenticated"
        assert [one.get(path).status_code for path in ("/v0/nodes", "/v0/status", "/v0/nodes/tokens")] == [404] * 3
        assert one.post("/v0/mesh/ingest", content=b"{}").status_code in (400, 401, 403)
    with mesh.running.client() as people:
        for path in ("/1.0/sign", "/sign", "/renew", "/v0/mesh/nodes", "/v0/mesh/attest"):
            assert people.post(path, json={}).status_code in (404, 405), path


def forged(mesh: Town, folder: Path) -> TlsFiles:
    """A certificate in an honest node's name, by a CA of a stranger that calls itself as ours does."""
    name = status(mesh)["name"]
    ca = Authority.create(folder / "ca", name, now())
    key = x509.new_key()
    uri = node_uri(name, VICTIM)
    issued = ca.issue(
        x509.csr(key, VICTIM, [uri]), subject=VICTIM, uris=[uri], lifetime=timedelta(hours=1), now=now(), server=True
    )
    files = TlsFiles(folder / "tls.crt", folder / "tls.key", folder / "roots.pem")
    files.cert.write_text(issued.pem)
    files.key.write_bytes(x509.key_pem(key))
    return files


@pytest.mark.parametrize("where", ["url", "nats", "mqtt"])
def test_a_strangers_ca_is_none(mesh: Town, tmp_path: Path, where: str) -> None:
    """At every port the connection ends in the handshake."""
    source = f"127.0.53.{['url', 'nats', 'mqtt'].index(where) + 1}"
    with refused(mesh, "untrusted", source):
        try:
            with tls(status(mesh)[where], context(mesh, forged(mesh, tmp_path)), source) as sock:
                assert hangs_up(sock)
        except (ssl.SSLError, ConnectionError):
            pass  # sooner than we could listen


def test_who_is_revoked_is_out_for_good(mesh: Town, another: Liar) -> None:
    """Its open connection ends; it is refused at every door, and its key gets no other certificate."""
    link = another.link()
    another.is_heard(link)
    spare = mesh.token("spare")
    with refused(mesh, "not_a_member", another.name):
        mesh.post(f"/v0/nodes/{another.name}/revoke", {"reason": "it lies"})
        another.errors.wait_until(lambda told: told[0].reason == "refused")
    assert not link.connected
    with refused(mesh, "revoked", another.name, 4):
        for method, path in (("GET", "/v0/mesh/self"), ("POST", "/v0/mesh/nodes"), ("POST", "/1.0/renew")):
            answer = another.ask(method, path, json={})
            assert (answer.status_code, answer.json()["reason"]) == (403, "revoked"), path
        token = renew_token(another.folder.tls_key, another.folder.chain, ca_url=another.folder.state.ca_url, now=now())
        assert another.ask("POST", "/renew", headers={"authorization": f"Bearer {token}"}).json()["reason"] == "revoked"
    source = "127.0.54.1"
    with refused(mesh, "revoked", source):
        answer = sign(mesh, x509.csr(another.folder.tls_key, "spare", []), spare, source=source)
        assert (answer.status_code, answer.json()["reason"]) == (403, "revoked"), answer.text


def test_a_renewal_for_another_ca_is_none_here(mesh: Town, liar: Liar) -> None:
    """A token that the node's key signed for somebody else, who passes it on; and one that another key signed."""
    source, chain, url = "127.0.55.1", liar.folder.chain, liar.folder.state.ca_url
    here = renew_token(liar.folder.tls_key, chain, ca_url=url, now=now())
    elsewhere = renew_token(liar.folder.tls_key, chain, ca_url="https://elsewhere.example", now=now())
    old = renew_token(liar.folder.tls_key, chain, ca_url=url, now=now() - timedelta(hours=1))
    mixed = f"{here.rpartition('.')[0]}.{elsewhere.rpartition('.')[2]}"
    before = mesh.node(liar.name)["certificate"]
    with refused(mesh, "bad_token", source, 2), refused(mesh, "token_expired", source):
        for token in (elsewhere, mixed, old):
            answer = ask(mesh, "POST", "/1.0/renew", source=source, headers={"authorization": f"Bearer {token}"})
            assert answer.status_code == 401, answer.text
    assert mesh.node(liar.name)["certificate"] == before


# --- joining ---


def test_a_token_that_was_overheard_is_worth_nothing(mesh: Town) -> None:
    """With another key it is used up; with the request that was overheard too, the certificate is for the first key."""
    source, token, key = "127.0.56.1", mesh.token("overheard"), x509.new_key()
    request = x509.csr(key, "overheard", [])
    first = sign(mesh, request, token)
    with refused(mesh, "token_used", source):
        answer = sign(mesh, x509.csr(x509.new_key(), "overheard", []), token, source=source)
        assert (answer.status_code, answer.json()["reason"]) == (401, "token_used")
    assert spki_of(sign(mesh, request, token, source=source)) == spki_of(first) == x509.spki(key)


def test_a_token_is_for_one_name(mesh: Town) -> None:
    """A request for any other is refused, and does not use the token up for whom it is meant."""
    source, name = "127.0.57.1", status(mesh)["name"]
    token, key = mesh.token("newcomer"), x509.new_key()
    wishes = [
        (VICTIM, []),
        ("newcomer", [node_uri(name, VICTIM)]),
        ("newcomer", [node_uri(name, status(mesh)["node"])]),
        ("newcomer", [node_uri("mesh-other", "newcomer")]),
        ("newcomer", ["localhost"]),
        ("newcomer", ["127.0.0.1"]),
        ("newcomer", [f"{'0' * 40}.keys.{name}"]),
    ]
    with refused(mesh, "forbidden_name", source, len(wishes)):
        for common, sans in wishes:
            answer = sign(mesh, x509.csr(key, common, sans), token, source=source)
            assert (answer.status_code, answer.json()["reason"]) == (403, "forbidden_name"), (common, sans)
    assert spki_of(sign(mesh, x509.csr(key, "newcomer", []), token)) == x509.spki(key)


def test_a_token_that_another_key_signed_is_none(mesh: Town) -> None:
    """By the key of a provisioner that calls itself ours; and our own signature under other words."""
    source, where = "127.0.58.1", status(mesh)
    foreign = mint(
        Provisioner.create(),
        ca_url=where["url"],
        api_url=where["url"],
        mesh=where["name"],
        fingerprint="0" * 64,
        role="worker",
        name="king",
        now=now(),
        ttl=timedelta(hours=1),
    )
    head, _, signature = mesh.token("pawn").split(".")
    changed = ".".join((head, foreign.split(".")[1], signature))
    with refused(mesh, "bad_token", source, 2):
        for token in (foreign, changed):
            answer = sign(mesh, x509.csr(x509.new_key(), "king", []), token, source=source)
            assert (answer.status_code, answer.json()["reason"]) == (401, "bad_token")


# --- acting for another, with a certificate ---


def test_a_key_is_registered_for_its_node_alone(mesh: Town, liar: Liar) -> None:
    """A statement in another's name, or in a role that submits more than a node may: refused, and nothing changes."""
    before = mesh.node(VICTIM)["keyid"]
    with refused(mesh, "impostor", liar.name, 3):
        for contributor, role in ((f"node-{VICTIM}", "module"), ("local", "admin"), (f"node-{liar.name}", "admin")):
            said = build_registration(liar.folder.signing_key, contributor=contributor, role=role, now=now())
            body = {"statement": said.decode(), "capabilities": msgspec.to_builtins(CAN), "transport": "mqtt"}
            answer = liar.ask("POST", "/v0/mesh/nodes", json=body)
            assert not answer.is_success, answer.text
            assert answer.json()["reason"] == "impostor"
    assert mesh.node(VICTIM)["keyid"] == before


def test_what_one_node_signs_is_not_anothers(mesh: Town, liar: Liar) -> None:
    """Its own submission is taken; the same in another's name is not, and who tried is told."""
    with refused(mesh, "contributor_mismatch", liar.name):
        output = samples.nmap(samples.nmap_host(samples.address(), 80))
        envelope = samples.sealed(liar.folder.signing_key, f"node-{VICTIM}", output)
        answer = liar.ask("POST", "/v0/mesh/ingest", content=envelope)
        assert answer.status_code in (401, 403), answer.text


# --- too much ---


def test_one_address_cannot_take_every_connection(mesh: Town) -> None:
    """Who opens more than one machine needs is cut off; others come through, and it too once it has closed some."""
    greedy, url = "127.0.59.1", status(mesh)["url"]
    with refused(mesh, "too_many_connections", greedy), ExitStack() as stack:
        held = [stack.enter_context(tcp(url, greedy)) for _ in range(BOUNDS.connections_of_one + 1)]
        held[-1].settimeout(30)
        assert held[-1].recv(1) == b""
        assert as_honest(mesh).status_code == 200
    eventually(lambda: reaches(mesh, greedy), every_s=0.2)


def reaches(mesh: Town, source: str) -> bool:
    """Whether who comes from an address is answered."""
    try:
        return ask(mesh, "GET", "/health", source=source).status_code == 200
    except httpx.TransportError:
        return False


def as_honest(mesh: Town) -> httpx.Response:
    """What an honest node hears when it asks for itself."""
    return ask(
        mesh, "GET", "/v0/mesh/self", tls=NodeFolder(mesh.running.folder.with_name(VICTIM) / "data" / "node").tls
    )


def test_who_is_wrong_all_the_time_has_to_wait(mesh: Town) -> None:
    """Its network alone: others are answered as before."""
    with client(mesh, source="127.0.60.1") as one:
        answers = (one.get("/v0/mesh/self") for _ in range(10 * WRONG_A_MINUTE))
        answer = next(answer for answer in answers if answer.status_code != 401)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    assert as_honest(mesh).status_code == 200


def test_handshakes_that_never_end_are_ended(mesh: Town) -> None:
    """Those that were begun before all other tests, one at each port: counted, each for its own."""
    for source in SILENT.values():
        eventually(lambda: count(mesh, "handshake", source), 30, every_s=0.2)  # noqa: B023 - asked within the round


# --- seen ---


def test_an_operator_sees_it_all(mesh: Town) -> None:
    """By the command line and the API alike, counted by kind and by who; none of it is an honest node's doing."""
    told = lines(mesh.running.cli("node", "refusals", "--json", "--limit", "1000"))
    asked = mesh.running.get("/v0/nodes/refusals", limit=1000)["refusals"]
    assert {(one["kind"], one["who"]) for one in told} == {(one["kind"], one["who"]) for one in asked}
    kinds = {one["kind"] for one in told}
    assert {"forbidden_publish", "forbidden_subscribe", "impostor", "replay", "malformed_message"} <= kinds
    assert {"not_a_member", "revoked", "untrusted", "token_used", "forbidden_name", "bad_token"} <= kinds
    assert not [one for one in told if one["who"].startswith("honest")]
    assert all(one["count"] >= 1 and one["first"] <= one["last"] for one in told)
    for name in (VICTIM, "honest-nats"):
        mesh.wait(name, after=now(), presence="alive")
