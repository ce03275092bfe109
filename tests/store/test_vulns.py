"""Reading what is known of a CVE."""

from __future__ import annotations

from datetime import date

import pytest

from spectra.errors import NotFound
from spectra.intel.vulns import merge
from spectra.model.vulns import Epss, Kev, Reference, Ssvc
from spectra.store import vulns, vulnscores
from spectra.store.database import Database
from tests.store.vulnfeed import record, write


def test_a_cve_comes_back_as_it_was_merged(database: Database) -> None:
    """Every property of it, whichever source has it, beside its score and its entry in the catalogue."""
    told = record(
        7,
        "httpd",
        weaknesses=("CWE-20", "CWE-79"),
        references=(Reference("https://example.org/a", ("Patch",)),),
        ssvc=Ssvc("active", "yes", "total"),
        title="A title",
        aliases=("GHSA-x",),
    )
    other = record(7, source="overrides", references=(Reference("https://example.org/b"),))
    write(database, [other])
    write(database, [told])
    kev = Kev(told.cve, date(2026, 2, 1), ransomware=True, vendor="Acme")
    with database.transaction() as connection:
        vulnscores.replace_kev(connection, [kev])
        vulnscores.replace_epss(connection, [Epss(told.cve, 0.25, 0.5)])
    with database.connection() as connection:
        found = vulns.get(connection, told.cve)
        assert found == (merge([told, other]), kev, Epss(told.cve, 0.25, 0.5))
        assert vulns.records(connection, told.cve) == [told, other]
        assert list(vulns.nums(connection, [told.cve, "CVE-1999-1"])) == [told.cve]


def test_a_cve_that_nobody_told_of(database: Database) -> None:
    """Even where it has a score already."""
    with database.transaction() as connection:
        vulnscores.replace_epss(connection, [Epss("CVE-2026-0001", 0.25)])
        with pytest.raises(NotFound, match="No source told of CVE-2026-0001"):
            vulns.get(connection, "CVE-2026-0001")
        assert vulns.records(connection, "CVE-2026-0001") == []
