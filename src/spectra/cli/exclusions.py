"""The server's do-not-scan list as a scanner takes it: asked for before each scan, kept for when nobody answers."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from spectra.cli.output import note, plural
from spectra.cli.problems import Unreachable
from spectra.cli.times import ago
from spectra.errors import SetupError, SpectraError

if TYPE_CHECKING:
    from spectra.cli.local import Machine
    from spectra.collect.rules import Rule

_PATH = "/v0/do-not-scan"
_WAIT_S = 15.0  # longest the server may be silent: it answers from memory
_SHOWN = 3


class Copy(msgspec.Struct, frozen=True):
    """The list of the server at `url`, as it was at `as_of`."""

    url: str
    as_of: datetime
    networks: tuple[str, ...]

    def rules(self) -> list[Rule]:
        """All of it as one entry, however long it is; none where it is empty."""
        from spectra.collect.netset import NetSet
        from spectra.collect.rules import Rule

        if not self.networks:
            return []
        return [Rule(f"the list of {self.url}", NetSet.of(ipaddress.ip_network(text) for text in self.networks))]

    def __str__(self) -> str:
        more = len(self.networks) - _SHOWN
        return ", ".join(self.networks[:_SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def listed(machine: Machine) -> list[Rule]:
    """What the server says is never scanned. What it said last where it does not answer; nothing more where it never
    did, with a note either way.
    """
    try:
        url = machine.server_url()
    except Unreachable:  # there is no server: this machine's own list is all there is
        return []
    try:
        copy = _ask(url)
    except SpectraError as error:
        kept = load(url)
        if kept is None:
            note(f"{error.message}: only the do-not-scan list of this machine is heeded")
            return []
        age = ago(kept.as_of, datetime.now(UTC))
        note(f"{error.message}: its do-not-scan list of {age} is heeded ({plural(len(kept.networks), 'network')})")
        return kept.rules()
    _keep(copy)
    return copy.rules()


def load(url: str) -> Copy | None:
    """The kept list of the server at `url`, if there is one. One that is damaged is an error: nobody knows what it
    forbade.
    """
    path = _file(url)
    try:
        return _checked(msgspec.json.decode(path.read_bytes(), type=Copy))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise SetupError(
            f"the do-not-scan list kept in {path} cannot be read: {error}",
            reason="do_not_scan_file",
            hint="Remove it, and scan again when the server answers.",
        ) from error


def _ask(url: str) -> Copy:
    from spectra.cli.client import BadAnswer, Client
    from spectra.model.limits import DoNotScanList

    with Client(url, attempts=1) as client:
        found = client.get(_PATH, DoNotScanList, wait_s=_WAIT_S)
    try:
        return _checked(Copy(url, found.as_of, found.networks))
    except ValueError as error:
        raise BadAnswer(f"the do-not-scan list of {url} is not understood: {error}") from error


def _checked(copy: Copy) -> Copy:
    """`copy`, whose networks are networks; raises `ValueError`."""
    for text in copy.networks:
        ipaddress.ip_network(text)
    return copy


def _keep(copy: Copy) -> None:
    from spectra.cli.output import replaced

    path = _file(copy.url)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with replaced(path) as stream:
            stream.write(msgspec.json.encode(copy))
    except (OSError, SetupError) as error:
        note(f"the do-not-scan list of {copy.url} cannot be kept for later: {error}")


def _file(url: str) -> Path:
    from spectra.settings import config_dir

    name = hashlib.sha256(url.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return config_dir() / "do-not-scan" / f"{name}.json"


def rows(machine: Machine) -> Sequence[dict[str, str]]:
    """The kept list as `spectra scope show` shows it."""
    try:
        copy = load(machine.server_url())
    except Unreachable:
        return ()
    if copy is None or not copy.networks:
        return ()
    age = f"the server's, {ago(copy.as_of, datetime.now(UTC))}"
    return ({"rule": "deny", "targets": str(copy), "note": age, "where": copy.url},)
