"""Software from a service's own words."""

from __future__ import annotations

import base64

import pytest

from spectra.ingest.parsers.software import completed, http_service, read_banner
from spectra.model.observation import Banner, Service


@pytest.mark.parametrize(
    ("server", "product", "version", "extra", "cpe"),
    [
        ("nginx/1.31.3", "nginx", "1.31.3", "", "cpe:/a:f5:nginx:1.31.3"),
        (
            "Apache/2.4.6 (CentOS) PHP/5.4.16",
            "Apache httpd",
            "2.4.6",
            "(CentOS) PHP/5.4.16",
            "cpe:/a:apache:http_server:2.4.6",
        ),
        ("nginx", "nginx", "", "", "cpe:/a:f5:nginx"),
        ("Apache (Ubuntu)", "Apache httpd", "", "(Ubuntu)", "cpe:/a:apache:http_server"),
        ("Acme HTTP Server/12c", "Acme HTTP Server", "12c", "", ""),
        ("Acme (Ubuntu)", "Acme", "", "(Ubuntu)", ""),
        ("/odd", "/odd", "", "", ""),
        ("", "", "", "", ""),
    ],
)
def test_server_headers(server: str, product: str, version: str, extra: str, cpe: str) -> None:
    """RFC 9110's product, version and comments; well-known products by the names that nmap gives them."""
    assert http_service(server) == Service("http", product, version, extra, cpe=(cpe,) if cpe else ())


def test_cpe_names_that_a_tool_told_are_kept() -> None:
    """Beside the one that the header tells, unless it names the same product."""
    told = http_service("nginx/1.2", "tls", ("cpe:2.3:a:x:y:*:*:*:*:*:*:*:*",))
    assert told == Service(
        "http", "nginx", "1.2", tunnel="tls", cpe=("cpe:/a:f5:nginx:1.2", "cpe:2.3:a:x:y:*:*:*:*:*:*:*:*")
    )
    same = ("cpe:2.3:a:f5:nginx:1.2:*:*:*:*:*:*:*",)
    assert http_service("nginx/1.2", "tls", same) == Service("http", "nginx", "1.2", tunnel="tls", cpe=same)
    assert http_service("", "tls") == Service("http", tunnel="tls")


def test_a_banner_completes_what_no_tool_told() -> None:
    """What a tool says of the product wins; without a product in the banner nothing is added."""
    said = "SSH-2.0-OpenSSH_7.4"
    openssh = Service("ssh", "OpenSSH", "7.4", cpe=("cpe:/a:openbsd:openssh:7.4",))
    assert completed(None, "ssh", said) == openssh
    assert completed(Service("ssh", "Acme SSH", "1"), "ssh", said) == Service("ssh", "Acme SSH", "1")
    assert completed(Service("ssh", tunnel="tls", os="Linux"), "x", said) == Service(
        "ssh", "OpenSSH", "7.4", os="Linux", tunnel="tls", cpe=openssh.cpe
    )
    assert completed(Service("ssh"), "ssh", "hello") == Service("ssh")
    assert completed(None, "ssh", "hello") is None
    assert completed(Service("ssh"), "ssh", "") == Service("ssh")


@pytest.mark.parametrize(
    ("name", "said", "service", "banner"),
    [
        ("ssh", "SSH-2.0-x\\x0d\\x0a", Service("ssh"), Banner("SSH-2.0-x")),
        (
            "ssh",
            "SSH-2.0-OpenSSH_5.3\\x0d\\x0a",
            Service("ssh", "OpenSSH", "5.3", cpe=("cpe:/a:openbsd:openssh:5.3",)),
            Banner("SSH-2.0-OpenSSH_5.3"),
        ),
        (
            "http",
            "HTTP/1.1 200 OK\\x0d\\x0aServer: nginx\\x0d\\x0a\\x0d\\x0a",
            Service("http", "nginx", cpe=("cpe:/a:f5:nginx",)),
            Banner("HTTP/1.1 200 OK\nServer: nginx"),
        ),
        ("unknown", "\\x00a", None, Banner("\\x00a")),
        ("title", "Welcome", Service("http"), Banner(title="Welcome")),
        ("title", "", Service("http"), None),
        ("http.server", "nginx/1.2", Service("http", "nginx", "1.2", cpe=("cpe:/a:f5:nginx:1.2",)), None),
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
