"""Mail, to a real server: over TLS, signed in, and with headers that no scan can add to."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any, Literal

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword

from spectra.act.notify.email import Mail, letter
from spectra.act.notify.outlets import OutletError, OutletRefused
from spectra.settings.notify import SmtpSettings
from tests.act.notify.messages import HOSTILE, ORIGIN, message, outlet
from tests.support import tls

SENDER = "spectra@example.org"
BOB = outlet("email", "bob@example.org")


class Box:
    """What the server took, and what it answers to a recipient."""

    def __init__(self) -> None:
        self.taken: list[tuple[Envelope, EmailMessage]] = []
        self.answer = "250 OK"

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Envelope, address: str, _options: Any) -> str:
        """Take it, or not."""
        if self.answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return self.answer

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:
        """Keep it."""
        assert isinstance(envelope.content, bytes)
        self.taken.append((envelope, message_from_bytes(envelope.content, policy=default)))  # type: ignore[arg-type]
        return "250 OK"


@contextmanager
def server(folder: Path, security: Literal["starttls", "tls", "none"]) -> Generator[tuple[Box, SmtpSettings]]:
    """A mail server on loopback that lets in `spectra` by its password, where it encrypts."""
    ca = tls.authority(folder / "ca")
    files = tls.server_files(ca, folder)
    roots = folder / "roots.pem"
    roots.write_text(tls.x509.pem(*ca.roots))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.cert, files.key)

    def let_in(_server: Any, _session: Any, _envelope: Any, _mechanism: str, given: Any) -> AuthResult:
        good = isinstance(given, LoginPassword) and (given.login, given.password) == (b"spectra", b"geheim")
        return AuthResult(success=good, handled=False)

    options: dict[str, Any] = {"authenticator": let_in} if security != "none" else {}
    if security == "starttls":
        options |= {"tls_context": context, "require_starttls": True, "auth_required": True}
    elif security == "tls":
        options |= {"auth_require_tls": False}  # it does not see that the connection is encrypted
    box = Box()
    with listening(lambda: SMTP(box, **options), context if security == "tls" else None) as port:
        user = "spectra" if security != "none" else ""
        yield (
            box,
            SmtpSettings(host="localhost", port=port, security=security, user=user, sender=SENDER, ca_file=roots),
        )


@contextmanager
def listening(factory: Callable[[], SMTP], context: ssl.SSLContext | None) -> Generator[int]:
    """The port of a server on a loop of its own, until the block ends."""
    loop = asyncio.new_event_loop()
    made = loop.run_until_complete(loop.create_server(factory, "127.0.0.1", 0, ssl=context))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield made.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(made.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left))
        for _ in range(10):  # connections that are being closed are told so turn by turn
            loop.run_until_complete(asyncio.sleep(0))
        loop.close()


@pytest.mark.parametrize("security", ["starttls", "tls", "none"])
def test_a_message_arrives(tmp_path: Path, security: Literal["starttls", "tls", "none"]) -> None:
    """As plain text, in the thread of its alert, with an id that is the same the next time."""
    with server(tmp_path, security) as (box, settings):
        mail = Mail(settings, password=lambda: "geheim", origin=ORIGIN)
        for _ in range(2):
            mail.send(BOB, message())
    (envelope, got), (_, again) = box.taken
    assert (envelope.mail_from, envelope.rcpt_tos) == (SENDER, ["bob@example.org"])
    assert got["subject"] == "[high] Port 22 opened, 1"
    assert got["message-id"] == again["message-id"] == "<note-1@example.org>"
    assert got["references"] == "<alert-1@example.org>"
    assert (got["auto-submitted"], got.get_content_type()) == ("auto-generated", "text/plain")
    assert f"{ORIGIN}/alerts/alert-1" in got.get_content()


def test_nothing_is_added_to_its_headers() -> None:
    """Whatever a title says: one recipient, one subject."""
    made = message_from_bytes(letter(message(title=HOSTILE, lines=(HOSTILE,)), SENDER, BOB.target).as_bytes())
    assert made.get_all("bcc") is None
    assert made.get_all("to") == ["bob@example.org"]
    assert len(made.get_all("subject") or []) == 1


def test_what_goes_wrong(tmp_path: Path) -> None:
    """A recipient that is refused for good, or for now; a wrong password; a certificate of others; nobody there."""
    with server(tmp_path, "starttls") as (box, settings):
        mail = Mail(settings, password=lambda: "geheim")
        box.answer = "550 no such user\x1b[31m"
        with pytest.raises(OutletRefused, match="550 no such user"):
            mail.send(BOB, message())
        box.answer = "451 later"
        with pytest.raises(OutletError, match="451 later") as failed:
            mail.send(BOB, message())
        assert (failed.value.retryable, failed.value.away) == (True, False)
        with pytest.raises(OutletError, match="does not let us in") as failed:
            Mail(settings, password=lambda: "wr0ng").send(BOB, message())
        assert failed.value.away
        assert "wr0ng" not in str(failed.value)
        with pytest.raises(OutletError, match="certificate of localhost does not hold"):
            Mail(settings.model_copy(update={"ca_file": None})).send(BOB, message())
    with pytest.raises(OutletError, match="cannot be reached"):
        mail.send(BOB, message())
    assert "notify.smtp.host" in Mail(SmtpSettings()).lacks()
