"""What runs behind a port, from what it said. Pure: bytes in, a `Service` out.

Bytes come from a stranger: every look is at a bounded prefix, and what is not understood is simply not recognised.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable

from spectra.model.banners import cpe, match, mysql
from spectra.model.observation import MAX_BANNER_BYTES, Service
from spectra.model.products import FTP, IMAP, NNTP, POP3, SMTP, SSH
from spectra.model.webproducts import HTTP

MAX_SAID = 16 * 1024  # bytes looked at; a title further down is not found
MAX_TITLE = 300

_RFB = re.compile(rb"RFB (\d{3})\.(\d{3})\n")
_RSYNC = re.compile(rb"@RSYNCD: ([\d.]{1,10})")
_TITLE = re.compile(rb"<title[^>]{0,200}>(.{0,2000}?)</title", re.IGNORECASE | re.DOTALL)
_CHARSET = re.compile(rb"charset=[\"']?([\w-]{1,40})", re.IGNORECASE)
_REDIS_ERROR = re.compile(rb"-(?:NOAUTH|DENIED Redis|ERR (?:wrong number of arguments for|unknown command))")
_REDIS_FIELD = re.compile(rb"(?:^|\n)(redis_version|valkey_version|redis_mode):([^\r\n]{1,60})")
_MEMCACHED = re.compile(rb"VERSION (\d[\w.+-]{0,40})\r\n")
_NATS = re.compile(rb'INFO \{.{0,2000}?"version": ?"([\w.+-]{1,40})"', re.DOTALL)
_NNTP = re.compile(r"20[01] .*(?:NNTP|INN|news)", re.IGNORECASE)
_ELASTIC = re.compile(rb'"number" ?: ?"([\w.-]{1,40})".{0,2000}"You Know, for Search"', re.DOTALL)
_DATE = re.compile(r"\w{3}, +\d{1,2} \w{3} \d{4} \d\d:\d\d:\d\d(?: ?[+-]\d{4})?(?: \(\w+\))?")
_APOP = re.compile(r"<[\d.A-Za-z]+@([\w.-]+)>")
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
# Headers that differ from one answer to the next: with them every scan would find a new service.
_CHANGING = {
    *("date", "expires", "age", "last-modified", "etag", "set-cookie", "content-length", "content-security-policy"),
    *("cf-ray", "x-request-id", "x-amz-request-id", "x-amz-id-2", "x-runtime", "x-trace-id", "x-correlation-id"),
    *("report-to", "nel", "alt-svc"),
}


def recognise(said: bytes) -> Service | None:
    """The service that says `said` first, or in answer to a GET, a PING or `version`; None if it is not known."""
    data = said[:MAX_SAID]
    for look in _LOOKS:
        if (service := look(data)) is not None:
            return service
    return None


def recognise_postgresql(answer: bytes) -> Service | None:
    """PostgreSQL by its answer to an SSLRequest: one byte, `S` or `N` (protocol 3.0, section 55.2.10)."""
    return Service(name="postgresql", product="PostgreSQL DB") if answer in {b"S", b"N"} else None


def looks_like_tls(said: bytes) -> bool:
    """Whether the peer answered plain text with a TLS record (RFC 8446 section 5.1) or asked for https in words."""
    if len(said) >= 3 and said[0] in {0x15, 0x16} and said[1] == 3 and said[2] <= 4:
        return True
    head = said[:2048].lower()
    return head.startswith(b"http/1") and (b"http request was sent to https" in head or b"to an https server" in head)


def title(said: bytes) -> str:
    """The title of the HTML page in an HTTP answer: one line, at most 300 characters, entities resolved."""
    found = _TITLE.search(_dechunked(said[:MAX_SAID]))
    if not said.startswith(b"HTTP/") or found is None:
        return ""
    charset = _CHARSET.search(said[:MAX_SAID])
    text = html.unescape(_decode(found[1], charset[1].decode("ascii") if charset else "utf-8"))
    return _clean(" ".join(text.split()))[:MAX_TITLE]


def banner(said: bytes, service: Service | None) -> str:
    """`said` as text worth keeping: at most 2 KB, printable, without what changes from one answer to the next.

    HTTP keeps its head, SSH its first line, MySQL its version (the rest is a random salt), Redis its version lines.
    """
    name = service.name if service else ""
    if said.startswith(b"HTTP/"):
        text = _http_head(said)
    elif name == "ssh":
        text = next((line for line in _lines(said) if line.startswith("SSH-")), "")
    elif name == "mysql":
        text = service.version if service else ""
    elif name == "redis" and b"redis_version:" in said:
        text = "\n".join(b":".join(field).decode("ascii", "replace") for field in _REDIS_FIELD.findall(said))
    elif name == "nats":
        text = f"INFO {service.version}" if service else ""
    else:
        text = _APOP.sub(r"<apop@\1>", _DATE.sub("<date>", _decode(said[: MAX_BANNER_BYTES * 2], "utf-8")))
    text = _clean(text.replace("\r\n", "\n")).strip()
    return text.encode()[:MAX_BANNER_BYTES].decode("utf-8", "ignore")


def _ssh(data: bytes) -> Service | None:
    line = next((line for line in _lines(data)[:20] if line.startswith("SSH-")), "")
    if not line:
        return None
    software = line.split("-", 2)[2] if line.count("-") >= 2 else ""
    return match(SSH, software, "ssh", start=True) or Service(name="ssh", product=software.partition(" ")[0][:60])


def _http(data: bytes) -> Service | None:
    if not data.startswith(b"HTTP/1."):
        return None
    found = _ELASTIC.search(data)
    if found:
        version = found[1].decode()
        return Service("http", "Elasticsearch REST API", version, cpe=cpe("cpe:/a:elastic:elasticsearch", version))
    if b"trying to access MongoDB over HTTP" in data:
        return Service(name="mongodb", product="MongoDB", cpe=("cpe:/a:mongodb:mongodb",))
    headers = dict(_headers(data))
    server = headers.get("server", "") or headers.get("via", "").rpartition(" ")[2].strip("()")
    return match(HTTP, server, "http", start=True) or Service(name="http")


def _greeting(data: bytes) -> Service | None:
    """FTP (RFC 959) and SMTP (RFC 5321 section 4.2) both greet with 220; the words tell them apart."""
    if not data.startswith((b"220 ", b"220-")):
        return None
    text = "\n".join(_lines(data))
    smtp = match(SMTP, text, "smtp")
    if smtp is not None or re.search(r"\bE?SMTP\b", text):
        return smtp or Service(name="smtp")
    ftp = match(FTP, text, "ftp")
    return ftp or (Service(name="ftp") if re.search(r"ftp", text, re.IGNORECASE) else None)


def _pop3(data: bytes) -> Service | None:
    return match(POP3, _first(data), "pop3") or Service(name="pop3") if data.startswith(b"+OK") else None


def _imap(data: bytes) -> Service | None:
    if not data.startswith((b"* OK", b"* PREAUTH", b"* BYE")):
        return None
    return match(IMAP, _first(data), "imap") or Service(name="imap")


def _mysql(data: bytes) -> Service | None:
    """MySQL's first packet: length (3 bytes), sequence 0, then protocol 10 and a version, or an error 0xff."""
    if len(data) < 8 or data[3] != 0 or not 5 <= int.from_bytes(data[:3], "little") <= 1024:
        return None
    if data[4] == 0xFF and (b"MySQL" in data or b"MariaDB" in data or b"is blocked because" in data):
        return Service(name="mysql", product="MariaDB" if b"MariaDB" in data else "MySQL")
    if data[4] != 10 or b"\0" not in data[5:100]:
        return None
    told = data[5 : data.index(b"\0", 5)].decode("latin-1")
    return mysql(told)


