"""Software from a service's own words."""

from __future__ import annotations

import base64

import pytest

from spectra.ingest.parsers.software import http_service, read_banner
from spectra.model.observation import Banner, Service


@pytest.mark.parametrize(
    ("server", "product", "version", "extra"),
    [
        ("nginx/1.31.3", "nginx", "1.31.3", ""),
        ("Apache/2.4.6 (CentOS) PHP/5.4.16", "Apache", "2.4.6", "(CentOS) PHP/5.4.16"),
        ("Microsoft-IIS/10.0", "Microsoft-IIS", "10.0", ""),
        ("nginx", "nginx", "", ""),
        ("Apache (Ubuntu)", "Apache", "", "(Ubuntu)"),
        ("Oracle HTTP Server/12c", "Oracle HTTP Server", "12c", ""),
        ("/odd", "/odd", "", ""),
        ("", "", "", ""),
    ],
)
def test_server_headers(server: str, product: str, version: str, extra: str) -> None:
    """RFC 9110's product, version and comments."""
    assert http_service(server) == Service("http", product, version, extra)


@pytest.mark.parametrize(
    ("name", "said", "service", "banner"),
    [
        ("ssh", "SSH-2.0-OpenSSH_5.3\\x0d\\x0a", Service("ssh"), Banner("SSH-2.0-OpenSSH_5.3")),
        ("unknown", "\\x00a", None, Banner("\\x00a")),
        ("title", "Welcome", Service("http"), Banner(title="Welcome")),
        ("title", "", Service("http"), None),
        ("http.server", "nginx/1.2", Service("http", "nginx", "1.2"), None),
        ("html", "<p>", Service("http"), Banner("<p>")),
        ("heartbleed", "SSL heartbeat", None, Banner("SSL heartbeat")),
        ("pop", "+OK", Service("pop3"), Banner("+OK")),
        ("(77)", "x", None, Banner("x")),
        ("X509CA", "AAAA", Service(tunnel="tls"), None),
        ("ssl", "TLS/1.2", Service(tunnel="tls"), None),
    ],
)
def test_masscan_words(name: str, said: str, service: Service | None, banner: Banner | None) -> None:
    """masscan's word is a service name only where it is one."""
    assert read_banner(name, said) == (service, banner, None)


def test_masscan_certificate(der: bytes) -> None:
    """The certificate is decoded; one that was cut is not made up."""
    text = base64.b64encode(der).decode()
    service, banner, found = read_banner("X509", text)
    assert (service, banner) == (Service(tunnel="tls"), None)
    assert found is not None
    assert found.subject_cn == "example.org"
    assert read_banner("X509", text[:40])[2] is None
