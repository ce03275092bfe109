"""Settings of the ways out: nothing that would send in the clear, or as nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from spectra.settings.notify import NotifySettings, SmtpSettings, XmppSettings


@pytest.mark.parametrize(
    ("kind", "said", "words"),
    [
        (XmppSettings, {"jid": "nobody"}, "write it as"),
        (XmppSettings, {"password": "a", "password_file": Path("b")}, "not both"),
        (SmtpSettings, {"host": "mail.example.org"}, "give sender"),
        (SmtpSettings, {"host": "mail.example.org", "sender": "a@b.org\r\nBcc: c@d.org"}, "write it as"),
        (SmtpSettings, {"host": "mail.example.org", "sender": "a@b.org", "security": "none"}, "this machine alone"),
        (SmtpSettings, {"password": "a", "password_file": Path("b")}, "not both"),
    ],
)
def test_what_is_refused(kind: Any, said: dict[str, Any], words: str) -> None:
    """With the reason."""
    with pytest.raises(ValidationError, match=words):
        kind(**said)


def test_without_settings_there_are_webhooks_alone() -> None:
    """And a password is not shown."""
    assert (NotifySettings().xmpp.jid, NotifySettings().smtp.host) == ("", "")
    assert "geheim" not in repr(XmppSettings(jid="a@b.org", password="geheim"))  # type: ignore[arg-type]
