"""`recognise`: banners as products send them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.collect.scanners.recognise import banner, looks_like_tls, recognise, recognise_postgresql, title
from spectra.model.observation import MAX_BANNER_BYTES, Service


def http(server: str) -> bytes:
    """An answer with a Server header."""
    return f"HTTP/1.1 200 OK\r\nServer: {server}\r\n\r\n".encode()


def mysql(version: str) -> bytes:
    """MySQL's first packet: version 10, text, thread id and salt."""
    body = b"\x0a" + version.encode() + b"\0" + b"\x01\x02\x03\x04" + b"salt-salt\0" + b"\x21\0" * 10
    return len(body).to_bytes(3, "little") + b"\0" + body


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n",
            "ssh | OpenSSH | 9.2p1 | Debian-2+deb12u3 | cpe:/a:openbsd:openssh:9.2p1",
        ),
        (
            b"hello\r\nSSH-2.0-dropbear_2022.83\r\n\x00\x00",
            "ssh | Dropbear sshd | 2022.83 |  | cpe:/a:dropbear_ssh_project:dropbear_ssh:2022.83",
        ),
        (b"SSH-2.0-Mystery_1\r\n", "ssh | Mystery_1 |  |  | "),
        (b"SSH-\r\n", "ssh |  |  |  | "),
        (http("nginx/1.24.0 (Ubuntu)"), "http | nginx | 1.24.0 | Ubuntu | cpe:/a:f5:nginx:1.24.0"),
        (http("nginx"), "http | nginx |  |  | cpe:/a:f5:nginx"),
        (
            http("Apache/2.4.57 (Debian) OpenSSL/3.0.9"),
            "http | Apache httpd | 2.4.57 | Debian | cpe:/a:apache:http_server:2.4.57",
        ),
        (http("lighttpd/1.4.69"), "http | lighttpd | 1.4.69 |  | cpe:/a:lighttpd:lighttpd:1.4.69"),
        (
            http("Microsoft-IIS/10.0"),
            "http | Microsoft IIS httpd | 10.0 |  | cpe:/a:microsoft:internet_information_services:10.0",
        ),
        (http("Acme-Box/3.2 Foo"), "http | Acme-Box | 3.2 |  | "),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "http |  |  |  | "),
        (
            b"HTTP/1.0 200 OK\r\nVia: 1.1 proxy (squid/5.7)\r\n\r\n",
            "http | Squid http proxy | 5.7 |  | cpe:/a:squid-cache:squid:5.7",
        ),
        (
            b'HTTP/1.1 200 OK\r\n\r\n{"version":{"number":"8.9.0"},"tagline":"You Know, for Search"}',
            "http | Elasticsearch REST API | 8.9.0 |  | cpe:/a:elastic:elasticsearch:8.9.0",
        ),
        (
            b"HTTP/1.0 200 OK\r\n\r\nIt looks like you are trying to access MongoDB over HTTP",
            "mongodb | MongoDB |  |  | cpe:/a:mongodb:mongodb",
        ),
        (b"220 (vsFTPd 3.0.3)\r\n", "ftp | vsftpd | 3.0.3 |  | cpe:/a:vsftpd_project:vsftpd:3.0.3"),
        (b"220 ProFTPD 1.3.8 Server (x) [1.2.3.4]\r\n", "ftp | ProFTPD | 1.3.8 |  | cpe:/a:proftpd:proftpd:1.3.8"),
        (b"220 Welcome to our FTP\r\n", "ftp |  |  |  | "),
        (b"220 mx ESMTP Postfix (Debian/GNU)\r\n", "smtp | Postfix smtpd |  | Debian/GNU | cpe:/a:postfix:postfix"),
        (
            b"220 mx ESMTP Exim 4.96 Fri, 21 Nov 2025 02:01:00 +0000\r\n",
            "smtp | Exim smtpd | 4.96 |  | cpe:/a:exim:exim:4.96",
        ),
        (b"220 mx ESMTP\r\n", "smtp |  |  |  | "),
        (b"+OK Dovecot (Ubuntu) ready.\r\n", "pop3 | Dovecot pop3d |  |  | cpe:/a:dovecot:dovecot"),
        (b"+OK hi\r\n", "pop3 |  |  |  | "),
        (b"* OK [CAPABILITY IMAP4rev1] Dovecot ready.\r\n", "imap | Dovecot imapd |  |  | cpe:/a:dovecot:dovecot"),
        (b"* OK ready\r\n", "imap |  |  |  | "),
        (mysql("8.0.36-0ubuntu0.22.04.1"), "mysql | MySQL | 8.0.36 | 0ubuntu0.22.04.1 | cpe:/a:oracle:mysql:8.0.36"),
        (
            mysql("5.5.5-10.11.6-MariaDB-0+deb12u1"),
            "mysql | MariaDB | 10.11.6 | MariaDB-0+deb12u1 | cpe:/a:mariadb:mariadb:10.11.6",
        ),
        (
            mysql("5.6.16-64.2-569.quantal-log"),
            "mysql | Percona Server | 5.6.16 | 64.2-569.quantal-log | cpe:/a:percona:percona_server:5.6.16",
        ),
        (
            b"\x48\0\0\0\xff\x6a\x04Host 'x' is not allowed to connect to this MariaDB server",
            "mysql | MariaDB |  |  | ",
        ),
        (
            b"+PONG\r\n$99\r\n# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n",
            "redis | Redis key-value store | 7.0.15 |  | cpe:/a:redis:redis:7.0.15",
        ),
        (
            b"+PONG\r\n$9\r\nredis_version:7.2.4\r\nvalkey_version:8.0.1\r\n",
            "redis | Valkey key-value store | 8.0.1 |  | cpe:/a:lfprojects:valkey:8.0.1",
        ),
        (b"-NOAUTH Authentication required.\r\n", "redis | Redis key-value store |  |  | cpe:/a:redis:redis"),
        (
            b"-ERR wrong number of arguments for 'get' command\r\n",
            "redis | Redis key-value store |  |  | cpe:/a:redis:redis",
        ),
        (b"VERSION 1.6.18\r\n", "memcached | Memcached | 1.6.18 |  | cpe:/a:memcached:memcached:1.6.18"),
        (b"ERROR\r\nERROR\r\n", "memcached |  |  |  | "),
        (b"RFB 003.008\n", "vnc | VNC |  | protocol 3.8 | "),
        (b"@RSYNCD: 31.0\n", "rsync |  |  | protocol version 31.0 | "),
        (
            b'INFO {"server_id":"X","version":"2.10.4","go":"go1"}\r\n',
            "nats | NATS | 2.10.4 |  | cpe:/a:nats:nats_server:2.10.4",
        ),
        (b"E\0\0\0\x84SFATAL\0VFATAL\0", "postgresql | PostgreSQL DB |  |  | "),
        (b"\xff\xfd\x18\xff\xfd\x20", "telnet |  |  |  | "),
        (b"200 news.example InterNetNews NNRP server INN ready\r\n", "nntp |  |  |  | "),
        (b"AMQP\0\0\x09\x01", "amqp |  |  |  | "),
        (b"RTSP/1.0 400 Bad Request\r\n", "rtsp |  |  |  | "),
    ],
)
def test_services_by_their_words(said: bytes, expected: str) -> None:
    """Name, product, version, extra and CPE of each well-known greeting."""
    name, product, version, extra, uri = (word.strip() for word in expected.split("|"))
    assert recognise(said) == Service(name, product, version, extra, cpe=(uri,) if uri else ())


