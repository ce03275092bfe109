"""Weaknesses as their sources tell them."""

from __future__ import annotations

from spectra.model.vulns import Metric, Product, Vuln


def test_the_first_score_is_the_one_that_counts() -> None:
    """Metrics stand the newest version of CVSS first."""
    newest, older = Metric("4.0", 9.3, "critical"), Metric("3.1", 8.1, "high")
    assert Vuln("CVE-2024-6387", metrics=(newest, older)).metric == newest
    assert Vuln("CVE-2024-6387").metric is None


def test_a_product_is_told_by_part_vendor_and_name() -> None:
    """As the beginning of its CPE names, without the scheme."""
    assert str(Product("a", "openbsd", "openssh")) == "a:openbsd:openssh"
