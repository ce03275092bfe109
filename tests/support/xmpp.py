"""A real Prosody, where it is installed: a domain, a conference server, accounts, and somebody who reads messages."""

from __future__ import annotations

import asyncio
import getpass
import shutil
import socket
import subprocess
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support import tls
from tests.support.waiting import eventually

DOMAIN = "localhost"
ROOMS = f"conference.{DOMAIN}"
_CONFIG = """
run_as_root = true
prosody_user = "{user}"
pidfile = "{folder}/prosody.pid"
data_path = "{folder}/data"
storage = "internal"
log = {{ {{ levels = {{ min = "info" }}, to = "file", filename = "{folder}/prosody.log" }} }}
modules_enabled = {{ "roster", "saslauth", "tls", "disco", "ping", "offline" }}
modules_disabled = {{ "s2s", "posix", "http", "websocket", "bosh" }}
c2s_ports = {{ {port} }}
c2s_interfaces = {{ "127.0.0.1" }}
c2s_direct_tls_ports = {{ }}
s2s_ports = {{ }}
http_ports = {{ }}
https_ports = {{ }}
c2s_require_encryption = true
authentication = "internal_hashed"
allow_registration = false
ssl = {{ certificate = "{cert}", key = "{key}" }}
VirtualHost "{domain}"
Component "{rooms}" "muc"
  modules_enabled = {{ }}
  muc_room_default_public = false
"""


class Heard(NamedTuple):
    """A message that somebody received."""

    id: str
    sender: str
    kind: str
    text: str


class Prosody:
    """The server of a folder. `start` and `kill` as often as wanted: accounts and what is kept for them stay."""

    def __init__(self, folder: Path) -> None:
        found, ctl = shutil.which("prosody"), shutil.which("prosodyctl")
        if found is None or ctl is None:
            pytest.skip("prosody is not installed (apt-get install prosody)")
        self._program, self._ctl = found, ctl
        ca = tls.authority(folder / "ca")
        files = tls.server_files(ca, folder)
        self.roots = files.cert.parent / "roots.pem"
        self.roots.write_text(tls.x509.pem(*ca.roots))
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        (folder / "data").mkdir()
        self.config = folder / "prosody.cfg.lua"
        self.config.write_text(
            _CONFIG.format(
                user=getpass.getuser(),
                folder=folder,
                port=self.port,
                cert=files.cert,
                key=files.key,
                domain=DOMAIN,
                rooms=ROOMS,
            )
        )
        self.log = folder / "prosody.log"
        self._process: subprocess.Popen[bytes] | None = None

    def account(self, name: str, password: str) -> str:
        """Make an account; its address."""
        done = subprocess.run(
            [self._ctl, "--config", str(self.config), "register", name, DOMAIN, password],
            capture_output=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return f"{name}@{DOMAIN}"

    def start(self) -> None:
        """Begin; returns once it answers."""
        self._process = subprocess.Popen(
            [self._program, "--config", str(self.config), "-F"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        eventually(lambda: self._process is None or self._process.poll() is not None or self._answers())
        assert self._process.poll() is None, self.log.read_text()

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
            self._process = None

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 10).close()
        except ConnectionRefusedError:
            return False
        return True


class Reader:
    """Somebody who is there, and reads what is said to them and in a room."""

    def __init__(self, server: Prosody, jid: str, password: str, room: str = "", *, nick: str = "reader") -> None:
        self.heard: list[Heard] = []
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._made = (server, jid, password, room, nick)
        self._client: Any = None
        self._thread = threading.Thread(target=self._run, name="reader", daemon=True)

    def __enter__(self) -> Reader:
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._leave(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def wait(self, number: int) -> list[Heard]:
        """What was heard, once that is so many."""
        eventually(lambda: len(self.heard) >= number)
        return list(self.heard)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._open())
        self._loop.run_forever()
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))

    async def _open(self) -> None:
        from slixmpp import JID, ClientXMPP

        server, jid, password, room, nick = self._made
        client: Any = ClientXMPP(jid, password, loop=self._loop)
        client.ca_certs = server.roots
        client.enable_direct_tls = False
        client.register_plugin("xep_0045")
        client.add_event_handler("message", self._hear)
        started = asyncio.Event()

        def begun(_: object) -> None:
            started.set()

        client.add_event_handler("session_start", begun)
        client.connect("127.0.0.1", server.port)
        await asyncio.wait_for(started.wait(), 30)
        client.send_presence()
        if room:
            muc = client.plugin["xep_0045"]
            await muc.join_muc_wait(JID(room), nick, maxstanzas=0, timeout=30)  # somebody made it before
        self._client = client
        self._ready.set()

    def _hear(self, message: Any) -> None:
        if message["body"]:
            self.heard.append(Heard(message["id"], str(message["from"]), message["type"], message["body"]))

    async def _leave(self) -> None:
        await asyncio.wait_for(self._client.disconnect(wait=1.0), 10)


@contextmanager
def prosody(folder: Path) -> Generator[Prosody]:
    """A server that runs while the block does."""
    server = Prosody(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()
