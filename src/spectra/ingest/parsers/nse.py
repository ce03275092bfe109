"""The output of nmap's scripts (NSE): titles, banners and certificates go where they belong, the rest is evidence."""

from __future__ import annotations

from spectra.ingest.parsers import certificate
from spectra.ingest.parsers.software import completed
from spectra.ingest.parsers.text import MAX_EVIDENCE, TITLE_CHARS, block, clean
from spectra.ingest.parsers.times import instant
from spectra.ingest.parsers.xml import Element
from spectra.model.observation import MAX_BANNER_BYTES, Banner, Certificate, Evidence, Service

_TITLES = frozenset({"http-title", "html-title", "HTML title"})
# http-title says these in place of a title.
_NO_TITLE = ("Site doesn't have a title", "Did not follow redirect", "ERROR")

_ADVICE = "Software version grabbed from Server header"


class Findings:
    """What the scripts of one port or host said, sorted as they are read with `add`."""

    def __init__(self) -> None:
        self.certificate: Certificate | None = None
        self._evidence: dict[str, Evidence] = {}
        self._title = ""
        self._banner = ""
        self._server = ""

    def add(self, script: Element) -> None:
        """Take in one `script` element."""
        name = clean(script.get("id"), 100)
        output = script.get("output") or ""
        if not name or (name in _TITLES and self._take_title(script, output)):
            return
        if name == "banner" and not self._banner:
            self._banner = block(output, MAX_BANNER_BYTES)
        elif name == "http-server-header" and not self._server:
            self._server = block(_server(script, output), MAX_BANNER_BYTES)
        elif name == "ssl-cert" and self.certificate is None and (found := _certificate(script, output)):
            self.certificate = found
        elif len(self._evidence) < MAX_EVIDENCE:
            self._evidence.setdefault(name, Evidence(kind=f"nse:{name}", data=block(output)))

    def _take_title(self, script: Element, output: str) -> bool:
        title = _elem(script, "title") or output.strip().partition("\n")[0]
        if self._title or title.startswith(_NO_TITLE):
            return False
        self._title = clean(title, TITLE_CHARS)
        return True

    def banner(self) -> Banner | None:
        """The banner: what the `banner` script read, else the HTTP Server header, and the page's title."""
        if not (self._title or self._banner or self._server):
            return None
        return Banner(text=self._banner or self._server, title=self._title)

    def served(self, service: Service | None, name: str) -> Service | None:
        """`service` with the product that its header or banner tells, where nmap found none.

        `name` is what nmap takes the port for, where it did not ask.
        """
        if self._server:
            service = completed(service, "http", f"HTTP/1.1 200\nServer: {self._server}")
        return completed(service, name, self._banner)

    def evidence(self) -> tuple[Evidence, ...]:
        """All other output, one piece for each script."""
        evidence = tuple(self._evidence.values())
        if self._server and self._banner:
            evidence += (Evidence(kind="nse:http-server-header", data=self._server),)
        return evidence


def _server(script: Element, output: str) -> str:
    """The header's value. nmap 7.10 and later put it into elements and may put advice into the output instead."""
    told = [child.text or "" for child in script if child.tag == "elem"]
    return told[0] if told else "" if output.startswith(_ADVICE) else output


def _elem(parent: Element, key: str) -> str:
    for child in parent:
        if child.get("key") == key:
            return child.text or ""
    return ""


def _table(parent: Element, key: str) -> dict[str, str]:
    for child in parent:
        if child.tag == "table" and child.get("key") == key:
            return {elem.get("key") or "": elem.text or "" for elem in child}
    return {}


def _certificate(script: Element, output: str) -> Certificate | None:
    """From the PEM, which nmap writes as an element since 6.40 and in the output with -v; else as it is described."""
    found = certificate.from_pem(_elem(script, "pem") or output)
    if found is not None:
        return found
    sha256 = certificate.sha256_hex(_elem(script, "sha256"))
    return _described(script, sha256) if sha256 else None


def _described(script: Element, sha256: str) -> Certificate:
    subject, issuer = _table(script, "subject"), _table(script, "issuer")
    validity, pubkey = _table(script, "validity"), _table(script, "pubkey")
    return certificate.told(
        sha256,
        subject.get("commonName"),
        _distinguished_name(subject),
        _distinguished_name(issuer),
        _alternative_names(script),
        instant(validity.get("notBefore")),
        instant(validity.get("notAfter")),
        key=f"{pubkey.get('type', '')} {pubkey.get('bits', '')}",
    )


def _distinguished_name(parts: dict[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in parts.items())


def _alternative_names(script: Element) -> list[str]:
    """From the extension's text, such as `DNS:example.org, DNS:www.example.org`."""
    for table in script:
        if table.tag == "table" and table.get("key") == "extensions":
            for extension in table:
                if _elem(extension, "name") == "X509v3 Subject Alternative Name":
                    names = _elem(extension, "value").split(",")
                    return [name.strip().partition(":")[2] for name in names]
    return []