@pytest.mark.parametrize(
    "said",
    [b"", b"\0", b"hello\r\n", b"220 hi\r\n", b"\x01\0\0\0\x0a", b"\x10\0\0\0\x0aabc\0defghijklm", mysql("x" * 200)],
)
def test_strangers_are_not_guessed(said: bytes) -> None:
    """What is not understood has no service; it is not given the nearest one."""
    assert recognise(said) is None


@given(
    st.binary(max_size=3000),
    st.sampled_from([b"", b"HTTP/1.1 ", b"SSH-2.0-", b"220 ", b"+OK", b"* OK", b"\x20\0\0\0\x0a"]),
)
def test_any_bytes_give_bounded_printable_text(junk: bytes, start: bytes) -> None:
    """Hostile bytes never raise, and what is kept is bounded and safe for a terminal and a database."""
    said = start + junk
    service = recognise(said)
    text = banner(said, service)
    assert len(text.encode()) <= MAX_BANNER_BYTES
    assert all(c in "\n\t" or c.isprintable() or c > "\x9f" for c in text)
    assert len(title(said)) <= 300
    assert "\0" not in text + title(said)
    looks_like_tls(said)


def test_postgresql_answers_with_one_letter() -> None:
    """`S` or `N`, and nothing else."""
    assert recognise_postgresql(b"S") == recognise_postgresql(b"N") == Service("postgresql", "PostgreSQL DB")
    assert recognise_postgresql(b"SSH") is None


