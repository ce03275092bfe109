"""The link by which the first account of a node is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spectra.cli.output import note
from spectra.errors import SpectraError

if TYPE_CHECKING:
    from spectra.cli.local import Machine


def setup_link(machine: Machine) -> str:
    """A new link, in the place of the one before; empty where somebody has a password already."""
    from spectra.model.people import SetupLink, SetupState

    with machine.client(attempts=1) as client:
        if not client.get("/v0/setup", SetupState).open:
            return ""
        try:
            link = client.post("/v0/auth/setup-link", SetupLink, None)
        except SpectraError as error:
            if error.reason == "setup_over":  # made in this very moment
                return ""
            raise
        # Passkeys are bound to a name, and an address is none.
        return (link.origin or client.url.replace("//127.0.0.1:", "//localhost:")) + link.path


def say_setup(url: str) -> None:
    """Show the link, if there is one."""
    if url:
        note("Nobody has a password yet. This link makes the first account, an admin's; it is good once, for a day:")
        note(f"\n  {url}\n")
