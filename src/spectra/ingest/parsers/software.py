"""What a service's own words say of its software, where a tool hands them over without reading them further."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from spectra.ingest.parsers import certificate
from spectra.ingest.parsers.text import MAX_CPE, TITLE_CHARS, block, clean
from spectra.model.observation import MAX_BANNER_BYTES, Banner, Certificate, Service
from spectra.model.recognition import MAX_HEADER, MAX_SAID, by_banner, by_server

_LINE_ENDS = {"\\x0d\\x0a": "\n", "\\x0a": "\n", "\\x09": "\t", "\\x0D\\x0A": "\n", "\\x0A": "\n"}


def http_service(server: str, tunnel: str = "", cpe: tuple[str, ...] = ()) -> Service:
    """The HTTP service behind a Server header such as `Apache/2.4.6 (CentOS)`, with the CPE names a tool told."""
    told = _by_server(clean(server, MAX_HEADER))
    return msgspec.structs.replace(told, tunnel=tunnel, cpe=_both(cpe, told.cpe)) if tunnel or cpe else told


def completed(service: Service | None, name: str, said: str) -> Service | None:
    """`service` with the product that its banner `said` tells, where the tool told none.

    `name` is what a tool that does not know takes the service for, such as by its port; it counts where the banner
    has a product of that protocol.
    """
    if (service and service.product) or not said:
        return service
    told = _by_banner(service.name if service and service.name else name, said[:MAX_SAID])
    if told is None:
        return service
    if service is None:
        return told
    return msgspec.structs.replace(
        service,
        name=service.name or told.name,
        product=told.product,
        version=told.version,
        extra=service.extra or told.extra,
        cpe=_both(service.cpe, told.cpe),
    )


# Networks run few products: what a header or banner says is read once.
@lru_cache(maxsize=4096)
def _by_server(header: str) -> Service:
    return _bounded(by_server(header) or Service("http"))


@lru_cache(maxsize=4096)
def _by_banner(name: str, said: str) -> Service | None:
    for written, meant in _LINE_ENDS.items():
        said = said.replace(written, meant)
    told = by_banner(name, said)
    return _bounded(told) if told else None


def _both(tools: tuple[str, ...], ours: tuple[str, ...]) -> tuple[str, ...]:
    """The names that a tool told, and ours of products that these do not name."""
    named = {_product(name) for name in tools}
    return tuple(sorted({*tools, *(name for name in ours if _product(name) not in named)})[:MAX_CPE])


def _product(name: str) -> tuple[str, ...]:
    """Part, vendor and product of a CPE name of either version."""
    return tuple(name.removeprefix("cpe:2.3:").removeprefix("cpe:/").split(":")[:3])


def _bounded(service: Service) -> Service:
    return msgspec.structs.replace(
        service, product=clean(service.product), version=clean(service.version), extra=clean(service.extra)
    )


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
    service = completed(Service(known) if known else None, known, text)
    return service, Banner(text=text) if text else None, None
