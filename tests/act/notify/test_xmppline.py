"""One connection: none without a certificate that holds, and none without encryption."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path

import pytest

from spectra.act.notify.outlets import OutletError
from spectra.act.notify.xmppline import Line
from spectra.settings.notify import XmppSettings
from tests.support.xmpp import prosody


def fails(settings: XmppSettings) -> str:
    """Why a connection is not made."""

    async def opened() -> None:
        line = Line(settings, "geheim", lost=lambda line: None)
        try:
            await line.open()
        finally:
            line.cut()
            await asyncio.sleep(0)

    with pytest.raises(OutletError) as failed:
        asyncio.run(opened())
    assert failed.value.away
    return str(failed.value)


def test_a_certificate_has_to_hold(tmp_path: Path) -> None:
    """By an authority that is trusted, and for the domain of the account."""
    with prosody(tmp_path) as server:
        jid = server.account("spectra", "geheim")
        known = {"host": "127.0.0.1", "port": server.port}
        assert "certificate does not hold" in fails(XmppSettings(jid=jid, **known))  # type: ignore[arg-type]
        other = XmppSettings(jid="spectra@example.org", ca_file=server.roots, **known)  # type: ignore[arg-type]
        assert "certificate does not hold" in fails(other) or "host-unknown" in fails(other)
        missing = XmppSettings(jid=jid, ca_file=tmp_path / "none.pem", **known)  # type: ignore[arg-type]
        assert "There is no file" in fails(missing)


def test_no_password_is_said_in_the_clear() -> None:
    """A server, or somebody in between, that offers no encryption is told nothing."""
    heard: list[bytes] = []
    greeting = (
        b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
        b" id='1' from='localhost' version='1.0'><stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
        b"<mechanism>PLAIN</mechanism><mechanism>SCRAM-SHA-1</mechanism></mechanisms></stream:features>"
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(20)
                while data := connection.recv(4096):
                    if not heard:
                        connection.sendall(greeting)
                    heard.append(data)

        thread = threading.Thread(target=serve)
        thread.start()
        port = listener.getsockname()[1]
        said = fails(XmppSettings(jid="spectra@localhost", host="127.0.0.1", port=port))
        thread.join(30)
    assert "let us in" in said or "closed" in said
    assert b"<auth" not in b"".join(heard)
