"""Feeds in memory."""

from __future__ import annotations

from pathlib import Path

from spectra.bench.accuracy.corpus import read
from spectra.model.observation import Service
from spectra.model.vulns import Product
from tests.bench.accuracy.feeds import SSH, fill


def test_feeds_are_merged_as_the_store_merges_them(tmp_path: Path) -> None:
    """A correction fills what the NVD leaves open; each CVE is told once."""
    fill(tmp_path)
    said: list[str] = []
    big = tmp_path / "big"
    corpus = read([big / "nvd_cves.jsonl.zst", big / "anchore_nvd_overrides.jsonl.zst"], said.append)
    assert corpus.told["CVE-2023-0005"].configured
    assert corpus.told["CVE-2023-0004"].published == "2025-06-01"
    found = {a.cve: a.source for a in corpus.match(corpus.identify(Service(cpe=(SSH,))))}
    assert found == {
        "CVE-2023-0001": "nvd",
        "CVE-2023-0002": "nvd",
        "CVE-2023-0004": "nvd",
        "CVE-2023-0005": "overrides",
    }
    assert len(said) == 2


def test_products_are_known_by_word_and_family(tmp_path: Path) -> None:
    """The names of the feeds, and which are one software."""
    fill(tmp_path)
    corpus = read([tmp_path / "big" / "nvd_cves.jsonl.zst"], lambda text: None)
    (known,) = corpus.named(["openssh", "qwertz"])["openssh"]
    assert (known.product, known.vulns) == (Product("a", "openbsd", "openssh"), 4)
    assert corpus.same(Product("a", "openssh", "openssh"), Product("a", "openbsd", "openssh"))
    assert not corpus.same(Product("a", "a", "b"), Product("a", "b", "b"))
