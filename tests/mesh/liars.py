"""A machine that joined a real mesh and lies: it has a good certificate, and says what it likes over every protocol."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx

from spectra.collect.joining import Joining, Wishes
from spectra.fabric import messages, subjects
from spectra.fabric.link import TlsFiles
from spectra.fabric.mqttlink import MqttLink
from spectra.fabric.natslink import NatsLink
from spectra.fabric.nodefolder import NodeFolder
from spectra.identity import x509
from spectra.model.nodes import Capabilities, Heartbeat, Transport
from tests.mesh.town import Town
from tests.support.fabrics import Heard
from tests.support.waiting import eventually

CAN = Capabilities(cores=4, memory_mb=2048, arch="aarch64", os="Linux", software="0.1")
EVERY = 0.5

Where = Literal["nats", "mqtt", "https"]


def now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


class Liar:
    """A node of the mesh in this process; what it opens is closed by `close`."""

    def __init__(self, town: Town, name: str, role: Literal["worker", "full"] = "worker") -> None:
        self.town = town
        self.name = name
        self.folder = NodeFolder(town.running.folder / "liars" / name)
        self.transport: Transport = "nats" if role == "full" else "mqtt"
        self.errors = Heard()
        self.token = town.token(name, role=role)
        self._stack = ExitStack()
        self._seq = 0
        self.incarnation = int(now().timestamp() * 1000)
        Joining(self.folder, now=now, pause=threading.Event().wait).join(self.token, Wishes(), lambda: CAN, None)

    def close(self) -> None:
        """Close its links."""
        self._stack.close()

    @property
    def places(self) -> dict[str, str]:
        """Where the mesh is, as it told every node."""
        place = self.folder.state.fabric
        return {"nats": place.nats, "mqtt": place.mqtt, "https": self.folder.state.api_url}

    # --- the fabric ---

    def link(self) -> NatsLink | MqttLink:
        """A connected link by its transport, closed with the liar."""
        place = urlsplit(self.places[self.transport])
        made: NatsLink | MqttLink
        if self.transport == "nats":
            made = NatsLink([place.geturl()], self.folder.tls, self.name, on_error=self.errors)
        else:
            assert place.hostname
            assert place.port
            made = MqttLink(place.hostname, place.port, self.folder.tls, self.name, on_error=self.errors)
        self._stack.callback(made.close)
        eventually(lambda: made.connected)
        return made

    def beat(self, node: str = "", **changed: Any) -> bytes:
        """Its next heartbeat, or what it says one to be."""
        self._seq += 1
        fields: dict[str, Any] = {"incarnation": self.incarnation, "seq": self._seq, "every_s": EVERY, **changed}
        return messages.encode(Heartbeat(version=1, node=node or self.name, sent=now(), **fields))

    def is_heard(self, link: NatsLink | MqttLink) -> None:
        """Say a true heartbeat and wait until it counts: all that was said before on this link has been looked at."""
        moment = now()
        link.publish(subjects.presence(self.name), self.beat())
        self.town.wait(self.name, after=moment)

    def say(self, *said: tuple[str, bytes]) -> None:
        """Subjects and data in our own words of the protocol: a link of ours would not say everything."""
        with tls(self.places[self.transport], context(self.town, self.folder.tls)) as sock:
            if self.transport == "nats":
                sock.sendall(b'CONNECT {"verbose":false,"pedantic":false}\r\n')
                sock.sendall(b"".join(b"PUB %b %d\r\n%b\r\n" % (s.encode(), len(data), data) for s, data in said))
                sock.sendall(b"PING\r\n")
            else:
                sock.sendall(connect_packet(f"{self.name}-raw"))
                sock.sendall(b"".join(publish_packet(subjects.topic(subject), data) for subject, data in said))
                sock.sendall(packet(0xC0, b""))
            heard = b""
            while b"PONG" not in heard and not heard.endswith(b"\xd0\x00"):  # all before it has been taken
                more = sock.recv(4096)
                assert more, heard
                heard += more

    # --- HTTPS ---

    def ask(self, method: str, path: str, *, source: str = "127.0.0.1", **options: Any) -> httpx.Response:
        """One request, with its certificate."""
        return ask(self.town, method, path, tls=self.folder.tls, source=source, **options)


def context(town: Town, tls: TlsFiles | None = None) -> ssl.SSLContext:
    """TLS that trusts the mesh, and shows a certificate where one is given."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.load_verify_locations(town.running.data_dir / "mesh" / "node" / "roots.pem")
    if tls is not None:
        made.load_cert_chain(tls.cert, tls.key)
    return made