def _redis(data: bytes) -> Service | None:
    fields = {name.decode(): value.decode("ascii", "replace") for name, value in _REDIS_FIELD.findall(data)}
    if "valkey_version" in fields:
        version = fields["valkey_version"]
        return Service("redis", "Valkey key-value store", version, cpe=cpe("cpe:/a:lfprojects:valkey", version))
    if data.startswith(b"+PONG") or fields or _REDIS_ERROR.match(data):
        version = fields.get("redis_version", "")
        return Service("redis", "Redis key-value store", version, cpe=cpe("cpe:/a:redis:redis", version))
    return None


def _memcached(data: bytes) -> Service | None:
    found = _MEMCACHED.match(data)
    if found:
        version = found[1].decode()
        return Service("memcached", "Memcached", version, cpe=cpe("cpe:/a:memcached:memcached", version))
    return Service(name="memcached") if re.fullmatch(rb"(?:ERROR\r\n)+", data) else None


def _framed(data: bytes) -> Service | None:
    """Protocols whose first bytes carry a version."""
    if found := _RFB.match(data):
        return Service(name="vnc", product="VNC", extra=f"protocol {int(found[1])}.{int(found[2])}")
    if found := _RSYNC.match(data):
        return Service(name="rsync", extra=f"protocol version {found[1].decode()}")
    if found := _NATS.match(data):
        version = found[1].decode()
        return Service("nats", "NATS", version, cpe=cpe("cpe:/a:nats:nats_server", version))
    return None


