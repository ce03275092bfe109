"""What a service's own words say of its software, where a tool hands them over without reading them further."""

from __future__ import annotations

import re

from spectra.ingest.parsers import certificate
from spectra.ingest.parsers.text import TITLE_CHARS, block, clean
from spectra.model.observation import MAX_BANNER_BYTES, Banner, Certificate, Service

# RFC 9110 10.2.4: Server = product *( RWS ( product / comment ) ), product = token [ "/" version ].
_WITH_VERSION = re.compile(r"([^/()]+)/(\S+)(?:\s+(.*))?")
_WITHOUT_VERSION = re.compile(r"([^/()]+?)()(?:\s+(\(.*))?")


def http_service(server: str, tunnel: str = "", cpe: tuple[str, ...] = ()) -> Service:
    """The HTTP service behind a Server header such as `Apache/2.4.6 (CentOS)`."""
    text = clean(server, 500)
    found = _WITH_VERSION.fullmatch(text) or _WITHOUT_VERSION.fullmatch(text)
    product, version, extra = found.groups("") if found else (text, "", "")
    return Service("http", clean(product), clean(version), clean(extra), tunnel=tunnel, cpe=cpe)


# masscan's words for what it read (its src/masscan-app.c) that are no service names, and what they stand for. Those of
# the empty string are checks and guesses, whose text is kept as the banner.
_MASSCAN_NAMES = {
    "": "",
    "unknown": "",
    "error": "",
    "safe": "",
    "vuln": "",
    "heartbleed": "",
    "ticketbleed": "",
    "scripting": "",
    "versioning": "",
    "html": "http",
    "pop": "pop3",
    "dns-ver": "domain",
    "nbtstat": "netbios-ns",
    "vnc-info": "vnc",
}


def read_banner(name: str, said: str) -> tuple[Service | None, Banner | None, Certificate | None]:
    """What masscan read from a port, by its word `name` for it.

    masscan writes bytes that do not print as `\\xNN` in XML; line ends and tabs become themselves again.
    """
    if name in ("X509", "X509CA", "ssl"):
        found = certificate.from_base64(said) if name == "X509" else None
        return Service(tunnel="tls"), None, found
    if name == "title":
        title = clean(said, TITLE_CHARS)
        return Service("http"), Banner(title=title) if title else None, None
    if name == "http.server":
        return http_service(said), None, None
    text = block(said.replace("\\x0d\\x0a", "\n").replace("\\x0a", "\n").replace("\\x09", "\t"), MAX_BANNER_BYTES)
    known = _MASSCAN_NAMES.get(name, "" if name.startswith("(") else clean(name, 100))
    return Service(known) if known else None, Banner(text=text) if text else None, None
