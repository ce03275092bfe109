"""Measuring the matcher: what it counts is what the real evaluation stores, and each round changes something."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from spectra.bench import correlating, wares
from spectra.flow.correlation import Correlation
from spectra.flow.vulnsync import knowledge
from spectra.intel.vulns import open_feed
from spectra.model.observation import Service
from spectra.model.vulns import Criterion, VulnRecord
from spectra.store.database import Database, migrate
from spectra.store.rows import content_id
from spectra.store.vulnwrite import Writer
from tests.bench import weaknesses
from tests.support.postgres import database_url, embedded

__all__ = ["database_url", "embedded"]

pytestmark = [pytest.mark.engine, pytest.mark.slow]


@pytest.fixture
def stored(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Database, list[Service]]]:
    """A database with the CVEs of a small corpus and some services of its products, evaluated."""
    folder = tmp_path_factory.mktemp("feeds")
    weaknesses.fill(folder)
    with Database(database_url, pool_size=3) as database:
        migrate(database)
        with open_feed(folder / "big" / "nvd_cves.jsonl.zst") as feed, database.transaction() as connection:
            records = [item for item in feed.items() if isinstance(item, VulnRecord)]
            Writer(connection, knowledge(), datetime.now(UTC)).write(records)
        made = wares.services(wares.wares(database), 60)
        with database.transaction() as connection, connection.cursor() as cursor:
            cursor.executemany(
                """INSERT INTO service (id, name, product, version, extra, os, device, tunnel, cpe)
                   VALUES (%s, %s, %s, %s, %s, %s, '', '', %s)""",
                [(content_id(s.fingerprint), s.name, s.product, s.version, s.extra, s.os, list(s.cpe)) for s in made],
            )
        Correlation(database).evaluate_all()
        yield database, made


def test_wares_are_of_products_that_are_known_by_name(stored: tuple[Database, list[Service]]) -> None:
    """Those of the corpus, with the versions its CVEs mention."""
    found = {ware.name: ware for ware in wares.wares(stored[0])}
    assert set(found) == {"openssh", "nginx", "exim smtpd"}
    assert all(len(ware.versions) > 20 for ware in found.values())


def test_in_memory_it_finds_what_is_stored(stored: tuple[Database, list[Service]]) -> None:
    """As many findings of each service as the database has of its software."""
    database, made = stored
    matched = correlating.in_memory(database, made)
    query = "SELECT count(*) FROM service s JOIN affected a ON a.software = s.software WHERE a.until IS NULL"
    with database.connection() as connection:
        ((findings,),) = connection.execute(query).fetchall()
    assert round(matched.findings * len(made)) == findings > 0
    assert matched.per_s > 0
    found = correlating.counts(database)
    assert found.services == 60
    assert 30 <= found.software <= 60


def test_news_change_findings(stored: tuple[Database, list[Service]]) -> None:
    """Every round looks at software and changes something; at the end nothing is left undone."""
    database, _ = stored
    said: list[str] = []
    done = correlating.news(database, said.append, rounds=3, changed=40)
    assert len(said) == 3
    assert done.software > 0
    assert done.findings > 0
    assert 0 < done.evaluated.p50 <= done.evaluated.p95
    assert Correlation(database).step(hurry=True) is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            Criterion("cpe:2.3:a:x:y:*:*:*:*:*:*:*:*", below="2"),
            Criterion("cpe:2.3:a:x:y:*:*:*:*:*:*:*:*", at_most="2"),
        ),
        (
            Criterion("cpe:2.3:a:x:y:*:*:*:*:*:*:*:*", at_most="2"),
            Criterion("cpe:2.3:a:x:y:*:*:*:*:*:*:*:*", below="2"),
        ),
        (Criterion("cpe:2.3:a:x:y:*:*:*:*:*:*:*:*"), Criterion("cpe:2.3:a:x:y:*:*:*:*:*:*:*:*", below="9999")),
        (Criterion("cpe:2.3:a:x:y:1.2:*:*:*:*:*:*:*"), Criterion("cpe:2.3:a:x:y:1.2.1:*:*:*:*:*:*:*")),
        (Criterion("cpe:2.3:a:x:y:-:*:*:*:*:*:*:*"), Criterion("cpe:2.3:a:x:y:-:*:*:*:*:*:*:*")),
        (Criterion("nonsense"), Criterion("nonsense")),
    ],
)
def test_what_a_change_is(before: Criterion, after: Criterion) -> None:
    """Another bound, or another version."""
    assert correlating._criterion(before) == after
