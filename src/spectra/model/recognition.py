"""What a banner says of the software behind it. Pure: text in, a `Service` out.

First the rows of products are tried, then the forms in which software usually tells its name and version. Texts come
from strangers: every look is at a bounded prefix, and what is not understood is simply not recognised.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from spectra.model.banners import find, match, mysql, told
from spectra.model.observation import Service
from spectra.model.products import DNS, FTP, IMAP, MEMCACHED, NNTP, NTP, POP3, REDIS, SIP, SMTP, SSH, Product
from spectra.model.webproducts import KNOWN

MAX_SAID: Final = 2048  # characters of a banner that are looked at
MAX_HEADER: Final = 500

# Protocol to table, and whether its patterns are at the start of what is said.
_TABLES: Final = {
    "ssh": (SSH, True),
    "ftp": (FTP, False),
    "smtp": (SMTP, False),
    "pop3": (POP3, False),
    "imap": (IMAP, False),
    "domain": (DNS, True),
    "ntp": (NTP, False),
    "nntp": (NNTP, False),
    "sip": (SIP, True),
    "redis": (REDIS, False),
    "memcached": (MEMCACHED, False),
}
_NAMES: Final = {
    **{"https": "http", "http-alt": "http", "http-proxy": "http", "https-alt": "http"},
    **{"ftps": "ftp", "smtps": "smtp", "submission": "smtp", "imaps": "imap", "pop3s": "pop3", "pop": "pop3"},
    **{"dns": "domain", "sips": "sip", "mariadb": "mysql"},
}

# An answer's first line, or that of a greeting with its code (RFC 5321 section 4.2, RFC 959, RFC 1939, RFC 3501).
_CODE: Final = re.compile(r"(?:220[ -]|\+OK |\* OK )")
_SSH_LINE: Final = re.compile(r"^SSH-[\d.]{1,5}-([^\r\n]{1,255})", re.MULTILINE)
_SERVER: Final = re.compile(r"^(?:Server|User-Agent):[ \t]{0,8}([^\r\n]{1,500})", re.MULTILINE | re.IGNORECASE)
_ANSWER: Final = re.compile(r"(?:HTTP|RTSP|SIP)/[12]\.\d ")
# The bytes before the version in MySQL's greeting, as tools write what does not print.
_MYSQL_GREETING: Final = re.compile(r"\\x00(?:\n|\\x0[aA])(\d[^\\\n]{2,80})\\x00")
_BUILDER: Final = re.compile(
    r"\(((?:Ubuntu|Debian|Raspbian|CentOS|Fedora|Gentoo|openSUSE|SUSE|Alpine|Amazon Linux|Red ?Hat)[\w /.+-]{0,40})\)"
)


_UPNP: Final = re.compile(r"(?P<system>[^\r\n]{1,120}?[ ,]UPnP/\d\.\d),? (?P<product>[^\r\n]{1,200})")
_WORDS: Final = r"[A-Za-z][\w+!&.-]{0,40}(?: [A-Za-z][\w+!&.-]{0,40}){0,5}"
_NUMBER: Final = r"(?!\d{1,3}(?:\.\d{1,3}){3}(?![\w.]))\d{1,6}(?:[.]\w{1,20}){1,6}"  # no address
# A product and its version as servers write them where no row knows them: `Name 1.2`, `Name(1.2)`, `Name/1.2`, `Name`.
_FORMS: Final = tuple(
    re.compile(form, re.DOTALL)
    for form in (
        rf"(?P<name>{_WORDS}) v?(?P<version>{_NUMBER}[\w.+~-]{{0,40}})(?P<rest>|[ (\[;,].{{0,500}})",
        rf"(?P<name>{_WORDS}) ?\(v?(?P<version>{_NUMBER}[\w.+~-]{{0,40}})\)(?P<rest>.{{0,500}})",
        r"(?P<name>[^/(),]+)/(?P<version>\S+)(?:\s+(?P<rest>.*))?",
        r"(?P<name>[^/()]+?)(?P<version>)(?:\s+(?P<rest>\(.*))?",
    )
)
_MARKED: Final = re.compile(r"[^\s();,\[\]]{1,80}")

_CAPITALS: Final = r"[A-Z][\w+/-]{1,30}(?: [A-Z][\w+/-]{1,30}){0,3}"
# The same of other protocols: `ESMTP Name 1.2`, `Name 1.2 ESMTP`, `Welcome to Name 1.2`, `FTP server (Name 1.2)`.
_GENERAL: Final = {
    "smtp": tuple(
        re.compile(form)
        for form in (
            rf"\bE?SMTP (?:[Ss]erver |[Ss]ervice )?\(?(?P<name>{_CAPITALS}),? "
            rf"(?:[Vv]ersion:? |Release )?v?(?P<version>{_NUMBER})",
            rf"(?:^|[ (])(?P<name>{_CAPITALS}) v?(?P<version>{_NUMBER})\)? (?:SMTP/)?E?SMTP\b",
        )
    ),
    "ftp": tuple(
        re.compile(form)
        for form in (
            rf"(?:Welcome to (?:the )?)?(?P<name>{_CAPITALS}) (?:[Vv]ersion )?v?(?P<version>{_NUMBER})",
            rf"[^\r\n]{{0,100}}FTP server \((?!Version\b)(?P<name>{_CAPITALS}) v?(?P<version>{_NUMBER})",
        )
    ),
    "ssh": (
        re.compile(r"(?P<name>[A-Za-z][A-Za-z+]{1,30}(?:[ _-][A-Za-z+]{1,30}){0,4})[_/ -]v?(?P<version>\d[\w.]{0,40})"),
    ),
    "domain": (re.compile(rf"(?P<name>{_WORDS})[ -]v?(?P<version>{_NUMBER})"),),
    "sip": (re.compile(rf"(?P<name>{_WORDS})[ /]v?(?P<version>{_NUMBER})"),),
}


def by_banner(protocol: str, said: str) -> Service | None:
    """The software that greets with `said`, or answers so; `protocol` as IANA or nmap name it, "" if unknown.

    None where no product is told. What changes from one greeting to the next (dates, names of hosts) is not kept.
    """
    text = said[:MAX_SAID].strip()
    name = _protocol(_NAMES.get(protocol, protocol), text)
    header = _SERVER.search(text) if _ANSWER.match(text) else None
    if name in ("http", "rtsp"):
        service = by_server(header[1]) if header else None
    elif name == "mysql":
        greeting = _MYSQL_GREETING.search(text)
        service = mysql(greeting[1] if greeting else text)
    elif name in _TABLES:
        service = _by_table(name, header[1] if header else text)
    else:
        return None
    return msgspec.structs.replace(service, name=name) if service and service.product else None


def by_server(header: str) -> Service | None:
    """The software that sends this Server header (RFC 9110 section 10.2.4); what stands behind it is extra."""
    text = header[:MAX_HEADER].strip()
    upnp = _UPNP.match(text)  # UPnP Device Architecture 2.0 section 1.3.3: `OS/version UPnP/2.0 product/version`
    if upnp:
        told = by_server(upnp["product"])
        return _with_extra(told, f"{upnp['system']} {told.extra}".strip()) if told else None
    found = find(KNOWN, text, start=True)
    if found:
        return _with_rest(text, *found)
    general = next((found for form in _FORMS if (found := form.fullmatch(text))), None)
    if general is None:
        return Service("http", text) if text else None
    return Service("http", general["name"].strip(), general["version"], (general["rest"] or "").strip())


def _with_rest(text: str, row: Product, found: re.Match[str]) -> Service:
    """The version whole, with what a distribution appended, and all that is behind it as extra."""
    groups = found.groupdict()
    version, end = "", found.end()
    if groups.get("version"):
        whole = _MARKED.match(text, found.start("version"))
        version, end = (whole[0], whole.end()) if whole else (groups["version"], found.end("version"))
        if groups.get("update") and end < found.end():
            version, end = f"{version}{groups['update']}", found.end()
    elif groups.get("extra"):
        end = found.start("extra") - (text[found.start("extra") - 1] == "(")
    rest = text[end:].lstrip(")").strip()
    return Service("http", row.name, version, rest, cpe=told(row, found, "").cpe)


def _with_extra(service: Service, extra: str) -> Service:
    return msgspec.structs.replace(service, extra=extra)


def _protocol(name: str, text: str) -> str:
    """What is spoken, by its first words where these say it; else `name`."""
    if text.startswith("SSH-"):
        return "ssh"
    if text.startswith("HTTP/1."):
        return "http"
    if name not in ("", "unknown"):
        return name
    if text.startswith(("220 ", "220-")):
        return "smtp" if re.search(r"\bE?SMTP\b", text) else "ftp" if re.search("ftp", text, re.IGNORECASE) else ""
    return "pop3" if text.startswith("+OK ") else "imap" if text.startswith("* OK ") else ""


def _by_table(name: str, text: str) -> Service | None:
    rows, start = _TABLES[name]
    if name == "ssh" and (line := _SSH_LINE.search(text)):
        text = line[1]
    elif name in ("pop3", "imap"):
        text = text.partition("\n")[0]
    if code := _CODE.match(text):
        text = text[code.end() :]
    service = match(rows, text, name, start=start) or _in_general(name, text)
    if service is not None and not service.extra and (builder := _BUILDER.search(text)):
        return msgspec.structs.replace(service, extra=builder[1])
    return service


def _in_general(name: str, text: str) -> Service | None:
    """A product and its version where they stand as they usually do."""
    for form in _GENERAL.get(name, ()):
        found = form.search(text) if name == "smtp" else form.match(text)
        if found:
            return Service(name, found["name"], found["version"])
    return None
