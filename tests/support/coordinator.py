"""A stand-in for the mesh's listener: a real TLS server with a real CA behind step's API and the API of machines.

It keeps its members in memory and can be told to misbehave: to be away, to lose an answer after the fact, to show
another root, to live at another time.
"""

from __future__ import annotations

import secrets
import ssl
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import msgspec
from cryptography import x509 as cx

from spectra.collect.joining import Joining, Wishes
from spectra.fabric.link import TlsFiles
from spectra.fabric.nodefolder import NodeFolder
from spectra.identity import x509
from spectra.identity.ca import Authority
from spectra.identity.errors import IdentityError
from spectra.identity.jointokens import audiences, mint, verify, verify_renew
from spectra.identity.names import node_uri, parse_uri
from spectra.identity.private_file import write
from spectra.identity.results import decode, open_bundle, open_result
from spectra.identity.rotation import verify_registration
from spectra.model.attestations import Challenge, Evidence, Verdict, Word
from spectra.model.lawbook import LawBook
from spectra.model.nodes import AttestationPolicy, Capabilities, FabricPlace, NodeRecord, Role, Standing, Transport
from spectra.model.registration import Registration, Welcome
from spectra.model.results import Bundle, Result, ResultReceipt

MESH = "mesh-test"
ABLE = Capabilities(cores=4, memory_mb=2000, arch="aarch64", os="Debian", software="0.1.0")


@dataclass
class Member:
    """A node as the stand-in knows it."""

    role: Role
    standing: Standing = "invited"
    reason: str = ""
    keyid: str = ""
    capabilities: Capabilities | None = None
    transport: Transport | None = None
    nonce: str = ""
    words: list[str] = field(default_factory=list[str])


@dataclass
class Asked:
    """One request: who asked (empty: no certificate), and what."""

    who: str
    method: str
    path: str


