"""`products`: the tables against labelled banners that nobody here wrote."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard

from spectra.collect.scanners.recognise import recognise
from spectra.intel.correlate.families import today
from spectra.model import products, webproducts
from spectra.model.vulns import Product

_FRAMES = {
    "ssh_banners.xml": "SSH-2.0-{}\r\n",
    "http_servers.xml": "HTTP/1.1 200 OK\r\nServer: {}\r\n\r\n",
    "ftp_banners.xml": "220 {}\r\n",
    "smtp_banners.xml": "220 {}\r\n",
}
# What the labels call otherwise, beside names of one software that are known. IBM's and Oracle's servers are Apache's,
# with weaknesses of their own.
_SAME = {
    "ibm:http_server": "apache:http_server",
    "oracle:http_server": "apache:http_server",
    "ibm:websphere_application_server": "ibm:websphere",
    "progress:ws_ftp_server": "ipswitch:ws_ftp",
}


def _today(name: str) -> Product:
    vendor, _, product = name.partition(":")
    return today(Product("a", vendor, product))


def test_every_row_has_a_name_and_a_cpe_prefix_of_two_parts() -> None:
    """A CPE is `cpe:/a:vendor:product` or absent; only the last row of HTTP takes the name from the banner.

    Each expression is one.
    """
    mail = (products.SMTP, products.POP3, products.IMAP)
    others = (products.DNS, products.NTP, products.NNTP, products.SIP, products.REDIS, products.MEMCACHED)
    for table in (products.SSH, webproducts.HTTP, products.FTP, *mail, *others):
        for row in table:
            assert row.pattern.flags & re.IGNORECASE
            assert row.name or row is webproducts.HTTP[-1]
            assert row.cpe == "" or re.fullmatch(r"cpe:/[aho]:[a-z0-9_.-]+:[a-z0-9_.-]+", row.cpe)


def test_products_are_told_as_labelled(shared_data: Path) -> None:
    """Where we name a vendor and product for a labelled banner, at least 97 in 100 agree with the label."""
    path = shared_data / "labels" / "recog_banner_to_cpe.jsonl.zst"
    if not path.exists():
        pytest.skip("the labelled banners are not in the shared data set")
    with path.open("rb") as stream:
        records: list[dict[str, Any]] = [
            msgspec.json.decode(line) for line in zstandard.ZstdDecompressor().stream_reader(stream).read().splitlines()
        ]
    right, wrong = 0, list[str]()
    for record in records:
        labelled = record["cpe"].get("service.cpe23")
        frame = _FRAMES.get(record["db"])
        service = recognise(frame.format(record["banner"]).encode()) if frame and labelled else None
        if service is None or not service.cpe:
            continue
        ours = ":".join(service.cpe[0].split(":")[2:4])
        theirs = ":".join(labelled.split(":")[2:4])
        if theirs == _SAME.get(ours) or _today(theirs) == _today(ours):
            right += 1
        else:
            wrong.append(f"{record['banner'][:60]!r}: {ours}, labelled {theirs}")
    assert right > 200
    assert len(wrong) <= 0.03 * right, wrong
