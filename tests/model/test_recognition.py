"""What banners say of the software behind them, as tools hand them over."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from spectra.intel.correlate.distributions import distribution
from spectra.intel.correlate.families import today
from spectra.model.recognition import by_banner, by_server
from spectra.model.vulns import Product


def read(protocol: str, said: str) -> str:
    """Product, version, extra and CPE, as the tests below write them."""
    service = by_banner(protocol, said)
    return " | ".join([service.product, service.version, service.extra, *service.cpe]) if service else ""


@pytest.mark.parametrize(
    ("protocol", "said", "expected"),
    [
        (
            "ssh",
            "SSH-2.0-OpenSSH_7.9p1 Debian-10+deb10u1\r\n",
            "OpenSSH | 7.9p1 | Debian-10+deb10u1 | cpe:/a:openbsd:openssh:7.9p1",
        ),
        (
            "",
            "SSH-2.0-dropbear_2019.78",
            "Dropbear sshd | 2019.78 |  | cpe:/a:dropbear_ssh_project:dropbear_ssh:2019.78",
        ),
        ("ssh", "hello\nSSH-2.0-Acme_Shell_4.2\n", "Acme_Shell | 4.2 | "),
        ("ssh", "4.0.3 SSH Secure Shell", "SSH Secure Shell | 4.0.3 |  | cpe:/a:ssh:tectia_server:4.0.3"),
        (
            "domain",
            "9.11.5-P4-5.1+deb10u1-Debian",
            "ISC BIND | 9.11.5-P4 | 5.1+deb10u1-Debian | cpe:/a:isc:bind:9.11.5:p4",
        ),
        (
            "dns",
            "9.8.2rc1-RedHat-9.8.2-0.62.rc1.el6_9.2",
            "ISC BIND | 9.8.2rc1 | RedHat-9.8.2-0.62.rc1.el6_9.2 | cpe:/a:isc:bind:9.8.2rc1",
        ),
        ("domain", "9.6-ESV-R11-P2", "ISC BIND | 9.6-ESV-R11-P2 |  | cpe:/a:isc:bind:9.6:esv-r11-p2"),
        ("domain", "dnsmasq-2.76-1-ubnt2", "dnsmasq | 2.76 | 1-ubnt2 | cpe:/a:thekelleys:dnsmasq:2.76"),
        ("domain", "PowerDNS Recursor 4.0.4", "PowerDNS Recursor | 4.0.4 |  | cpe:/a:powerdns:recursor:4.0.4"),
        ("domain", "none of your business", ""),
        ("mysql", "5.5.60-0+deb7u2", "MySQL | 5.5.60 | 0+deb7u2 | cpe:/a:oracle:mysql:5.5.60"),
        (
            "mysql",
            "N\\x00\\x00\\x00\n5.5.5-10.3.22-MariaDB-1\\x00x",
            "MariaDB | 10.3.22 | MariaDB-1 | cpe:/a:mariadb:mariadb:10.3.22",
        ),
        ("ftp", "220 (vsFTPd 3.0.3)", "vsftpd | 3.0.3 |  | cpe:/a:vsftpd_project:vsftpd:3.0.3"),
        (
            "",
            "220 ProFTPD 1.3.5e Server (Debian) [::ffff:192.0.2.1] FTP",
            "ProFTPD | 1.3.5e | Debian | cpe:/a:proftpd:proftpd:1.3.5e",
        ),
        (
            "ftp",
            "220-FileZilla Server 0.9.54 beta",
            "FileZilla ftpd | 0.9.54 beta |  | cpe:/a:filezilla-project:filezilla_server:0.9.54:beta",
        ),
        ("ftp", "220 Welcome to Acme Files v4.0, build 3", "Acme Files | 4.0 | "),
        ("ftp", "220 Welcome to Home 192.0.2.77", ""),
        ("smtp", "220 mx.example ESMTP Postfix (Ubuntu)", "Postfix smtpd |  | Ubuntu | cpe:/a:postfix:postfix"),
        (
            "smtp",
            "mx.example ESMTP Exim 4.84_2 Ubuntu Thu, 16 Nov 2017",
            "Exim smtpd | 4.84_2 | Ubuntu | cpe:/a:exim:exim:4.84_2",
        ),
        (
            "smtp",
            "220 mx ESMTP Sendmail 8.14.4/8.14.4/Debian-8+deb8u2; Thu, 30 Nov 2017 10:25:48 +0100; (No UCE/UBE)",
            "Sendmail | 8.14.4 | Debian-8+deb8u2 | cpe:/a:sendmail:sendmail:8.14.4",
        ),
        ("smtp", "mx.example Acme Post 8.0.2 ESMTP ready", "Acme Post | 8.0.2 | "),
        ("smtp", "220 mx ESMTP Acme/32, Version 3.30.1 ready", "Acme/32 | 3.30.1 | "),
        ("smtp", "220 mx.example ESMTP ready", ""),
        ("pop3", "+OK Dovecot (Ubuntu) ready.", "Dovecot pop3d |  | Ubuntu | cpe:/a:dovecot:dovecot"),
        (
            "imap",
            "* OK [CAPABILITY IMAP4rev1] mx Cyrus IMAP 3.0.8-Debian-3.0.8-6+deb10u6 server ready",
            "Cyrus imapd | 3.0.8 | Debian-3.0.8-6+deb10u6 | cpe:/a:cyrus:imap:3.0.8",
        ),
        ("ntp", 'version="ntpd 4.2.6p2@1.2194"', "ntpd | 4.2.6p2 |  | cpe:/a:ntp:ntp:4.2.6p2"),
        (
            "sip",
            "SIP/2.0 200 OK\nServer: kamailio (4.4.4 (x86_64/linux))",
            "Kamailio | 4.4.4 |  | cpe:/a:kamailio:kamailio:4.4.4",
        ),
        (
            "",
            "HTTP/1.1 200 OK\nServer: nginx/1.18.0 (Ubuntu)\n\n",
            "nginx | 1.18.0 | (Ubuntu) | cpe:/a:f5:nginx:1.18.0",
        ),
        ("http", "<html>", ""),
        ("telnet", "login:", ""),
        ("", "hello", ""),
    ],
)
def test_banners(protocol: str, said: str, expected: str) -> None:
    """Well-known software by its row, other software by the form, nothing where nothing is told."""
    assert read(protocol, said) == expected.removesuffix(" ") or read(protocol, said) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (
            "Apache/2.4.6 (CentOS) PHP/5.4.16",
            "Apache httpd | 2.4.6 | (CentOS) PHP/5.4.16 | cpe:/a:apache:http_server:2.4.6",
        ),
        ("Apache/2.4.37-43.el8 (x)", "Apache httpd | 2.4.37-43.el8 | (x) | cpe:/a:apache:http_server:2.4.37"),
        ("Apache-Coyote/1.1", "Apache Tomcat/Coyote JSP engine |  | 1.1 | cpe:/a:apache:tomcat"),
        ("Jetty(9.4.40.v20210413)", "Jetty | 9.4.40.v20210413 |  | cpe:/a:eclipse:jetty:9.4.40:v20210413"),
        (
            "WebLogic Server 8.1 SP3 Tue Jun 29",
            "Oracle WebLogic Server | 8.1 SP3 | Tue Jun 29 | cpe:/a:oracle:weblogic_server:8.1:sp3",
        ),
        (
            "Ubuntu/18.04 UPnP/1.1 MiniUPnPd/2.1",
            "MiniUPnP | 2.1 | Ubuntu/18.04 UPnP/1.1 | cpe:/a:miniupnp_project:miniupnpd:2.1",
        ),
        ("Acme Box Server 3.2.1-rc1 (it)", "Acme Box Server | 3.2.1-rc1 | (it)"),
        ("Acme(3.2)", "Acme | 3.2 | "),
        ("Oracle Thing/12c", "Oracle Thing | 12c | "),
        ("Acme (Ubuntu)", "Acme |  | (Ubuntu)"),
        ("Acme 192.0.2.1", "Acme 192.0.2.1 |  | "),
        ("Linux, HTTP/1.1, BOX-815 Ver 1.04", "Linux, HTTP/1.1, BOX-815 Ver 1.04 |  | "),
        ("/odd", "/odd |  | "),
    ],
)
def test_server_headers(header: str, expected: str) -> None:
    """The product first, all that it lists behind itself as extra."""
    service = by_server(header)
    assert service
    assert [service.product, service.version, service.extra, *service.cpe] == [p.strip() for p in expected.split("|")]


@pytest.mark.parametrize(
    ("protocol", "said", "name", "release"),
    [
        ("ssh", "SSH-2.0-OpenSSH_7.9p1 Debian-10+deb10u1", "debian", "10"),
        ("domain", "9.11.5-P4-5.1+deb10u1-Debian", "debian", "10"),
        ("domain", "9.9.4-RedHat-9.9.4-38.el7_3.3", "rhel", "7.3"),
        ("mysql", "5.5.60-0+deb7u2", "debian", "7"),
        ("mysql", "8.0.36-0ubuntu0.22.04.1", "ubuntu", "22.04"),
        ("smtp", "mx ESMTP Sendmail 8.15.2/8.15.2/Debian-8+deb9u1; Thu", "debian", "9"),
        ("ssh", "SSH-2.0-OpenSSH_7.3 FreeBSD-20170902", "", ""),
    ],
)
def test_distributions_are_told_by_what_is_kept(protocol: str, said: str, name: str, release: str) -> None:
    """The words of whoever built it end up in version or extra; FreeBSD is upstream."""
    service = by_banner(protocol, said)
    assert service
    found = distribution(service.version, service.extra)
    assert ((found.name, found.release) if found else ("", "")) == (name, release)


@given(
    st.sampled_from(["", "ssh", "ftp", "smtp", "pop3", "imap", "domain", "mysql", "http", "sip", "ntp", "unheard-of"]),
    st.sampled_from(
        ["", "SSH-2.0-", "220 ", "+OK ", "* OK ", "HTTP/1.1 200 OK\nServer: ", "Linux UPnP/1.0 ", "9.9.9-"]
    ),
    st.text(max_size=600),
)
def test_any_text_is_read(protocol: str, start: str, text: str) -> None:
    """Whatever a stranger says never raises, and gives no service without a product."""
    service = by_banner(protocol, start + text)
    assert service is None or service.product
    by_server(text)


_PROTOCOLS = {
    **{"ssh_banners": "ssh", "smtp_banners": "smtp", "ftp_banners": "ftp", "imap_banners": "imap"},
    **{"pop_banners": "pop3", "mysql_banners": "mysql", "dns_versionbind": "domain", "http_servers": ""},
}


def test_labelled_banners(shared_data: Path) -> None:
    """Of the banners that others labelled nine in ten have their product, three in four Server headers, and what is
    named otherwise is rare.
    """
    path = shared_data / "labels" / "recog_banner_to_cpe.jsonl.zst"
    if not path.exists():
        pytest.skip("the labelled banners are not in the shared data set")
    right, wrong, total = Counter[str](), Counter[str](), Counter[str]()
    with path.open("rb") as stream:
        lines = zstandard.ZstdDecompressor().stream_reader(stream).read().splitlines()
    for record in map(_decode, lines):
        database = str(record["db"]).partition(".")[0]
        label = record["cpe"].get("service.cpe23")
        if database not in _PROTOCOLS or not label:
            continue
        said = record["banner"]
        service = by_server(said) if database == "http_servers" else by_banner(_PROTOCOLS[database], said)
        total[database] += 1
        if service and service.cpe:
            same = _product(service.cpe[0]) == _product(label)
            (right if same else wrong)[database] += 1
    assert len(total) == len(_PROTOCOLS)
    for database, of in total.items():
        assert right[database] >= (0.75 if database == "http_servers" else 0.9) * of, (database, right[database], of)
        assert wrong[database] <= 0.06 * of, (database, wrong[database], of)


def _decode(line: bytes) -> Any:
    return msgspec.json.decode(line)


def _product(cpe: str) -> Product:
    _, part, vendor, product = cpe.split(":")[:4]
    return today(Product(part[-1], vendor, product))