@dataclass
class Coordinator:
    """The mesh. `skew` is how far its clock is ahead; `grace` how long after its end a certificate is renewed."""

    folder: Path
    authority: Authority
    url: str = ""
    fabric: FabricPlace = field(default_factory=FabricPlace)
    lifetime: timedelta = timedelta(hours=24)
    grace: timedelta = timedelta(days=7)
    skew: timedelta = timedelta(0)
    late: timedelta = timedelta(0)
    """How old the certificates are that it renews."""
    policy: AttestationPolicy = "off"
    members: dict[str, Member] = field(default_factory=dict[str, Member])
    used: dict[str, str] = field(default_factory=dict[str, str])
    asked: list[Asked] = field(default_factory=list[Asked])
    away: set[str] = field(default_factory=set[str])
    """Paths that answer 503."""
    deaf: set[str] = field(default_factory=set[str])
    """Paths whose answer gets lost once it was given."""
    law: LawBook = field(default_factory=lambda: LawBook(1))
    """The do-not-scan list that it tells."""
    results: list[Bundle] = field(default_factory=list[Bundle])
    """What machines brought, in order; nothing in it is verified."""
    refusing: dict[str, str] = field(default_factory=dict[str, str])
    """Leases whose results it refuses, and the reason it gives."""
    shown_root: cx.Certificate | None = None
    """What `/root/...` shows instead of the truth."""

    @property
    def now(self) -> datetime:
        """The time it lives at."""
        return datetime.now(UTC) + self.skew

    def token(self, name: str = "board-1", *, role: Role = "worker", ttl: timedelta = timedelta(hours=1)) -> str:
        """A join token; without a name a reusable one."""
        print_ = x509.fingerprint(self.authority.root)
        return mint(
            self.authority.provisioner,
            ca_url=self.url,
            api_url=self.url,
            mesh=MESH,
            role=role,
            fingerprint=print_,
            now=self.now,
            ttl=ttl,
            name=name,
            reusable=not name,
        )

    def throw_out(self, name: str, reason: str = "stolen") -> None:
        """Revoke a node."""
        self.members[name].standing, self.members[name].reason = "revoked", reason

    def paths(self, who: str = "") -> list[str]:
        """What was asked, by a node or by those without a certificate."""
        return [one.path for one in self.asked if one.who == who]

    def server_files(self, name: str = "server") -> TlsFiles:
        """A certificate for loopback, of the CA as it is now."""
        key = x509.new_key()
        uri = node_uri(MESH, "coordinator")
        request = x509.csr(key, "coordinator", [uri, "localhost", "127.0.0.1"])
        issued = self.authority.issue(
            request, subject="coordinator", uris=[uri], dns=["localhost"], ips=["127.0.0.1"], now=self.now, server=True
        )
        base = self.folder / name
        files = TlsFiles(base / "tls.crt", base / "tls.key", base / "roots.pem")
        write(files.cert, issued.pem.encode(), overwrite=True)
        write(files.key, x509.key_pem(key), overwrite=True)
        write(files.roots, x509.pem(*self.authority.roots).encode(), overwrite=True)
        return files

    # --- what it answers ---

    def answer(self, method: str, path: str, who: cx.Certificate | None, body: bytes, bearer: str) -> tuple[int, Any]:
        """Status and body."""
        match method, path.removeprefix("/1.0"):
            case "GET", "/health" | "/v0/health":
                return 200, {"status": "ok"}
            case "GET", "/roots":
                return 200, {"crts": [x509.pem(root) for root in self.authority.roots]}
            case "GET", root if root.startswith("/root/"):
                return self._root(root.removeprefix("/root/"))
            case "POST", "/sign":
                return self._sign(msgspec.json.decode(body))
            case "POST", "/renew":
                return self._renew(who, bearer)
            case _, "/v0/mesh/attest":
                return self._attest(method, who, body)
            case "GET", "/v0/mesh/law":
                return 200, msgspec.to_builtins(self.law)
            case "POST", "/v0/mesh/results":
                return self._result(body)
            case _, own if own in ("/v0/mesh/nodes", "/v0/mesh/self"):
                return self._member(method, own, who, body)
            case _:
                return 404, {"status": 404, "message": "not found"}

    def _result(self, body: bytes) -> tuple[int, Any]:
        bundle = open_bundle(body)
        said = decode(open_result(bytes(bundle.result)).payload)
        if said.lease in self.refusing:
            return 422, {"detail": "no", "reason": self.refusing[said.lease]}
        again = any(bytes(one.result) == bytes(bundle.result) for one in self.results)
        if not again:
            self.results.append(bundle)
        receipt = ResultReceipt(said.lease, "accepted", self.now, said.observations, again)
        return 201, msgspec.to_builtins(receipt)

    def said(self) -> list[Result]:
        """What the results say that were brought."""
        return [decode(open_result(bytes(one.result)).payload) for one in self.results]

    def _root(self, wanted: str) -> tuple[int, Any]:
        known = {x509.fingerprint(root): root for root in self.authority.roots}
        root = self.shown_root or known.get(wanted)
        return (200, {"ca": x509.pem(root)}) if root else (404, {"status": 404, "message": "no such root"})

    def _sign(self, asked: dict[str, str]) -> tuple[int, Any]:
        csr = asked["csr"].encode()
        try:
            said = verify(
                asked["ott"], provisioner=self.authority.provisioner, audiences=audiences(self.url), now=self.now
            )
            request = x509.read_csr(csr)
            spki = x509.spki(request)
            self._require_unused(said.id, spki)
            name = said.name or x509.requested(request)[0] or "made-up"
            issued = self.authority.issue(
                csr,
                subject=name,
                uris=[node_uri(MESH, name)],
                now=self.now,
                lifetime=self.lifetime,
                rename=said.reusable,
            )
        except IdentityError as error:
            return 401, {"status": 401, "message": error.message, "reason": error.reason}
        if not said.reusable:
            self.used[said.id] = spki
        self.members.setdefault(name, Member(said.role))
        return 201, _signed(issued.leaf, issued.chain)

    def _require_unused(self, token: str, spki: str) -> None:
        if self.used.get(token, spki) != spki:
            raise IdentityError("the token was used before", reason="token_used")

    def _renew(self, who: cx.Certificate | None, bearer: str) -> tuple[int, Any]:
        try:
            leaf, name = (who, parse_uri(x509.uri_of(who))[1]) if who else self._expired(bearer)
        except IdentityError as error:
            return 401, {"status": 401, "message": error.message, "reason": error.reason}
        if self.members[name].standing == "revoked":
            return 403, {"status": 403, "message": "the node was revoked", "reason": "revoked"}
        issued = self.authority.renew(leaf, lifetime=self.lifetime, now=self.now - self.late)
        return 201, _signed(issued.leaf, issued.chain)

    def _expired(self, bearer: str) -> tuple[cx.Certificate, str]:
        leaf, chain = verify_renew(bearer, audiences=audiences(self.url, path="renew"), now=self.now)
        return leaf, parse_uri(self.authority.verify(leaf, chain, self.now, self.grace))[1]

    def _attest(self, method: str, who: cx.Certificate | None, body: bytes) -> tuple[int, Any]:
        """Takes a node's word, and keeps what it measured."""
        if who is None:
            return 401, {"detail": "no certificate", "reason": "no_certificate"}
        member = self.members[parse_uri(x509.uri_of(who))[1]]
        if method == "GET":
            member.nonce = secrets.token_hex(32) if self.policy != "off" else ""
            return 200, msgspec.to_builtins(Challenge(self.policy, 600.0, member.nonce))
        said = msgspec.json.decode(body, type=Evidence)
        assert said.nonce == member.nonce
        assert isinstance(said.proof, Word)
        member.words.append(said.proof.statement)
        return 200, msgspec.to_builtins(Verdict(True, member.standing, 600.0, "statement"))

    def _member(self, method: str, path: str, who: cx.Certificate | None, body: bytes) -> tuple[int, Any]:
        if who is None:
            return 401, {"detail": "no certificate", "reason": "no_certificate"}
        name = parse_uri(x509.uri_of(who))[1]
        member = self.members[name]
        if member.standing == "revoked":
            return 403, {"detail": f"{name} was revoked: {member.reason}", "reason": "revoked"}
        if method == "DELETE":
            self.throw_out(name, "left")
            return 204, None
        if path.endswith("nodes"):
            said = msgspec.json.decode(body, type=Registration)
            try:
                statement = verify_registration(said.statement.encode(), now=self.now, max_age_s=300, role="module")
            except IdentityError as error:
                return 401, {"detail": error.message, "reason": error.reason}
            assert statement.contributor == f"node-{name}"
            member.keyid, member.capabilities, member.transport = (
                statement.public_key,
                said.capabilities,
                said.transport,
            )
            member.standing = "active" if member.standing == "invited" else member.standing
        record = NodeRecord(
            name, node_uri(MESH, name), member.role, member.standing, "never", self.now, reason=member.reason
        )
        roots = x509.pem(*self.authority.roots)
        return 201 if path.endswith("nodes") else 200, msgspec.to_builtins(Welcome(record, self.fabric, roots))


