"""What nmap's scripts said."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from spectra.model.observation import Banner, Certificate, EndpointSeen, Evidence, Service
from tests.ingest.parsers.reading import endpoint, host, nmap, nmap_host, nmap_port


def seen(*scripts: str) -> EndpointSeen:
    """The endpoint with these scripts."""
    return endpoint(nmap(nmap_host(nmap_port(*scripts))))


def test_titles_and_banners_go_where_they_belong() -> None:
    """http-title is the banner's title, banner its text; neither is kept a second time."""
    found = seen('<script id="http-title" output="Home&#10;more"/>', '<script id="banner" output="SSH-2.0"/>')
    assert (found.banner, found.evidence) == (Banner("SSH-2.0", "Home"), ())
    structured = '<script id="http-title" output="x"><elem key="title">Real</elem></script>'
    assert seen(structured).banner == Banner(title="Real")
    assert seen('<script id="HTML title" output="Old"/>').banner == Banner(title="Old")


def test_what_http_title_says_instead_of_a_title_is_evidence() -> None:
    """A message of the script is not the title of the page."""
    text = "Did not follow redirect to https://x/"
    found = seen(f'<script id="http-title" output="{text}"/>')
    assert (found.banner, found.evidence) == (None, (Evidence("nse:http-title", text),))


def test_a_banner_tells_the_product_that_nmap_did_not_find() -> None:
    """By what the service said, whatever nmap took the port for; what nmap found itself stays."""
    openssh = Service("ssh", "OpenSSH", "7.4", cpe=("cpe:/a:openbsd:openssh:7.4",))
    banner = '<script id="banner" output="SSH-2.0-OpenSSH_7.4"/>'
    guessed = '<service name="http" method="table" conf="3"/>'
    assert seen(guessed, banner).service == openssh
    assert seen(guessed, '<script id="banner" output="hello"/>').service is None
    probed = '<service name="ssh" product="Acme" method="probed" conf="10"/>'
    assert seen(probed, banner).service == Service("ssh", "Acme")
    header = '<script id="http-server-header" output="nginx/1.2"/>'
    assert seen(guessed, header).service == Service("http", "nginx", "1.2", cpe=("cpe:/a:f5:nginx:1.2",))


def test_the_server_header_is_the_banner_where_there_is_none() -> None:
    """With a banner it stays evidence."""
    header = '<script id="http-server-header" output="nginx"/>'
    assert seen(header).banner == Banner("nginx")
    both = seen(header, '<script id="banner" output="hello"/>')
    assert (both.banner, both.evidence) == (Banner("hello"), (Evidence("nse:http-server-header", "nginx"),))


def test_other_scripts_are_evidence_bounded_in_size_and_number() -> None:
    """Word for word up to 4 KB each, 64 for an endpoint, each script once."""
    found = seen(*(f'<script id="s{n}" output="{"é" * 5000}"/>' for n in range(100)), '<script id="s0" output="x"/>')
    assert len(found.evidence) == 64
    assert all(len(item.data.encode()) == 4096 for item in found.evidence)
    assert found.evidence[0].kind == "nse:s0"
    assert seen('<script output="nameless"/>').evidence == ()


def test_host_scripts_are_evidence_of_the_host() -> None:
    """smb-os-discovery and others in hostscript."""
    scripts = '<hostscript><script id="smb-os-discovery" output="OS: x"/></hostscript>'
    assert host(nmap(nmap_host(scripts))).evidence == (Evidence("nse:smb-os-discovery", "OS: x"),)


def test_a_certificate_from_pem(pem: str, der: bytes) -> None:
    """In an element, and in the output as old versions have it."""
    sha256 = hashlib.sha256(der).hexdigest()
    element = f'<script id="ssl-cert" output="x"><elem key="pem">{pem}</elem></script>'
    output = f'<script id="ssl-cert" output="Subject: x&#10;{pem.replace(chr(10), "&#10;")}"/>'
    for script in (element, output):
        found = seen(script)
        assert found.certificate is not None
        assert (found.certificate.sha256, found.evidence) == (sha256, ())


def test_a_certificate_told_by_its_hash() -> None:
    """Without PEM the SHA-256 that newer versions print is the address, and the tables fill the fields."""
    script = f"""<script id="ssl-cert" output="x">
      <table key="subject"><elem key="commonName">a.example</elem><elem key="countryName">FR</elem></table>
      <table key="issuer"><elem key="commonName">CA</elem></table>
      <table key="pubkey"><elem key="type">rsa</elem><elem key="bits">2048</elem></table>
      <table key="extensions"><table><elem key="name">Basic</elem></table>
        <table><elem key="name">X509v3 Subject Alternative Name</elem>
        <elem key="value">DNS:a.example, DNS:b.example</elem></table></table>
      <table key="validity"><elem key="notBefore">2024-01-01T00:00:00</elem>
        <elem key="notAfter">2025-01-01T00:00:00+00:00</elem></table>
      <elem key="sha256">{"AB" * 32}</elem></script>"""
    assert seen(script).certificate == Certificate(
        sha256="ab" * 32,
        subject_cn="a.example",
        subject="commonName=a.example,countryName=FR",
        issuer="commonName=CA",
        sans=("a.example", "b.example"),
        not_before=datetime(2024, 1, 1, tzinfo=UTC),
        not_after=datetime(2025, 1, 1, tzinfo=UTC),
        key="rsa 2048",
    )
    bare = f'<script id="ssl-cert" output="x"><elem key="sha256">{"ab" * 32}</elem></script>'
    assert seen(bare).certificate == Certificate("ab" * 32)


def test_a_certificate_without_an_address_is_evidence() -> None:
    """Only MD5 and SHA-1: the words are kept, no address is made up."""
    found = seen('<script id="ssl-cert" output="Subject: x"><elem key="sha1">abc</elem></script>')
    assert (found.certificate, found.evidence) == (None, (Evidence("nse:ssl-cert", "Subject: x"),))
