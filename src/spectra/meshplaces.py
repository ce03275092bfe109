"""Where this coordinator is reached: the names and addresses in its certificate, and ports that stay the same."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Final, Literal

import msgspec

from spectra.errors import SetupError
from spectra.identity import private_file
from spectra.listening import is_free

Which = Literal["listener", "nats", "mqtt"]

_EVERY: Final = ("0.0.0.0", "::")  # noqa: S104 - a comparison
_HERE: Final = ("localhost", "127.0.0.1", "::1")
_NAME: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
# Documentation networks (RFC 5737, RFC 3849): nothing is sent there, the kernel is only asked which way it would go.
_FAR: Final = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))


def hosts_of(host: str, addresses: list[str]) -> tuple[str, ...]:
    """Names and addresses for the certificate; the first is the one that machines are sent to.

    `addresses` are the settings'. Without any it is what `host` binds, or this machine's own address where that is
    every one.
    """
    found = [*addresses]
    if host not in _EVERY:
        found.append(host)
    else:
        found += own_addresses()
    name = socket.gethostname().lower()
    if _NAME.fullmatch(name):
        found.append(name)
    return tuple(dict.fromkeys([*found, *_HERE]))


def own_addresses() -> Iterator[str]:
    """The addresses from which this machine would reach the Internet."""
    for family, far in _FAR:
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((far, 9))
            address = str(probe.getsockname()[0])
            if "%" not in address and not ip_address(address).is_loopback:
                yield address


class Ports:
    """Ports that were picked by chance are kept for the next start: machines know them by then."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "mesh" / "ports.json"

    def choose(self, which: Which, setting: int, host: str) -> int:
        """The port that is set; for 0 the one of the last time if it is free, else 0."""
        before = 0 if setting else self._read().get(which, 0)
        return before if before and is_free(host, before) else setting

    def remember(self, which: Which, port: int) -> None:
        """For the next start."""
        known = self._read()
        if known.get(which) != port:
            private_file.write(self._path, msgspec.json.encode({**known, which: port}), overwrite=True)

    def _read(self) -> dict[str, int]:
        try:
            return msgspec.json.decode(private_file.read(self._path), type=dict[str, int])
        except (SetupError, msgspec.DecodeError):  # none yet, or none that can be read: others are picked
            return {}