def _others(data: bytes) -> Service | None:
    """Protocols that one look at the first bytes settles."""
    if data.startswith(b"E\0\0\0") and b"SFATAL" in data[:40]:
        return Service(name="postgresql", product="PostgreSQL DB")
    if data.startswith(b"\xff") and len(data) > 2 and 0xFB <= data[1] <= 0xFE:
        return Service(name="telnet")  # IAC WILL/WONT/DO/DONT, RFC 854
    if _NNTP.match(_first(data)):
        return match(NNTP, _first(data), "nntp") or Service(name="nntp")
    return next((Service(name=name) for start, name in _STARTS if data.startswith(start)), None)


_STARTS: tuple[tuple[bytes, str], ...] = (
    (b"AMQP", "amqp"),
    (b"SIP/2.0 ", "sip"),
    (b"RTSP/1.0 ", "rtsp"),
    (b"<?xml version='1.0'?><stream:stream", "xmpp"),
    (b"<stream:stream", "xmpp"),
)
_LOOKS: tuple[Callable[[bytes], Service | None], ...] = (
    _ssh,
    _http,
    _greeting,
    _pop3,
    _imap,
    _mysql,
    _redis,
    _memcached,
    _framed,
    _others,
)


def _lines(data: bytes) -> list[str]:
    return data[:4096].decode("latin-1").splitlines()


def _first(data: bytes) -> str:
    return next(iter(_lines(data)), "")


def _headers(data: bytes) -> Iterable[tuple[str, str]]:
    """Header fields of an HTTP answer, names in lower case; at most 100."""
    head = data.partition(b"\r\n\r\n")[0].decode("latin-1")
    for line in head.split("\n")[1:101]:
        name, colon, value = line.partition(":")
        if colon:
            yield name.strip().lower(), value.strip()


def _http_head(said: bytes) -> str:
    lines = _decode(said[:MAX_SAID].partition(b"\r\n\r\n")[0], "utf-8").splitlines()
    return "\n".join(line for line in lines if line.partition(":")[0].strip().lower() not in _CHANGING)


def _dechunked(said: bytes) -> bytes:
    """The body of an HTTP answer, its chunks joined (RFC 9112 section 7.1); whatever is not chunked comes as it is."""
    head, _, body = said.partition(b"\r\n\r\n")
    if b"chunked" not in head.lower():
        return body
    joined = b""
    while match := re.match(rb"([0-9A-Fa-f]{1,7})[^\r\n]{0,100}\r\n", body):
        size = int(match[1], 16)
        joined += body[match.end() : match.end() + size]
        body = body[match.end() + size + 2 :]
    return joined


def _decode(data: bytes, charset: str) -> str:
    try:
        return data.decode(charset)
    except (LookupError, UnicodeDecodeError, ValueError):
        return data.decode("utf-8", "backslashreplace")


def _clean(text: str) -> str:
    """Control characters as `\\xNN`: text for a terminal and a database must not carry them."""
    return _UNSAFE.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
