"""The first start: as long as nobody has a password, a link shown on the terminal makes the first account.

The link is good once, for a day, and only the newest; its secret is kept as a digest and never logged.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from spectra.api import cookies
from spectra.api.services import Services
from spectra.errors import SpectraError
from spectra.identity import passwords
from spectra.model.people import SetupLink
from spectra.store import accounts, tickets
from spectra.store.database import Connection
from spectra.store.tickets import Ticket

LASTS: Final = timedelta(days=1)
PAGE: Final = "/setup"


class SetupOver(SpectraError):
    """The set-up link does not hold: used, too old, or somebody has a password already."""

    reason = "setup_over"

    def __init__(self) -> None:
        super().__init__(
            "This set-up link does not hold any more.",
            hint="`spectra auth setup-link` on the coordinator makes another, as long as nobody has a password.",
        )


def is_open(services: Services) -> bool:
    """Whether nobody has a password yet."""
    return not accounts.anybody(services.database)


def new_link(services: Services) -> SetupLink:
    """A link in the place of the one before; raises `SetupOver`."""
    if not is_open(services):
        raise SetupOver
    secret, now = cookies.new_secret(), services.clock()
    tickets.drop(services.database, "setup")
    until = now + LASTS
    tickets.put(services.database, cookies.digest(secret), "setup", Ticket("", ""), until=until, now=now)
    return SetupLink(f"{PAGE}?token={secret}", until, services.web.origin)


def url_of(link: SetupLink, server: str) -> str:
    """The whole link: at `web.origin`, else at the URL `server`, by a name that passkeys can be had under."""
    return (link.origin or cookies.by_name(server)) + link.path


def redeem(services: Services, token: str, name: str, password: str) -> str:
    """The first account, an admin's, by the secret of the link; returns its name. Raises `SetupOver`, `BadRequest`."""
    digest, now = cookies.digest(token), services.clock()
    if tickets.look(services.database, digest, "setup", now) is None or not is_open(services):
        raise SetupOver
    passwords.require_good(password, account=name)
    with services.issuer.password_turn():
        stored = services.issuer.passwords.hash(password)

    def good(connection: Connection) -> bool:
        return tickets.take(connection, digest, "setup", now) is not None

    made = accounts.create_first(services.database, name, role="admin", password=stored, ticket=good, now=now)
    if made is None:
        raise SetupOver
    return made.name