def test_tls_is_noticed_from_a_plain_probe() -> None:
    """An alert record, or a web server that says what it expected."""
    assert looks_like_tls(b"\x15\x03\x03\x00\x02\x02\x46")
    assert looks_like_tls(b"HTTP/1.1 400 Bad Request\r\n\r\nThe plain HTTP request was sent to HTTPS port")
    assert looks_like_tls(b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
    assert not looks_like_tls(http("nginx"))
    assert not looks_like_tls(b"\x15")


def test_titles() -> None:
    """One line, entities resolved, in the page's own character set; chunks are joined first."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=iso-8859-1\r\n"
    assert title(head + b"\r\n<TITLE lang=x>\n Caf\xe9 &amp;\n more </TITLE>") == "Café & more"
    chunked = b"Transfer-Encoding: chunked\r\n\r\n8;x=y\r\n<title>o\r\nb\r\nne</title>xx\r\n0\r\n\r\n"
    assert title(head + chunked) == "one"
    assert title(b"HTTP/1.1 200 OK\r\nX: charset=nonsense\r\n\r\n<title>\xff</title>") == "\\xff"
    assert title(b"<title>not http</title>") == ""
    assert title(head + b"\r\n<title></title>") == ""


def test_banners_do_not_change_with_the_clock() -> None:
    """Two answers of one service give one banner: dates, cookies, salts and one-time marks are left out."""
    first = b"HTTP/1.1 200 OK\r\nServer: x\r\nDate: Mon\r\nSet-Cookie: a=1\r\n\r\nbody"
    assert banner(first, recognise(first)) == "HTTP/1.1 200 OK\nServer: x"
    assert banner(mysql("8.0.36"), recognise(mysql("8.0.36"))) == "8.0.36"
    ssh = b"SSH-2.0-OpenSSH_9.2p1\r\n\0\0\x05\x04random cookie"
    assert banner(ssh, recognise(ssh)) == "SSH-2.0-OpenSSH_9.2p1"
    smtp = b"220 mx ESMTP Exim 4.96 Fri, 21 Nov 2025 02:01:00 +0000\r\n"
    assert banner(smtp, recognise(smtp)) == "220 mx ESMTP Exim 4.96 <date>"
    pop = b"+OK ready <1896.697170952@mail.example>\r\n"
    assert banner(pop, recognise(pop)) == "+OK ready <apop@mail.example>"
    redis = b"+PONG\r\n$9\r\nredis_version:7.0.15\r\nuptime_in_seconds:5\r\n"
    assert banner(redis, recognise(redis)) == "redis_version:7.0.15"
    nats = b'INFO {"server_id":"RANDOM","version":"2.10.4"}\r\n'
    assert banner(nats, recognise(nats)) == "INFO 2.10.4"


def test_control_characters_are_written_out() -> None:
    """A banner cannot steer the terminal it is shown on."""
    assert banner(b"\x1b[2Jhi\x00\xff\r\nthere\r\n", None) == "\\x1b[2Jhi\\x00\\xff\nthere"
    assert len(banner("é".encode() * 4000, None).encode()) == MAX_BANNER_BYTES
