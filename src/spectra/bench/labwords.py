"""What the small servers of the lab say: real protocols, as far as a scanner asks, and nothing behind them.

A port that speaks first has a greeting; one that is spoken to first answers by how the words it hears begin. The
servers a Debian machine has (`labreal.py`) stand beside them.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Words(NamedTuple):
    """One small server: what it says first, what it answers to which beginnings, otherwise, and whether inside TLS."""

    greeting: bytes = b""
    replies: tuple[tuple[bytes, bytes], ...] = ()
    otherwise: bytes = b""
    tls: bool = False


def _page(server: str, title: str) -> bytes:
    body = f"<html><head><title>{title}</title></head><body></body></html>\n".encode()
    head = f"HTTP/1.1 200 OK\r\nServer: {server}\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + body


def _web(server: str, title: str, *, tls: bool = False) -> Words:
    page, bad = _page(server, title), _page(server, "400 Bad Request").replace(b"200 OK", b"400 Bad Request")
    return Words(replies=((b"GET ", page), (b"OPTIONS ", page), (b"HEAD ", page)), otherwise=bad, tls=tls)


def _mysql(version: bytes, plugin: bytes) -> bytes:
    """The first packet of MySQL's protocol 10."""
    body = b"\x0a" + version + b"\0" + (47).to_bytes(4, "little") + b"abcdefgh\0" + b"\xff\xf7\x08\x02\0\xff\x81\x15"
    body += b"\0" * 10 + b"ijklmnopqrst\0" + plugin + b"\0"
    return len(body).to_bytes(3, "little") + b"\0" + body


def _rfc(text: str) -> bytes:
    return text.encode() + b"\r\n"


_AMQP_START: Final = (
    b"\x01\0\0\0\0\0\x36\0\x0a\0\x0a\0\x09\0\0\0\x25\x07productS\0\0\0\x08RabbitMQ\x07versionS\0\0\0\x063.10.8"
    b"\0\0\0\0\0\0\0\0\xce"
)
_LIVE555: Final = "OPTIONS, DESCRIBE, SETUP, TEARDOWN, PLAY, PAUSE, SET_PARAMETER"
_LDAP: Final = bytes.fromhex("300c02010161070a010004000400")  # BindResponse: success, RFC 4511 section 4.2.2

