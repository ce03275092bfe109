"""The catalogue and the scores."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import pytest

from spectra.errors import BadRequest
from spectra.model.vulns import Epss, Kev
from spectra.store import vulnscores
from spectra.store.database import Database
from spectra.store.vulnscores import Rescored
from tests.store.vulnfeed import INTEL, NOW, record, rows, write

CVES = [f"CVE-2026-{n:04}" for n in range(1, 8)]


def replace(database: Database, kind: str, told: list[Kev] | list[Epss]) -> int:
    """In a transaction."""
    with database.transaction() as connection:
        return vulnscores.replace(connection, kind, told)


def rescored(database: Database, limit: int = 3) -> list[Rescored]:
    """All CVEs, a few at a time."""
    done = [vulnscores.rescore(database, 0, limit, INTEL.risk, NOW + timedelta(days=1))]
    while done[-1].done == limit:
        done.append(vulnscores.rescore(database, done[-1].after, limit, INTEL.risk, NOW + timedelta(days=1)))
    return done


def test_only_what_differs_is_written(database: Database) -> None:
    """Rows that stay as they are keep their place on disk."""
    epss = [Epss(cve, 0.5, 0.5) for cve in CVES]
    kev = [Kev(cve, date(2026, 1, 1)) for cve in CVES]
    assert replace(database, "epss", epss) == replace(database, "kev", kev) == len(CVES)
    where = {t: rows(database, f"SELECT cve, ctid::text FROM {t} ORDER BY cve") for t in ("epss", "kev")}
    replace(database, "epss", [Epss(CVES[0], 0.5, 0.6), *epss[1:-1], Epss("CVE-2026-0099", 0.1)])
    replace(database, "kev", [*kev[:-1], Kev("CVE-2026-0099", date(2026, 1, 1))])
    for table, same in (("epss", CVES[1:-1]), ("kev", CVES[:-1])):
        now = dict(rows(database, f"SELECT cve, ctid::text FROM {table}"))
        assert [(cve, now[cve]) for cve in same] == [row for row in where[table] if row[0] in same]
        assert set(now) == {*CVES[:-1], "CVE-2026-0099"}
    with database.connection() as connection:
        assert vulnscores.count(connection, "epss") == vulnscores.count(connection, "kev") == len(CVES)


def test_all_or_nothing(database: Database) -> None:
    """A file that breaks midway leaves what was there; of a CVE that is told twice one score is kept."""
    replace(database, "epss", [Epss(CVES[0], 0.5)])

    def broken() -> Iterator[Epss]:
        yield Epss(CVES[1], 0.1)
        raise BadRequest("cut short")

    with pytest.raises(BadRequest), database.transaction() as connection:
        vulnscores.replace_epss(connection, broken())
    assert rows(database, "SELECT cve, score, percentile FROM epss") == [(CVES[0], 0.5, None)]
    assert replace(database, "epss", [Epss(CVES[0], 0.1), Epss(CVES[0], 0.2)]) == 1


def test_scores_are_copied_to_the_cves(database: Database) -> None:
    """In batches, also when a CVE leaves the catalogue; what is as it should be is not touched, the risk follows."""
    write(database, [record(n, "httpd") for n in range(1, 8)])
    before = dict(rows(database, "SELECT cve, risk FROM vuln"))
    replace(database, "epss", [Epss(cve, 0.25, 0.75) for cve in CVES[:5]])
    replace(database, "kev", [Kev(CVES[0], date(2026, 2, 3), ransomware=True)])
    assert [(step.done, step.changed) for step in rescored(database)] == [(3, 3), (3, 2), (1, 0)]
    assert [step.changed for step in rescored(database)] == [0, 0, 0]
    query = "SELECT epss, epss_percentile, kev, ransomware FROM vuln ORDER BY sort"
    found = rows(database, query)
    assert found[0] == (0.25, 0.75, date(2026, 2, 3), True)
    assert found[1] == (0.25, 0.75, None, False)
    assert found[5] == (None, None, None, False)
    risks = dict(rows(database, "SELECT cve, risk FROM vuln"))
    assert risks[CVES[0]] > risks[CVES[1]] != before[CVES[1]]
    news = rows(database, f"SELECT cve FROM vuln WHERE changed > '{NOW.isoformat()}'")
    assert news == [(CVES[0],)], "a new score is no news, an entry in the catalogue is"
    replace(database, "kev", [])
    replace(database, "epss", [])
    rescored(database)
    assert set(rows(database, query)) == {(None, None, None, False)}
    assert dict(rows(database, "SELECT cve, risk FROM vuln")) == before


def test_a_new_cve_has_its_scores_at_once(database: Database) -> None:
    """Whichever came first, the record or the score."""
    replace(database, "epss", [Epss(CVES[0], 0.25, 0.75)])
    replace(database, "kev", [Kev(CVES[0], date(2026, 2, 3))])
    write(database, [record(1, "httpd")])
    assert rows(database, "SELECT epss, kev FROM vuln") == [(0.25, date(2026, 2, 3))]
    assert rescored(database)[0].changed == 0
