"""HTTPS as a node speaks it: what a wrong clock, a stranger's certificate and a strange answer are called."""

from __future__ import annotations

import http.server
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from spectra.fabric.calls import MAX_ANSWER_BYTES, Refused, Upload, anybody, call, trusting, wrong_clock
from spectra.fabric.errors import MeshError, Unreachable
from spectra.fabric.link import TlsFiles
from spectra.identity.ca import Authority
from tests.support.coordinator import Coordinator, coordinator, serving


def now() -> datetime:
    """The clock of this machine."""
    return datetime.now(UTC)


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Coordinator]:
    """A coordinator at work."""
    with serving(coordinator(tmp_path / "mesh")) as running:
        yield running


def health(mesh: Coordinator, trust: ssl.SSLContext, at: datetime | None = None) -> dict[str, str]:
    """The simplest call."""
    return call("GET", f"{mesh.url}/health", dict[str, str], trust=trust, now=at or now())


def test_an_answer(mesh: Coordinator) -> None:
    """Of the server that our roots vouch for, or of anybody where that does not matter."""
    assert health(mesh, trusting(mesh.authority.roots)) == {"status": "ok"}
    assert health(mesh, anybody()) == {"status": "ok"}


def test_a_stranger(mesh: Coordinator, tmp_path: Path) -> None:
    """A server of another CA, or one that is called by another name, is not spoken to."""
    other = Authority.create(tmp_path / "other", "mesh-other", now())
    with pytest.raises(MeshError) as refused:
        health(mesh, trusting(other.roots))
    assert refused.value.reason == "untrusted"
    assert mesh.asked == []
    mesh.url = mesh.url.replace("127.0.0.1", "127.0.0.2")
    with pytest.raises(MeshError, match=r"does not prove|no answer"):
        health(mesh, trusting(mesh.authority.roots))


def test_nobody_answers(mesh: Coordinator) -> None:
    """A closed port and a server that is starting are both worth another try."""
    mesh.away.add("/health")
    with pytest.raises(Unreachable, match="is busy: starting"):
        health(mesh, anybody())
    with pytest.raises(Unreachable, match=r"no answer from 127\.0\.0\.1"):
        call("GET", "https://127.0.0.1:1/health", dict[str, str], trust=anybody(), now=now())


def test_a_clock_that_is_behind(tmp_path: Path) -> None:
    """Ten minutes: the server's fresh certificate is not valid yet here. The message names the clock."""
    skew = timedelta(minutes=10)
    with serving(coordinator(tmp_path / "mesh", skew=skew)) as mesh, pytest.raises(MeshError) as wrong:
        health(mesh, trusting(mesh.authority.roots))
    assert wrong.value.reason == "wrong_clock"
    assert "clock is 10 min behind that of 127.0.0.1" in str(wrong.value)


def test_a_clock_that_is_ahead(tmp_path: Path) -> None:
    """Days: the server's certificate seems to have ended."""
    with serving(coordinator(tmp_path / "mesh", skew=timedelta(days=-2))) as mesh, pytest.raises(MeshError) as wrong:
        health(mesh, trusting(mesh.authority.roots))
    assert wrong.value.reason == "wrong_clock"
    assert "48 h ahead of" in str(wrong.value)


def test_a_certificate_that_really_ended(mesh: Coordinator) -> None:
    """With clocks that agree it is the server's fault, and called that."""
    mesh.skew = timedelta(days=-2)
    mesh.server_files()
    mesh.skew = timedelta(0)
    with pytest.raises(MeshError, match="expired") as ended:
        health(mesh, trusting(mesh.authority.roots))
    assert ended.value.reason == "untrusted"


