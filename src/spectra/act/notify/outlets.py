"""One door to every way out: a message is handed to the sender of its outlet's kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Final, Protocol

from spectra.errors import SetupError, SpectraError
from spectra.model.alerts import Message
from spectra.model.outlets import OutletKind
from spectra.settings.notify import NotifySettings
from spectra.store.outlets import Outlet


class OutletError(SpectraError):
    """A message did not arrive. Nothing secret is in the words: no password, and no path of a URL.

    `retryable`: it may arrive later as it is. `away`: no other message would have arrived either.
    """

    reason = "undelivered"
    retryable: ClassVar[bool] = True

    def __init__(self, message: str, *, away: bool = False, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.away = away


class OutletRefused(OutletError):
    """A message that never arrives as it is, however often it is tried."""

    retryable: ClassVar[bool] = False


class Sender(Protocol):
    """Sends messages of one kind of outlet, or of several."""

    def lacks(self) -> str:
        """Empty, or which setting is missing to send at all."""
        ...

    def send(self, outlet: Outlet, message: Message) -> None:
        """Returns once the next machine has taken the message; raises `OutletError`."""
        ...

    def close(self) -> None:
        """End connections that are kept."""
        ...


class Outlets:
    """The senders of one coordinator."""

    def __init__(self, senders: Mapping[OutletKind, Sender]) -> None:
        self._senders: Final = dict(senders)

    @classmethod
    def of(
        cls,
        settings: NotifySettings,
        *,
        origin: str = "",
        xmpp_password: Callable[[], str] = str,
        smtp_password: Callable[[], str] = str,
        back: Callable[[tuple[OutletKind, ...]], None] = lambda kinds: None,
    ) -> Outlets:
        """Those of some settings. Nothing is connected to before the first message. `origin` is the dashboard's, for
        links; passwords are asked for at each connection; `back` is told which kinds can be reached again.
        """
        from spectra.act.notify.email import Mail
        from spectra.act.notify.webhook import Webhook
        from spectra.act.notify.xmpp import Xmpp

        xmpp = Xmpp(
            settings.xmpp,
            password=xmpp_password,
            origin=origin,
            timeout_s=settings.timeout_s,
            back=lambda: back(("xmpp", "xmpp-room")),
        )
        mail = Mail(settings.smtp, password=smtp_password, origin=origin, timeout_s=settings.timeout_s)
        web = Webhook(origin=origin, timeout_s=settings.timeout_s)
        return cls({"xmpp": xmpp, "xmpp-room": xmpp, "webhook": web, "email": mail})

    def lacks(self, kind: OutletKind) -> str:
        """Empty, or what this node's settings lack to send by outlets of a kind."""
        return self._senders[kind].lacks()

    def send(self, outlet: Outlet, message: Message) -> None:
        """Send a message by an outlet; raises `OutletError`."""
        if lacking := self.lacks(outlet.kind):
            raise OutletError(lacking, away=True)
        try:
            self._senders[outlet.kind].send(outlet, message)
        except SetupError as error:
            raise OutletError(str(error), away=True) from error

    def close(self) -> None:
        """End connections that are kept."""
        for sender in {id(one): one for one in self._senders.values()}.values():
            sender.close()
