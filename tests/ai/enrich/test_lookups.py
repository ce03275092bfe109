"""Look-ups of one run: each page once, stored, and no more than a bound of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from spectra.ai.enrich import lookups as module
from spectra.ai.enrich.lookups import Lookups
from spectra.store.blobs import BlobStore
from tests.ai.enrich.conftest import Making
from tests.ai.enrich.office import CVE, kev, nvd, places
from tests.support.webs import Site, Web


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    """Where pages are kept."""
    return BlobStore.local(tmp_path)


@pytest.fixture
def lookups(making: Making, web: Web, blobs: BlobStore) -> Lookups:
    """Those of a run."""
    return Lookups(making(), places(web), blobs, "alice")


def test_what_places_say(lookups: Lookups, web: Web, blobs: BlobStore) -> None:
    """Of a kind, as far as they answer; each page is stored as it came."""
    web.sites |= {
        f"/nvd?cveId={CVE}": nvd(CVE, "A race."),
        f"/cve/{CVE}": Site(b"{}"),
        "/kev.json": kev("CVE-2021-44228"),
    }
    told = lookups.about(CVE, "details")
    assert [(one.place, one.says.cve if one.says else "") for one in told] == [("NVD", CVE)]
    assert blobs.get(bytes.fromhex(told[0].page.sha256)) == web.sites[f"/nvd?cveId={CVE}"].body
    assert [one.says for one in lookups.about(CVE, "exploits")] == [None]
    assert lookups.about(CVE, "advisory") == []
    reasons = {url.removeprefix(web.url("")): failed.reason for url, failed in lookups.failed.items()}
    assert reasons == {f"/cve/{CVE}": "fetch_unreadable", f"/osv/{CVE}": "fetch_failed"}


def test_a_page_is_asked_for_once(lookups: Lookups, web: Web) -> None:
    """Also one that does not come."""
    for _ in range(2):
        assert lookups.page(web.url("/gone")) is None
    assert web.asked == ["/gone"]


def test_pages_are_bounded(lookups: Lookups, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is beyond the bound is not fetched."""
    monkeypatch.setattr(module, "MAX_PAGES", 2)
    for number in range(4):
        lookups.page(web.url(f"/{number}"))
    assert web.asked == ["/0", "/1"]
    assert [failed.reason for failed in lookups.failed.values()] == ["fetch_failed"] * 2 + ["too_many"] * 2


def test_a_place_that_is_not_listed_is_not_asked(making: Making, web: Web, blobs: BlobStore) -> None:
    """And its absence is no failure: the settings say so."""
    lookups = Lookups(making(hosts=["example.org"]), places(web), blobs, "alice")
    assert lookups.about(CVE, "details") == []
    assert (web.asked, lookups.failed) == ([], {})
    assert lookups.allowed(["https://example.org/a", web.url("/"), "https://example.org/a"]) == [
        "https://example.org/a"
    ]


@pytest.mark.parametrize("cve", ["", "CVE-2024-1/x", "cve-2024-6387", "CVE-2024-6387 ", "../kev"])
def test_only_ids_become_urls(lookups: Lookups, cve: str) -> None:
    """Anything else is a defect of the caller."""
    with pytest.raises(ValueError, match="is no CVE"):
        lookups.about(cve, "details")
