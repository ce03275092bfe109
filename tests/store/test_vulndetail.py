"""One CVE with all that is known of it, and what is said of one that is not here."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from spectra.errors import NotFound
from spectra.model.vulnrecords import MAX_CRITERIA, Configuration, VulnSource
from spectra.model.vulns import Criterion, Epss, Kev, Metric, Node, Reference, Ssvc, VulnRecord
from spectra.store import vulndetail
from spectra.store.database import Database
from spectra.store.vulnscores import replace_epss, replace_kev
from spectra.store.vulnwrite import Writer
from tests.store.corpus import KNOWLEDGE, NOW
from tests.store.scribe import T0, Scribe, host, seen
from tests.store.weak import Weak

CVE = "CVE-2024-6387"
SSH = "cpe:2.3:a:openbsd:openssh:*:*:*:*:*:*:*:*"
NVD = VulnRecord(
    CVE,
    "nvd",
    title="regreSSHion",
    description="A race in sshd.",
    published=NOW - timedelta(days=9),
    modified=NOW - timedelta(days=2),
    metrics=(Metric("3.1", 8.1, "high", "CVSS:3.1/AV:N", "nvd@nist.gov"), Metric("2.0", 6.0, "medium")),
    weaknesses=("CWE-364",),
    references=(Reference("https://example.org/a", ("Patch",)),),
    configurations=(Node(criteria=(Criterion(SSH, at_least="8.5", below="9.8"),)),),
)
CNA = VulnRecord(
    CVE,
    "cve",
    title="Signal handler race",
    modified=NOW,
    references=(Reference("https://example.org/b"),),
    ssvc=Ssvc("poc", "no", "total"),
)
KEV = Kev(CVE, date(2026, 5, 1), date(2026, 6, 1), ransomware=True, name="OpenSSH race")


def written(database: Database, *records: VulnRecord) -> None:
    """Records, each of a source of its own, after the scores."""
    with database.transaction() as connection:
        replace_kev(connection, [KEV])
        replace_epss(connection, [Epss(CVE, 0.25, 0.75)])
        for record in records:
            Writer(connection, KNOWLEDGE, NOW).write([record])


def test_all_that_is_known(database: Database) -> None:
    """Texts, every score, exploitation, references of all sources, criteria in words, and what each source says."""
    written(database, NVD, CNA)
    found = vulndetail.detail(database, CVE)
    assert (found.cve, found.title, found.description) == (CVE, "regreSSHion", "A race in sshd.")
    assert found.metrics == NVD.metrics
    assert (found.severity, found.cvss, found.cvss_version) == ("high", pytest.approx(8.1), "3.1")
    assert (found.epss, found.epss_percentile) == (0.25, 0.75)
    assert (found.kev, found.ssvc, found.weaknesses) == (KEV, CNA.ssvc, NVD.weaknesses)
    assert {one.url for one in found.references} == {"https://example.org/a", "https://example.org/b"}
    assert found.configured == "nvd"
    assert found.configurations == (Configuration(("openbsd:openssh >= 8.5, < 9.8",)),)
    assert found.criteria == 1
    assert found.sources == (
        VulnSource("cve", NOW, NOW, title="Signal handler race", references=1),
        VulnSource("nvd", NOW, NVD.modified, title="regreSSHion", metrics=2, references=1, criteria=1),
    )
    assert (found.published, found.changed) == (NVD.published, NOW)
    assert found.risk > 85


def test_thousands_of_criteria_are_cut(database: Database) -> None:
    """The first two hundred are told, and how many there are."""
    many = tuple(Criterion(SSH, at_most=f"1.{n}") for n in range(MAX_CRITERIA + 50))
    written(database, VulnRecord(CVE, "nvd", configurations=(Node(criteria=many), Node(criteria=many))))
    found = vulndetail.detail(database, CVE)
    assert sum(len(one.affected) for one in found.configurations) == MAX_CRITERIA
    assert found.criteria == 2 * len(many)


def test_endpoints_are_for_who_may_see_findings(database: Database, write: Scribe) -> None:
    """The first of them come along, or are left out."""
    written(database, NVD)
    write([host(f"10.0.0.{n}", T0, seen(22, "ssh", "OpenSSH", "9.2")) for n in range(1, 4)])
    weak = Weak(database)
    with database.connection() as connection:
        row = connection.execute("SELECT num FROM vuln WHERE cve = %s", [CVE]).fetchone()
    assert row is not None
    weak.affected(weak.software("OpenSSH", "9.2"), row[0])
    hosts = vulndetail.detail(database, CVE).hosts
    assert hosts is not None
    assert (hosts.endpoints, [one.ip for one in hosts.hosts]) == (3, ["10.0.0.1", "10.0.0.2", "10.0.0.3"])
    assert hosts == vulndetail.hosts(database, CVE)
    assert vulndetail.detail(database, CVE, with_hosts=False).hosts is None


def test_what_is_not_here(database: Database) -> None:
    """The feeds that would tell of it, as far as they are not loaded, and what the scores know of it all the same."""
    written(database)
    for ask in (vulndetail.detail, vulndetail.hosts):
        with pytest.raises(NotFound) as error:
            ask(database, CVE)
        assert CVE in error.value.message
        assert "2026-05-01" in error.value.message
        assert "25.00%" in error.value.message
        assert "The NVD or the CVE list" in error.value.hint
    with database.connection() as connection:
        connection.execute("INSERT INTO vuln_source (name, kind, source, checked, updated) VALUES"
                           " ('a', 'nvd-api', '', now(), now()), ('b', 'cve', '', now(), NULL)")  # fmt: skip
    with pytest.raises(NotFound) as error:
        vulndetail.detail(database, "CVE-2024-0001")
    assert error.value.message == "No feed that is loaded tells of CVE-2024-0001."
    assert error.value.hint.startswith("The CVE list would")
    with database.connection() as connection:
        connection.execute("UPDATE vuln_source SET updated = now()")
    with pytest.raises(NotFound) as error:
        vulndetail.detail(database, "CVE-2024-0001")
    assert "reserved" in error.value.hint
