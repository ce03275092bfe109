"""CISA's catalogue, as JSON and as CSV."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from spectra.intel.vulns import open_feed
from spectra.model.envelope import Problem
from spectra.model.vulns import Kev
from tests.intel.vulns.samples import feed, packed, problems

ENTRY = {
    "cveID": "CVE-2025-48384",
    "vendorProject": "Git",
    "product": "Git",
    "vulnerabilityName": "Git Link Following Vulnerability",
    "dateAdded": "2025-08-25",
    "shortDescription": "Git contains a link following vulnerability.",
    "requiredAction": "Apply mitigations.",
    "dueDate": "2025-09-15",
    "knownRansomwareCampaignUse": "Known",
    "notes": "https://example.com",
    "cwes": ["CWE-59"],
}
READ = Kev(
    "CVE-2025-48384",
    date(2025, 8, 25),
    date(2025, 9, 15),
    True,
    "Git",
    "Git",
    "Git Link Following Vulnerability",
    "Apply mitigations.",
    "https://example.com",
)
CATALOGUE = {"title": "CISA", "catalogVersion": "2025.08.25", "dateReleased": "2025-08-25T17:04:19.9796Z", "count": 1}
HEADER = (
    "cveID,vendorProject,product,vulnerabilityName,dateAdded,shortDescription,requiredAction,dueDate,"
    "knownRansomwareCampaignUse,notes,cwes"
)


def test_the_catalogue_says_of_when_it_is() -> None:
    """Its version, its release and how many entries it has."""
    with feed(packed({**CATALOGUE, "vulnerabilities": [ENTRY]})) as read:
        assert list(read) == [READ]
        assert (read.kind, read.version, read.total) == ("kev", "2025.08.25", 1)
        assert read.built == datetime(2025, 8, 25, 17, 4, 19, 979600, UTC)


def test_an_empty_catalogue_is_one() -> None:
    """It has no entries, and is no error."""
    with feed(packed({**CATALOGUE, "count": 0, "vulnerabilities": []})) as read:
        assert (read.kind, list(read)) == ("kev", [])


def test_the_table_says_the_same() -> None:
    """Quoted values over several lines, doubled quotes, a byte order mark."""
    row = 'CVE-2025-48384,Git,Git,"Git Link\nFollowing ""X""",2025-08-25,"a, b",Apply,2025-09-15,Unknown,,"CWE-59, 436"'
    with feed(f"\ufeff{HEADER}\r\n{row}\r\n".encode()) as read:
        (item,) = read
    assert isinstance(item, Kev)
    assert (item.name, item.due, item.ransomware) == ('Git Link\nFollowing "X"', date(2025, 9, 15), False)


@pytest.mark.parametrize(
    ("fields", "why"),
    [({"cveID": "CVE-1"}, "no CVE id"), ({"dateAdded": "soon"}, "no date"), ({"product": 7}, "Expected `str | null`")],
)
def test_a_bad_entry_is_a_problem(fields: dict[str, Any], why: str) -> None:
    """The others are read."""
    document = packed({**CATALOGUE, "vulnerabilities": [ENTRY, {**ENTRY, **fields}, ENTRY]})
    (problem,) = problems(document)
    assert why in problem.message
    assert len(list(feed(document))) == 3


def test_a_bad_row_is_a_problem() -> None:
    """With its line; one that is cut short at the end ends the feed."""
    good = "CVE-2025-48384,Git,Git,Name,2025-08-25,Text,Apply,2025-09-15,Unknown,,"
    first, problem = feed(f"{HEADER}\n{good}\nCVE-2025-1,two\n".encode())
    assert isinstance(first, Kev)
    assert problem == Problem("the row has 2 values, the header 11", line=3)


def test_the_real_catalogues_are_read(shared_data: Path) -> None:
    """As many entries and ransomware flags as counted; JSON and CSV of the same day say the same."""
    read: dict[str, list[object]] = {}
    for name in ("known_exploited_vulnerabilities", "known_exploited_vulnerabilities_2026-08"):
        with open_feed(shared_data / "kev" / f"{name}.json.gz") as catalogue:
            read[name] = list(catalogue)
    with open_feed(shared_data / "kev" / "known_exploited_vulnerabilities.csv.gz") as table:
        assert {item.cve: item.added for item in table if isinstance(item, Kev)} == {
            item.cve: item.added for item in read["known_exploited_vulnerabilities"] if isinstance(item, Kev)
        }
    counts = [(len(items), sum(isinstance(item, Kev) and item.ransomware for item in items)) for items in read.values()]
    assert counts == [(1404, 293), (1674, 352)]
