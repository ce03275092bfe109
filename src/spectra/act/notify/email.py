"""Mail: plain text, by a server that is spoken to over TLS.

Headers are made by the standard library's policy for SMTP, which encodes or refuses whatever would end one; what comes
from a scan goes through `text.plain` before that.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Callable
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid
from typing import Final

from spectra.act.notify.outlets import OutletError, OutletRefused
from spectra.act.notify.text import body, headline, plain
from spectra.model.alerts import Message
from spectra.settings.notify import SmtpSettings
from spectra.store.outlets import Outlet

_PRIORITY: Final = {"critical": "1", "high": "2"}


class Mail:
    """Hands messages to the mail server of the settings; a connection each."""

    def __init__(
        self, settings: SmtpSettings, *, password: Callable[[], str] = str, origin: str = "", timeout_s: float = 20.0
    ) -> None:
        self._settings = settings
        self._password = password
        self._origin = origin
        self._timeout_s = timeout_s

    def lacks(self) -> str:
        """Empty, or that there is no mail server."""
        return "" if self._settings.host else "This node has no mail server: set notify.smtp.host and sender."

    def close(self) -> None:
        """Nothing is kept."""

    def send(self, outlet: Outlet, message: Message) -> None:
        """Returns once the server has taken it; raises `OutletError`."""
        made = letter(message, self._settings.sender, outlet.target, self._origin)
        host = self._settings.host
        try:
            with self._connected() as server:
                server.send_message(made, self._settings.sender, [outlet.target])
        except smtplib.SMTPAuthenticationError as error:
            raise OutletError(f"{host} does not let us in ({error.smtp_code}).", away=True) from error
        except smtplib.SMTPRecipientsRefused as error:
            code, said = next(iter(error.recipients.values()), (550, b""))
            kind = OutletRefused if 500 <= code < 600 else OutletError
            raise kind(f"{host} refuses the recipient: {code} {_words(said)}") from error
        except smtplib.SMTPResponseException as error:
            raise OutletError(f"{host} answered {error.smtp_code} {_words(error.smtp_error)}") from error
        except smtplib.SMTPException as error:
            raise OutletError(f"{host}: {plain(str(error), 200)}", away=True) from error
        except ssl.SSLCertVerificationError as error:
            raise OutletError(f"The certificate of {host} does not hold: {error.verify_message}.", away=True) from error
        except OSError as error:
            said = "it took too long" if isinstance(error, TimeoutError) else error.strerror or str(error)
            raise OutletError(f"{host} cannot be reached: {plain(said, 200)}.", away=True) from error

    def _connected(self) -> smtplib.SMTP:
        """A connection that is encrypted, unless the server is this machine, and signed in to where that is wanted."""
        settings = self._settings
        tls = ssl.create_default_context()
        if settings.ca_file:
            tls.load_verify_locations(settings.ca_file)
        name = socket.gethostname().partition(".")[0] or "localhost"
        if settings.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                settings.host, settings.port, local_hostname=name, timeout=self._timeout_s, context=tls
            )
        else:
            server = smtplib.SMTP(settings.host, settings.port, local_hostname=name, timeout=self._timeout_s)
        try:
            if settings.security == "starttls":
                server.starttls(context=tls)
            if settings.user:
                server.login(settings.user, self._password())
        except BaseException:
            server.close()
            raise
        return server


def letter(message: Message, sender: str, to: str, origin: str = "") -> EmailMessage:
    """The mail. Its Message-ID is made of the message's id: what is sent again can be told from what is new."""
    made = EmailMessage(policy=SMTP)
    domain = sender.rpartition("@")[2] or "localhost"
    made["From"] = f"Spectra <{sender}>"
    made["To"] = to
    made["Subject"] = headline(message)
    made["Date"] = format_datetime(message.at)
    made["Message-ID"] = f"<{message.id}@{domain}>" if message.id else make_msgid(domain=domain)
    made["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office is answered to it
    if message.alert:
        thread = f"<{message.alert}@{domain}>"
        made["References"] = thread  # mail readers keep what is told of one alert together
    if priority := _PRIORITY.get(message.severity):
        made["X-Priority"] = priority
    made.set_content(body(message, origin) + "\n")
    return made


def _words(said: bytes | str) -> str:
    return plain(said.decode("utf-8", "replace") if isinstance(said, bytes) else said, 200)
