"""How messages of alerts leave this node: the account that speaks XMPP, and the mail server."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from spectra.settings.section import Section

_ADDRESS = re.compile(r"[^\s\x00-\x20\x7f@<>\"]{1,200}@[A-Za-z0-9.-]{1,253}")


def _checked_address(value: str, example: str) -> str:
    if value and not _ADDRESS.fullmatch(value):
        raise ValueError(f"write it as {example}")
    return value


class XmppSettings(Section):
    """The account that messages are sent by over XMPP. Nothing is sent without TLS and a certificate that holds."""

    jid: str = Field(default="", description="Its address, such as spectra@example.org; empty: no XMPP.")
    password: SecretStr | None = Field(default=None, description="Its password; better a file.")
    password_file: Path | None = Field(default=None, description="File that holds its password alone, of mode 0600.")
    host: str = Field(
        default="", max_length=253, description="Where the server is reached; empty: as DNS says of its domain."
    )
    port: int = Field(default=5222, ge=1, le=65535, description="The server's port for clients, where `host` is given.")
    ca_file: Path | None = Field(
        default=None, description="Certificates (PEM) that the server's is checked by besides the system's."
    )
    nick: str = Field(default="spectra", min_length=1, max_length=60, description="What it is called in rooms.")

    @field_validator("jid")
    @classmethod
    def _jid(cls, value: str) -> str:
        return _checked_address(value, "spectra@example.org")

    @model_validator(mode="after")
    def _one_password(self) -> Self:
        if self.password and self.password_file:
            raise ValueError("give password or password_file, not both")
        return self


class SmtpSettings(Section):
    """The mail server that messages are handed to."""

    host: str = Field(default="", max_length=253, description="Where it is reached; empty: no mail.")
    port: int = Field(default=587, ge=1, le=65535, description="Its port: 587 with `starttls`, 465 with `tls`.")
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="How the connection is encrypted; `none` is for a server on this machine alone."
    )
    user: str = Field(default="", max_length=200, description="Who to sign in as; empty: nobody.")
    password: SecretStr | None = Field(default=None, description="The password; better a file.")
    password_file: Path | None = Field(default=None, description="File that holds the password alone, of mode 0600.")
    sender: str = Field(default="", description="Address that messages come from, such as spectra@example.org.")
    ca_file: Path | None = Field(
        default=None, description="Certificates (PEM) that the server's is checked by besides the system's."
    )

    @field_validator("sender")
    @classmethod
    def _sender(cls, value: str) -> str:
        return _checked_address(value, "spectra@example.org")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.password and self.password_file:
            raise ValueError("give password or password_file, not both")
        if self.host and not self.sender:
            raise ValueError("give sender, the address that messages come from")
        if self.security == "none" and self.host not in ("", "localhost", "127.0.0.1", "::1"):
            raise ValueError("security: none is for a mail server on this machine alone")
        return self


class NotifySettings(Section):
    """How messages of alerts reach people who do not look at the dashboard. Webhooks need no settings."""

    xmpp: XmppSettings = XmppSettings()
    smtp: SmtpSettings = SmtpSettings()
    timeout_s: float = Field(default=20.0, gt=0, le=120, description="Longest one try to deliver a message may take.")
    keep_days: int = Field(
        default=3, ge=1, le=30, description="How long a message is tried again before it is given up."
    )