WORDS: Final[dict[str, Words]] = {
    "nginx": _web("nginx/1.22.1", "Welcome to nginx!"),
    "apache": _web("Apache/2.4.62 (Debian)", "Apache2 Debian Default Page"),
    "lighttpd": _web("lighttpd/1.4.69", "Placeholder page"),
    "iis": _web("Microsoft-IIS/10.0", "IIS Windows Server"),
    "caddy": _web("Caddy", "It works"),
    "nginx-tls": _web("nginx/1.22.1", "Secure", tls=True),
    "apache-tls": _web("Apache/2.4.62 (Debian)", "Secure", tls=True),
    "openssh": Words(greeting=_rfc("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3")),
    "openssh-old": Words(greeting=_rfc("SSH-2.0-OpenSSH_7.4")),
    "vsftpd": Words(greeting=_rfc("220 (vsFTPd 3.0.3)"), otherwise=_rfc("530 Please login with USER and PASS.")),
    "proftpd": Words(greeting=_rfc("220 ProFTPD 1.3.8 Server (Debian) [10.251.0.1]"), otherwise=_rfc("500 not known")),
    "postfix": Words(greeting=_rfc("220 mail.lab.example ESMTP Postfix (Debian/GNU)"), otherwise=_rfc("502 5.5.2 no")),
    "exim": Words(
        greeting=_rfc("220 mx.lab.example ESMTP Exim 4.96 Thu, 01 Jan 2026 00:00:00 +0000"), otherwise=_rfc("500 no")
    ),
    "postfix-tls": Words(greeting=_rfc("220 mail.lab.example ESMTP Postfix"), otherwise=_rfc("502 5.5.2 no"), tls=True),
    "dovecot-imap": Words(
        greeting=_rfc("* OK [CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE AUTH=PLAIN] Dovecot ready."),
        otherwise=_rfc("* BAD Error in IMAP command received by server."),
    ),
    "dovecot-imaps": Words(greeting=_rfc("* OK [CAPABILITY IMAP4rev1 ID IDLE AUTH=PLAIN] Dovecot ready."), tls=True),
    "dovecot-pop3": Words(greeting=_rfc("+OK Dovecot (Debian) ready."), otherwise=_rfc("-ERR Unknown command.")),
    "dovecot-pop3s": Words(greeting=_rfc("+OK Dovecot ready."), otherwise=_rfc("-ERR Unknown command."), tls=True),
    "mysql": Words(greeting=_mysql(b"8.0.36", b"caching_sha2_password")),
    "mariadb": Words(greeting=_mysql(b"5.5.5-10.11.6-MariaDB-0+deb12u1", b"mysql_native_password")),
    "vnc": Words(greeting=b"RFB 003.008\n"),
    "rsync": Words(greeting=b"@RSYNCD: 31.0\n"),
    "telnet": Words(greeting=b"\xff\xfd\x18\xff\xfd\x20\xff\xfd\x23\xff\xfd\x27"),
    "memcached": Words(
        replies=(
            (b"version", _rfc("VERSION 1.6.18")),
            (b"stats", b"STAT pid 7\r\nSTAT uptime 60\r\nSTAT time 1795737600\r\nSTAT version 1.6.18\r\nEND\r\n"),
            (b"\r\n\r\n", b"ERROR\r\nERROR\r\n"),  # one for each line
        ),
        otherwise=_rfc("ERROR"),
    ),
    "postgresql": Words(
        replies=((b"\0\0\0\x08\x04\xd2\x16\x2f", b"N"),),
        otherwise=b"E\0\0\0\x8bSFATAL\0VFATAL\0C0A000\0Munsupported frontend protocol 65363.19778: server supports 3.0"
        b" to 3.0\0Fpostmaster.c\0L2175\0RProcessStartupPacket\0\0",
    ),
    "ldap": Words(replies=((b"\x30", _LDAP),)),
    "amqp": Words(replies=((b"AMQP", _AMQP_START),), otherwise=b"AMQP\0\0\t\x01"),
    "rtsp": Words(
        otherwise=_rfc(f"RTSP/1.0 400 Bad Request\r\nDate: Fri, Nov 27 2026 10:00:00 GMT\r\nAllow: {_LIVE555}\r\n")
    ),
    "nntp": Words(greeting=_rfc("200 news.lab.example InterNetNews NNRP server INN 2.7.0 ready (posting ok)")),
}
"""The small servers by name."""

TRUTH: Final[dict[str, str]] = {
    **dict.fromkeys(("nginx", "apache", "lighttpd", "iis", "caddy", "python-http"), "http"),
    **dict.fromkeys(("nginx-tls", "apache-tls"), "http in tls"),
    **dict.fromkeys(("openssh", "openssh-old", "dropbear"), "ssh"),
    **dict.fromkeys(("vsftpd", "proftpd"), "ftp"),
    **dict.fromkeys(("postfix", "exim"), "smtp"),
    **dict.fromkeys(("mysql", "mariadb"), "mysql"),
    "postfix-tls": "smtp in tls",
    "dovecot-imap": "imap",
    "dovecot-imaps": "imap in tls",
    "dovecot-pop3": "pop3",
    "dovecot-pop3s": "pop3 in tls",
    "dnsmasq": "domain",
    "mosquitto": "mqtt",
    **{name: name for name in ("vnc", "rsync", "telnet", "memcached", "postgresql", "ldap", "amqp", "rtsp", "nntp")},
    "redis": "redis",
}
"""What each server is, small and real ones: the service's name as nmap has it, and whether it is inside TLS."""
