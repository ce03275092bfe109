"""The products that are known by name."""

from __future__ import annotations

from pathlib import Path

import zstandard

from spectra.intel.enrich.cpename import Cpe, parse, quoted
from spectra.intel.enrich.products import NAMES, UPDATES
from spectra.model import products as scanner
from spectra.model import webproducts


def test_every_row_is_a_name() -> None:
    """Lower case, unique, and valid as attributes of a CPE."""
    assert len(NAMES) > 130
    assert len(set(NAMES.values())) > 90
    for text, (vendor, product) in NAMES.items():
        assert text == text.lower().strip()
        assert vendor
        assert product
        cpe = Cpe("a", quoted(vendor), quoted(product))
        assert parse(str(cpe)) == cpe
    assert set(NAMES.values()) >= UPDATES - {("isc", "dhcp")}


def test_our_own_scanner_says_the_same() -> None:
    """A product that its banner grabber names with a CPE is no other product here."""
    rows = [*scanner.SSH, *webproducts.HTTP, *scanner.FTP, *scanner.SMTP, *scanner.POP3, *scanner.IMAP]
    both = [(row, NAMES[row.name.lower()]) for row in rows if row.cpe and row.name.lower() in NAMES]
    assert len(both) > 40
    for row, (vendor, product) in both:
        cpe = parse(row.cpe)
        assert cpe
        assert (cpe.vendor, cpe.product) == (vendor, product), row.name


def test_vendors_and_products_are_those_of_the_dictionary(shared_data: Path) -> None:
    """Two in three are among a few ten thousand names of the NVD; all were found among the names in its CVEs."""
    names = shared_data / "labels" / "cpe_spec" / "go-cve-dictionary__cpes.txt.zst"
    with zstandard.open(names, "rt", encoding="utf-8") as file:
        known = {tuple(line.split(":")[2:4]) for line in file.read().splitlines()}
    pairs = set(NAMES.values())
    assert len(pairs & known) > len(pairs) / 2