def client(town: Town, *, tls: TlsFiles | None = None, source: str = "127.0.0.1") -> httpx.Client:
    """A client of the mesh's listener that comes from the address `source`, which refusals name."""
    transport = httpx.HTTPTransport(verify=context(town, tls), local_address=source)
    return httpx.Client(base_url=status(town)["url"], transport=transport, timeout=60)


def ask(
    town: Town, method: str, path: str, *, tls: TlsFiles | None = None, source: str = "127.0.0.1", **options: Any
) -> httpx.Response:
    """One request to the mesh's listener."""
    with client(town, tls=tls, source=source) as one:
        return one.request(method, path, **options)


def sign(town: Town, csr: bytes, token: str, *, source: str = "127.0.0.1") -> httpx.Response:
    """Ask the CA for a certificate."""
    return ask(town, "POST", "/1.0/sign", source=source, json={"csr": csr.decode(), "ott": token})


def status(town: Town) -> dict[str, str]:
    """Where the mesh is."""
    return town.running.get("/v0/status")["mesh"]


def spki_of(answer: httpx.Response) -> str:
    """The key of the certificate in an answer."""
    assert answer.status_code == 201, answer.text
    return x509.spki(x509.read_pem("".join(answer.json()["certChain"]))[0])


def tcp(url: str, source: str = "127.0.0.1") -> socket.socket:
    """A connection from `source`, which says nothing."""
    place = urlsplit(url)
    assert place.hostname
    assert place.port
    return socket.create_connection((place.hostname, place.port), 60, source_address=(source, 0))


def tls(url: str, secured: ssl.SSLContext, source: str = "127.0.0.1") -> ssl.SSLSocket:
    """The same with TLS."""
    sock = tcp(url, source)
    if url.startswith("tls:"):
        assert sock.recv(4096).startswith(b"INFO")  # NATS speaks before TLS
    return secured.wrap_socket(sock, server_hostname=urlsplit(url).hostname)


def hangs_up(sock: ssl.SSLSocket) -> bool:
    """Whether the other side ends the connection: what comes before is read."""
    try:
        while sock.recv(4096):
            pass
    except (ssl.SSLError, ConnectionError):
        pass
    return True


def connect_packet(client_id: str, will: tuple[str, bytes] | None = None) -> bytes:
    """MQTT's CONNECT (3.1.1, section 3.1), clean session."""

    def field(data: bytes) -> bytes:
        return len(data).to_bytes(2, "big") + data

    flags = 0x02 | (0x04 if will else 0)
    body = field(b"MQTT") + bytes([4, flags]) + (60).to_bytes(2, "big") + field(client_id.encode())
    if will:
        body += field(will[0].encode()) + field(will[1])
    return packet(0x10, body)


def publish_packet(topic: str, data: bytes) -> bytes:
    """MQTT's PUBLISH with QoS 0."""
    return packet(0x30, len(topic).to_bytes(2, "big") + topic.encode() + data)


def packet(kind: int, body: bytes) -> bytes:
    """A packet with its length (section 2.2.3)."""
    length, left = b"", len(body)
    while True:
        left, digit = divmod(left, 128)[0], left % 128
        length += bytes([digit | (0x80 if left else 0)])
        if not left:
            return bytes([kind]) + length + body


def count(town: Town, kind: str, who: str) -> int:
    """How often something was refused to somebody."""
    found = town.running.get("/v0/nodes/refusals", kind=kind, limit=1000)["refusals"]
    return sum(one["count"] for one in found if one["who"] == who)


@contextmanager
def refused(town: Town, kind: str, who: str, least: int = 1) -> Generator[None]:
    """What is done in the block is refused to `who`, at least so often, and counted as this."""
    before = count(town, kind, who)
    yield

    def counted() -> bool:
        return count(town, kind, who) >= before + least

    try:
        eventually(counted, 30, every_s=0.2)
    except AssertionError as error:
        raise AssertionError(f"{kind} of {who}: {town.running.get('/v0/nodes/refusals')}") from error
