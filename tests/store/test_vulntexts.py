"""CVEs by their ids, and which products are public."""

from __future__ import annotations

import pytest

from spectra.store import vulntexts
from spectra.store.database import Database
from tests.store.wordy import Wordy

pytestmark = pytest.mark.engine


def test_texts_come_in_the_order_asked_and_products_are_known_by_both_names(database: Database) -> None:
    """What nobody tells of is left out; a vendor's name alone makes no product public."""
    told = Wordy(database)
    told.tell("CVE-2024-6387", "A race", severity="high", cvss=8.1, products=[("openbsd", "openssh")])
    told.tell("CVE-2021-44228", "A look-up", severity="critical")
    found = vulntexts.of(database, ["CVE-2021-44228", "CVE-1999-0001", "CVE-2024-6387", "CVE-2021-44228"])
    assert [(one.cve, one.description) for one in found] == [
        ("CVE-2021-44228", "A look-up"),
        ("CVE-2024-6387", "A race"),
    ]
    assert found[1].products == ("openbsd:openssh",)
    asked = [("openbsd", "openssh"), ("acme", "openssh"), ("openbsd", "payroll"), ("openbsd", "openssh")]
    assert vulntexts.published(database, asked) == {("openbsd", "openssh")}
    assert vulntexts.published(database, []) == frozenset()
