"""`products`: the tables against labelled banners that nobody here wrote."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard

from spectra.collect.scanners.recognise import recognise
from spectra.model import products

_FRAMES = {
    "ssh_banners.xml": "SSH-2.0-{}\r\n",
    "http_servers.xml": "HTTP/1.1 200 OK\r\nServer: {}\r\n\r\n",
    "ftp_banners.xml": "220 {}\r\n",
    "smtp_banners.xml": "220 {}\r\n",
}
# NVD's name for what the labels call otherwise.
_SAME = {
    "microsoft:internet_information_services": "microsoft:iis",
    "solarwinds:serv-u": "solarwinds:serv-u_ftp_server",
    "ibm:websphere_application_server": "ibm:websphere",
    "twistedmatrix:twisted": "twistedmatrix:twistedweb",
}


def test_every_row_has_a_name_and_a_cpe_prefix_of_two_parts() -> None:
    """A CPE is `cpe:/a:vendor:product` or absent; only the last row of HTTP takes the name from the banner."""
    for table in (products.SSH, products.HTTP, products.FTP, products.SMTP, products.POP3, products.IMAP):
        for row in table:
            assert row.name or row is products.HTTP[-1]
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
        if theirs in (ours, _SAME.get(ours)):
            right += 1
        else:
            wrong.append(f"{record['banner'][:60]!r}: {ours}, labelled {theirs}")
    assert right > 200
    assert len(wrong) <= 0.03 * right, wrong
