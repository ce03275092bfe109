"""Fetching feeds: from the public Internet alone unless allowed, bounded, and again only where something is new."""

from __future__ import annotations

import contextlib
import io
import socket
import threading
from collections.abc import Callable, Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from typing import Any

import pytest

from spectra.errors import BadRequest
from spectra.flow.download import Bounds, FetchError, fetch
from spectra.store.feeds import Validators

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
BOUNDS = Bounds(1000, 20.0, LOOPBACK)
Answer = Callable[[BaseHTTPRequestHandler], None]


@contextlib.contextmanager
def site(answer: Answer) -> Generator[str]:
    """The URL of a web server on loopback that answers every GET by `answer`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with contextlib.suppress(ConnectionError):
                answer(self)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def say(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    """One answer."""
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def got(url: str, bounds: Bounds = BOUNDS, **options: Any) -> tuple[bytes, Validators | None]:
    """What is at `url`."""
    to = io.BytesIO()
    validators = fetch(url, to, bounds, **options)
    return to.getvalue(), validators


def refused(url: str, bounds: Bounds = BOUNDS, **options: Any) -> FetchError:
    """Why it is not fetched."""
    with pytest.raises(FetchError) as caught:
        got(url, bounds, **options)
    return caught.value


def test_a_file_comes_with_its_validators() -> None:
    """Byte for byte, packed as it is; the next time the server is told what is known."""
    heard: list[dict[str, str]] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        heard.append(dict(handler.headers))
        known = handler.headers.get("If-None-Match") == '"7"'
        say(handler, 304) if known else say(handler, 200, b"\x1f\x8bfeed", ETag='"7"', Last_Modified="then")

    with site(answer) as url:
        body, validators = got(f"{url}/feed.gz")
        assert (body, validators) == (b"\x1f\x8bfeed", Validators('"7"', "then"))
        assert validators is not None
        assert got(f"{url}/feed.gz", known=validators) == (b"", None)
    assert heard[0]["accept-encoding"] == "identity"
    assert heard[1]["if-modified-since"] == "then"
    assert heard[0]["host"] == url.removeprefix("http://")


def test_users_and_passwords_are_sent_to_that_host_alone() -> None:
    """As Basic; a redirect takes nothing of it along."""
    heard: list[str | None] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        heard.append(handler.headers.get("Authorization"))
        say(handler, 302, Location="/there") if handler.path == "/here" else say(handler, 200, b"x")

    with site(answer) as url:
        assert got(url.replace("//", "//user:pass@") + "/here")[0] == b"x"
    assert heard == ["Basic dXNlcjpwYXNz", None]


@pytest.mark.parametrize(
    "url", ["", "feed.mmdb", "file:///etc/passwd", "ftp://example.org/x", "https://", "http://[::1", "https://\0/"]
)
def test_what_is_no_url_is_refused(url: str) -> None:
    """Naming the field."""
    with pytest.raises(BadRequest) as caught:
        got(url)
    assert caught.value.field == "url"


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "10.0.0.1", "169.254.169.254", "192.168.1.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0",
     "[fe80::1]", "[fd00::1]", "100.64.0.1", "[64:ff9b::a00:1]", "[2002:7f00:1::]", "224.0.0.1", "2130706433"],
)  # fmt: skip
def test_private_addresses_are_refused(host: str) -> None:
    """However they are written: what only this machine can reach is nobody's to read through it."""
    for scheme in ("http", "https"):
        error = refused(f"{scheme}://{host}:1/x", Bounds(1000, 5.0))
        assert error.reason in ("feed_url_refused", "feed_fetch_failed")
        assert "SPECTRA_FEEDS__ALLOW" in error.hint or "no address" in error.message


def test_plain_http_is_for_allowed_networks_alone() -> None:
    """Also where the address is public."""
    assert refused("http://192.0.2.1/", BOUNDS).reason == "feed_url_refused"
    assert "plain http" in refused("http://1.1.1.1/", BOUNDS).message


def test_redirects_are_checked_like_the_first_url() -> None:
    """One that leads to a private address, in circles, or away from http is not followed."""
    to = ["https://10.0.0.1/"]
    with site(lambda handler: say(handler, 302, Location=to[0])) as url:
        assert refused(url).reason == "feed_url_refused"
        to[0] = "/again"
        assert "redirects more than 5 times" in refused(url).message
        to[0] = "file:///etc/passwd"
        assert "only https is followed" in refused(url).message


def test_errors_of_the_server_are_told() -> None:
    """With its status."""
    with site(lambda handler: say(handler, 503, b"busy")) as url:
        assert "503" in refused(url).message


def test_what_is_too_large_is_broken_off() -> None:
    """At once where the server says so, else as soon as it is."""

    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(b"x" * 65536)

    with site(lambda handler: say(handler, 200, b"x" * 1001)) as url:
        assert refused(url).reason == "feed_too_large"
    with site(endless) as url:
        assert refused(url).reason == "feed_too_large"


def test_what_breaks_off_or_takes_too_long_is_an_error() -> None:
    """As is one that is stopped, because the coordinator ends."""

    def cut(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "900")
        handler.end_headers()
        handler.wfile.write(b"half")

    with site(cut) as url:
        assert "broke" in refused(url).message
    with site(lambda handler: say(handler, 200, b"x")) as url:
        assert "did not arrive within" in refused(url, BOUNDS._replace(timeout_s=0.0)).message
        refused(url, stopped=lambda: True)


def test_nobody_listening_is_told() -> None:
    """With what the system says."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert "cannot be reached" in refused(f"http://127.0.0.1:{port}/").message
    assert "no address" in refused("https://nowhere.invalid/").message