def _signed(leaf: cx.Certificate, chain: tuple[cx.Certificate, ...]) -> dict[str, Any]:
    return {
        "crt": x509.pem(leaf),
        "ca": x509.pem(chain[0]),
        "certChain": [x509.pem(leaf), *(x509.pem(one) for one in chain)],
        "tlsOptions": {"minVersion": 1.2},
    }


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    coordinator: Coordinator

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """The handshake first, on the connection's own thread."""
        request.settimeout(30)
        try:
            request = _context(self.coordinator).wrap_socket(request, server_side=True)
        except OSError:  # the client does not like our certificate, or has gone
            self.shutdown_request(request)
            return
        super().process_request_thread(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Handshakes that fail and clients that go away are part of the tests."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


@contextmanager
def serving(coordinator: Coordinator, port: int = 0) -> Generator[Coordinator]:
    """The coordinator at work on loopback, its URL set, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._handle()

        def do_POST(self) -> None:
            self._handle()

        def do_DELETE(self) -> None:
            self._handle()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing on the terminal."""

        def date_time_string(self, timestamp: float | None = None) -> str:
            """The time that the coordinator lives at."""
            return format_datetime(coordinator.now, usegmt=True)

        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            der = cast("ssl.SSLSocket", self.request).getpeercert(binary_form=True)
            who = x509.read_der(der) if der else None
            name = parse_uri(x509.uri_of(who))[1] if who else ""
            coordinator.asked.append(Asked(name, self.command, self.path))
            if self.path in coordinator.away:
                self._say(503, {"detail": "starting"})
                return
            bearer = (self.headers.get("authorization") or "").removeprefix("Bearer ")
            status, said = coordinator.answer(self.command, self.path, who, body, bearer)
            if self.path in coordinator.deaf:
                coordinator.deaf.discard(self.path)
                self.close_connection = True
                return
            self._say(status, said)

        def _say(self, status: int, said: Any) -> None:
            data = b"" if said is None else msgspec.json.encode(said)
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    server = _Server(("127.0.0.1", port), Handler)
    server.coordinator = coordinator
    coordinator.url = f"https://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield coordinator
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _context(coordinator: Coordinator) -> ssl.SSLContext:
    """Asks for a certificate and takes none as well, as the mesh's listener does."""
    files = TlsFiles(
        coordinator.folder / "server" / "tls.crt",
        coordinator.folder / "server" / "tls.key",
        coordinator.folder / "server" / "roots.pem",
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.cert, files.key)
    context.load_verify_locations(cadata=x509.pem(*coordinator.authority.roots))
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def coordinator(folder: Path, **wishes: Any) -> Coordinator:
    """A mesh with a CA of its own below `folder`, whose clock may be off (`skew`)."""
    skew = wishes.get("skew", timedelta(0))
    a_month_ago = datetime.now(UTC) + skew - timedelta(days=30)  # so that it can have certified something in the past
    authority = Authority.create(folder / "ca", MESH, a_month_ago)
    made = Coordinator(folder, authority, **wishes)
    made.server_files()
    return made


def joined(mesh: Coordinator, folder: Path, wishes: Wishes | None = None) -> NodeFolder:
    """The folder of a node that joined `mesh`."""
    made = NodeFolder(folder)
    Joining(made, now=lambda: mesh.now, pause=lambda _: None).join(mesh.token(), wishes or Wishes(), lambda: ABLE, None)
    return made
