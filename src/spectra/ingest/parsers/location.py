"""Where a tool says it looked: a URL, `host:port`, or a host alone."""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from spectra.ingest.parsers.text import address, hostname

_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443, "ftp": 21, "ssh": 22}
_TLS = frozenset({"https", "wss"})
_MAX_CHARS = 8192


class Location(msgspec.Struct, frozen=True):
    """`ip` or `name` (one of them, or none where the text is neither), `port` if told or implied by the scheme."""

    ip: str | None
    name: str | None
    port: int | None
    scheme: str
    path: str

    @property
    def tls(self) -> bool:
        """Whether the scheme speaks TLS from the first byte."""
        return self.scheme in _TLS

    @property
    def is_root(self) -> bool:
        """Whether this is a host's front page."""
        return self.path in ("", "/")


NOWHERE = Location(None, None, None, "", "")


def locate(text: str | None) -> Location:
    """The location that `text` names; `NOWHERE` where it names none."""
    if not text or len(text) > _MAX_CHARS:
        return NOWHERE
    if (ip := address(text)) is not None:
        return Location(ip, None, None, "", "")
    try:
        parts = urlsplit(text.strip() if "://" in text else f"//{text.strip()}")
        host, port = parts.hostname, parts.port
    except ValueError:
        return NOWHERE
    scheme = parts.scheme.lower()
    return Location(address(host), hostname(host), port or _DEFAULT_PORTS.get(scheme), scheme, parts.path)