def test_a_refusal_for_the_time(mesh: Coordinator) -> None:
    """What the server calls expired, a clock that is off explains; with the right time it is just expired."""
    url, body = f"{mesh.url}/1.0/sign", {"csr": "", "ott": mesh.token(ttl=timedelta(minutes=1))}
    mesh.skew = timedelta(minutes=10)
    with pytest.raises(MeshError) as wrong:
        call("POST", url, dict[str, str], trust=anybody(), now=now(), body=body)
    assert wrong.value.reason == "wrong_clock"
    with pytest.raises(Refused) as refused:
        call("POST", url, dict[str, str], trust=anybody(), now=mesh.now, body=body)
    assert refused.value.reason == "token_expired"


def test_how_wrong_a_clock_is() -> None:
    """In words that a person can act on."""
    assert "10 min behind" in wrong_clock("x", -600).message
    assert "3 h ahead of" in wrong_clock("x", 3 * 3600.0).message


def test_other_words(mesh: Coordinator) -> None:
    """An answer of another shape is said to be one, and so is a URL that is none."""
    with pytest.raises(MeshError) as bad:
        call("GET", f"{mesh.url}/health", list[int], trust=anybody(), now=now())
    assert bad.value.reason == "bad_answer"
    with pytest.raises(MeshError):
        call("GET", "https://[", dict[str, str], trust=anybody(), now=now())
    with pytest.raises(Refused) as missing:
        call("GET", f"{mesh.url}/nothing", dict[str, str], trust=anybody(), now=now())
    assert (missing.value.status, missing.value.reason) == (404, "refused")


def test_files_that_do_not_fit(mesh: Coordinator, tmp_path: Path) -> None:
    """A certificate without its key is not used."""
    files = mesh.server_files("a")
    other = mesh.server_files("b")
    with pytest.raises(MeshError, match="cannot use the certificate"):
        trusting(mesh.authority.roots, TlsFiles(files.cert, other.key, files.roots))


@pytest.fixture
def strange(mesh: Coordinator) -> Iterator[tuple[str, dict[str, Any]]]:
    """A TLS server that answers what a test wants."""
    said: dict[str, Any] = {"status": 200, "body": b""}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(said["status"])
            self.end_headers()
            self.wfile.write(said["body"])

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing on the terminal."""

    files = mesh.server_files("strange")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.cert, files.key)
    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"https://127.0.0.1:{server.server_address[1]}/", said
    server.shutdown()
    server.server_close()
    thread.join()


def test_strange_answers(strange: tuple[str, dict[str, Any]]) -> None:
    """A page instead of JSON, too much of it, and words that act on a terminal."""
    url, said = strange
    said.update(status=403, body=b"<html>no</html>")
    with pytest.raises(Refused, match="it answered 403"):
        call("GET", url, dict[str, str], trust=anybody(), now=now())
    said.update(status=403, body=b'{"message": "no\\u001b[31m way", "reason": "policy"}')
    with pytest.raises(Refused) as refused:
        call("GET", url, dict[str, str], trust=anybody(), now=now())
    assert refused.value.message.isprintable()
    assert refused.value.reason == "policy"
    said.update(status=200, body=b" " * (MAX_ANSWER_BYTES + 1))
    with pytest.raises(MeshError, match="too large"):
        call("GET", url, dict[str, str], trust=anybody(), now=now())
    said.update(status=200, body=b" " * MAX_ANSWER_BYTES + b'{"a": "b"}')
    assert call("GET", url, dict[str, str], trust=anybody(), now=now(), most=2 * MAX_ANSWER_BYTES) == {"a": "b"}


def test_a_body_from_a_file(mesh: Coordinator, tmp_path: Path) -> None:
    """From where the file stands, as long as is said: what is large is never in memory as a whole."""
    body = b'{"csr": "", "ott": "no token"}'
    path = tmp_path / "body"
    path.write_bytes(b"head" + body + b"tail")
    with path.open("rb") as file:
        file.seek(4)
        upload = Upload(file, len(body))
        with pytest.raises(Refused) as refused:
            call("POST", f"{mesh.url}/1.0/sign", dict[str, str], trust=anybody(), now=now(), body=upload)
    assert refused.value.status == 401
