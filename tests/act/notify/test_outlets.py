"""One door: the sender of the kind, what it lacks, and passwords that are asked for when they are needed."""

from __future__ import annotations

import pytest

from spectra.act.notify.outlets import OutletError, Outlets
from spectra.errors import SetupError
from spectra.model.alerts import Message
from spectra.settings.notify import NotifySettings, SmtpSettings
from spectra.store.outlets import Outlet
from tests.act.notify.messages import message, outlet


def test_what_is_lacking_is_said() -> None:
    """Without settings there are webhooks alone."""
    outlets = Outlets.of(NotifySettings())
    assert [bool(outlets.lacks(kind)) for kind in ("xmpp", "xmpp-room", "email", "webhook")] == [
        True,
        True,
        True,
        False,
    ]
    with pytest.raises(OutletError, match="no XMPP account") as failed:
        outlets.send(outlet("xmpp", "bob@example.org"), message())
    assert failed.value.away
    outlets.close()


def test_a_password_file_that_is_gone_is_a_failure_like_others() -> None:
    """The message waits until it is back."""

    def gone() -> str:
        raise SetupError("there is no file secret.")

    class Sender:
        def lacks(self) -> str:
            return ""

        def send(self, outlet: Outlet, message: Message) -> None:
            gone()

        def close(self) -> None:
            return

    outlets = Outlets({"email": Sender()})
    assert NotifySettings(smtp=SmtpSettings(host="localhost", sender="a@example.org")).smtp.port == 587
    with pytest.raises(OutletError, match="no file") as failed:
        outlets.send(outlet("email", "bob@example.org"), message())
    assert (failed.value.retryable, failed.value.away) == (True, True)
