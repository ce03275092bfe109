"""CPE names of services: a tool's own, and those of products that are known by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import zstandard

from spectra.intel.enrich.cpe import by_text, cpe23, patched, versions
from spectra.intel.enrich.cpename import parse
from spectra.model.observation import Service


def name(rest: str) -> str:
    """A formatted string of an application with nothing behind its update."""
    return f"cpe:2.3:a:{rest}:*:*:*:*:*:*"


@pytest.mark.parametrize(
    ("service", "names"),
    [
        (Service("http", "nginx", "1.18.0", cpe=("cpe:/a:igor_sysoev:nginx:1.18.0",)), ["igor_sysoev:nginx:1.18.0:*"]),
        (Service("ssh", "OpenSSH", "9.2p1 Debian 2+deb12u3"), ["openbsd:openssh:9.2:p1"]),
        (Service("ssh", "OpenSSH", "7.2p2", cpe=("cpe:/a:openbsd:openssh:7.2p2",)), ["openbsd:openssh:7.2:p2"]),
        (
            Service("http", "Apache httpd", "2.4.52", cpe=("cpe:/a:apache:http_server",)),
            ["apache:http_server:2.4.52:*"],
        ),
        (Service("http", "Apache httpd", "2.4.X"), ["apache:http_server:*:*"]),
        (Service("mysql", "MySQL", "5.5.5-10.3.29-MariaDB-0+deb10u1"), ["mariadb:mariadb:10.3.29:*"]),
        (Service("mysql", "MySQL", "8.0.32-0ubuntu0.22.04.2"), ["oracle:mysql:8.0.32:*"]),
        (Service("domain", "ISC BIND", "9.11.5-P4-5.1+deb10u5-Debian"), ["isc:bind:9.11.5:p4"]),
        (Service("ftp", "ProFTPD", "1.3.3c"), ["proftpd:proftpd:1.3.3:c"]),
        (Service("ftp", "vsftpd", "2.0.8 or later"), ["vsftpd_project:vsftpd:*:*"]),
        (Service("http", "LIGHTTPD", "1.4.69"), ["lighttpd:lighttpd:1.4.69:*"]),
        (Service("http", "Some Server", "1.0"), []),
        (Service("http", "Jetty", "9.4"), []),  # two makers
        (Service("http", "", "1.0"), []),
        (Service(cpe=("rubbish", "cpe:/a")), ["*:*:*:*"]),
        (Service("x", "nginx", "1.0", cpe=("not a name",)), ["f5:nginx:1.0:*"]),
    ],
)
def test_names_of_services(service: Service, names: list[str]) -> None:
    """A tool's own names before those of the text; versions without what a distribution adds; nothing is guessed."""
    assert cpe23(service) == tuple(name(rest) for rest in names)


def test_several_names_are_sorted_and_bounded() -> None:
    """A service and the system it runs on; never more than a few."""
    service = Service(cpe=("cpe:/o:linux:linux_kernel", "cpe:/a:f5:nginx:1.0", "cpe:2.3:a:f5:nginx:1.0:*:*:*:*:*:*:*"))
    assert cpe23(service) == (name("f5:nginx:1.0:*"), "cpe:2.3:o:linux:linux_kernel:*:*:*:*:*:*:*:*")
    assert len(cpe23(Service(cpe=tuple(f"cpe:/a:b:c:{n}" for n in range(100))))) == 16


@pytest.mark.parametrize(
    ("text", "plain", "split"),
    [
        ("9.2p1 Debian 2+deb12u3", "9.2p1", ("9.2", "p1")),
        ("1.18.0 (Ubuntu)", "1.18.0", ("1.18.0", "")),
        ("v1.2.3", "1.2.3", ("1.2.3", "")),
        ("1.1.1k", "1.1.1k", ("1.1.1", "k")),
        ("2.4.49-beta1", "2.4.49-beta1", ("2.4.49-beta1", "")),
        ("8.3.0 - 8.3.7", "", ("", "")),
        ("3.X - 4.X", "", ("", "")),
        ("6.0 or later", "", ("", "")),
        ("<2.0", "", ("", "")),
        ("2.76test8", "", ("", "")),
        ("protocol 10", "", ("", "")),
        ("", "", ("", "")),
    ],
)
def test_versions(text: str, plain: str, split: tuple[str, str]) -> None:
    """One that is sure, or none."""
    assert versions(text) == (plain, "")
    assert versions(text, split=True) == split


def test_a_patch_moves_only_where_the_dictionary_has_it_so() -> None:
    """And only from a version that can be read."""
    for said, held in (
        ("cpe:/a:openbsd:openssh:8.9p1", "openbsd:openssh:8.9:p1"),
        ("cpe:/a:openbsd:openssh:8.9:p1", "openbsd:openssh:8.9:p1"),
        ("cpe:/a:openbsd:openssh:weird", "openbsd:openssh:weird:*"),
        ("cpe:/a:openssl:openssl:1.1.1k", "openssl:openssl:1.1.1k:*"),
    ):
        cpe = parse(said)
        assert cpe
        assert str(patched(cpe)) == name(held)


def test_labels_made_by_others(shared_data: Path) -> None:
    """Recog's banners: of the products named here, vendor and product are theirs but for known aliases."""
    aliases = {("microsoft", "iis"): ("microsoft", "internet_information_services"), ("bea", "weblogic_server"): None}
    named = right = versioned = 0
    with zstandard.open(shared_data / "labels" / "recog_banner_to_cpe.jsonl.zst", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    for row in rows:
        wanted = parse(row["cpe"].get("service.cpe23", ""))
        said = {**row["fixed"], **row["fields"]}
        product, version = said.get("service.product", ""), said.get("service.version", "")
        vendor = row["fixed"].get("service.vendor", "")
        found = by_text(product, version) or by_text(f"{vendor} {product}", version)
        if wanted is None or found is None:
            continue
        named += 1
        mine = (found.vendor, found.product)
        right += mine in ((wanted.vendor, wanted.product), aliases.get((wanted.vendor, wanted.product)))
        versioned += found.version == "*" or patched(wanted)[3:5] == found[3:5]
    assert named > 600
    assert right / named > 0.98  # the rest are names of the makers of another time
    assert versioned / named > 0.9
