"""Facets and totals against naive SQL, from every source: tallies, endpoints, samples."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

import pytest

from spectra.errors import BadRequest
from spectra.model.facets import FACETS, Asked, Facet, Total, read_facets
from spectra.model.facts import HostFacts, Place
from spectra.model.observation import Certificate, EndpointSeen, Service
from spectra.model.query import parse
from spectra.store import facets, populations
from spectra.store.database import Database
from spectra.store.facets import answer
from spectra.store.search import Paging, search
from spectra.store.tallies import fold
from tests.store import crowd as crowd_of
from tests.store import flaws
from tests.store.flaws import Told
from tests.store.scribe import T0, Scribe, host, seen
from tests.support.databases import another_database

pytestmark = pytest.mark.engine

NOW = datetime(2026, 6, 1, tzinfo=UTC)
PLACES = (
    Place(asn=64500, org="Red Networks", country="FR", country_name="France", region="Bretagne", city="Brest"),
    Place(asn=64500, org="Red Networks", country="FR", country_name="France", region="Centre", city="Paris"),
    Place(asn=64501, org="Blue", country="US", country_name="United States", region="Texas", city="Paris", cloud="aws",
          cloud_service="EC2", cloud_region="us-east-1"),
    Place(asn=64502, org="Green", country="US", country_name="United States", cloud="gcp", cloud_region="us-east1"),
    Place(asn=64503, org="Nowhere"),
)  # fmt: skip
SERVICES = (
    Service("http", "nginx", "1.18.0"),
    Service("http", "nginx", "1.20.1", tunnel="tls"),
    Service("http", "Apache httpd", "2.4", os="Linux"),
    Service("ssh", "OpenSSH", "9.6p1", os="Linux"),
    Service("", "", ""),
    None,
)


def record(number: int, rng: random.Random) -> Iterator[Any]:
    """A host, mostly with a place."""
    at = T0 + timedelta(hours=rng.randrange(0, 24 * 40))
    endpoints: list[EndpointSeen] = []
    for port in sorted(rng.sample([22, 80, 443, 8080, 53], rng.randrange(0, 4))):
        one = seen(port, title=rng.choice(["", "Welcome", "Log in"]), state=rng.choice(["open", "open", "closed"]))
        certificate = Certificate(f"{rng.randrange(1, 6):02x}" * 32, issuer="CN=R3", subject_cn=f"n{port}.example")
        endpoints.append(
            EndpointSeen(
                port,
                "udp" if port == 53 else "tcp",
                one.state,
                service=rng.choice(SERVICES),
                banner=one.banner,
                certificate=certificate if port == 443 else None,
            )
        )
    names = [f"h{number % 7}.example.org", f"x{number}.example.net"][: rng.randrange(3)]
    ip = f"192.0.{number // 200}.{number % 200}"
    place = rng.choice([*PLACES, None])
    if place:
        yield HostFacts(ip, 1, place)
    yield host(ip, at, *endpoints, names=names)


@pytest.fixture(scope="module")
def town(store_server: str, migrated_template: str) -> Iterator[Database]:
    """300 hosts, half of them folded, half of them in the log."""
    rng = random.Random(7)
    with another_database(store_server, migrated_template) as database:
        write = Scribe(database)
        cpe = {"nginx": ("cpe:2.3:a:f5:nginx:*:*:*:*:*:*:*:*", "cpe:2.3:a:igor:nginx:*:*:*:*:*:*:*:*")}
        for half in range(2):
            write([r for n in range(half * 150, half * 150 + 150) for r in record(n, rng)], scan_id=f"scan-{half}")
            if not half:
                while fold(database):
                    pass
        with database.connection() as connection:
            for product, names in cpe.items():
                connection.execute("UPDATE service SET cpe23 = %s WHERE product = %s", [list(names), product])
            flaws.known(connection, random.Random(2))
            flaws.tell(connection, [Told(n % 4, n % 8, over=n % 5 == 0) for n in range(0, 40, 3)])
            connection.execute("ANALYZE")
        yield database


_FINDINGS: LiteralString = """FROM affected a JOIN vuln v ON v.num = a.vuln
  WHERE a.software = s.software AND a.until IS NULL AND v.status <> 'rejected'"""

# A question in the language and in SQL, over an endpoint joined with all that is known of it.
QUESTIONS: dict[str, LiteralString] = {
    "": "true",
    "port:443": "port = 443",
    "protocol:udp": "protocol = 17",
    "service:http": "s.name = 'http'",
    "product:nginx": "s.product = 'nginx'",
    "-product:nginx": "s.product IS DISTINCT FROM 'nginx'",
    "version:1.18.0": "s.version = '1.18.0'",
    "country:FR": "p.country = 'FR'",
    "country:fr,us -port:80": "p.country IN ('FR', 'US') AND port <> 80",
    "-country:US product:nginx": "p.country IS DISTINCT FROM 'US' AND s.product = 'nginx'",
    "country:France": "p.country_name = 'France'",
    "country:France service:ssh": "p.country_name = 'France' AND s.name = 'ssh'",
    "service:https country:US": "s.name = 'http' AND s.tunnel = 'tls' AND p.country = 'US'",
    "city:Paris": "p.city = 'Paris'",
    "city:Paris service:http": "p.city = 'Paris' AND s.name = 'http'",
    "asn:64500,64502": "p.asn IN (64500, 64502)",
    "asn:64500 -port:22 product:/^ngi/": "p.asn = 64500 AND port <> 22 AND s.product ~ '^ngi'",
    "org:red cloud:aws": "false",
    "cloud:aws": "p.cloud = 'aws'",
    "-cloud:aws country:US": "p.cloud <> 'aws' AND p.country = 'US'",
    "net:192.0.0.0/25": "e.ip << '192.0.0.0/25'",
    "since:2026-01-20": "e.last_seen >= '2026-01-20'",
    "welcome": "b.title = 'Welcome'",
    "hostname:h3.example.org": "EXISTS (SELECT FROM hostname h WHERE h.ip = e.ip AND h.name = 'h3.example.org')",
    "scan:scan-1 port:80": "port = 80 AND (e.ip << '192.0.1.0/24' OR e.ip >= '192.0.0.150')",
    "cvss:>8": f"EXISTS (SELECT {_FINDINGS} AND v.cvss > 8)",
    "-has:finding": f"NOT EXISTS (SELECT {_FINDINGS})",
    "severity:critical,low -kev:true country:FR": f"""p.country = 'FR' AND EXISTS (
        SELECT {_FINDINGS} AND v.severity IN ('critical', 'low')) AND NOT EXISTS (
        SELECT {_FINDINGS} AND v.kev IS NOT NULL)""",
    "product:nothing": "false",
    "country:ZZ": "false",
}
STATES: dict[str, LiteralString] = {"state:closed port:80": "e.state = 'c' AND port = 80"}


# What a question asks of one finding: others are not counted beside it.
ASKED: dict[str, LiteralString] = {
    "cvss:>8": "v.cvss > 8",
    "severity:critical,low -kev:true country:FR": "v.severity IN ('critical', 'low')",
}
OF_FINDINGS: dict[str, LiteralString] = {
    "vuln": "v.cve",
    "severity": "nullif(v.severity, '')",
    "kev": "(v.kev IS NOT NULL)::text",
    "cvss": (
        "CASE WHEN v.cvss = 10 THEN '10' WHEN v.cvss < 10 THEN regexp_replace(v.cvss::text, '^(.).*', '\\1-\\1.9') END"
    ),
}


def _of_findings(value: LiteralString, asked: LiteralString) -> LiteralString:
    """Each value that one of the findings has, or none."""
    held: LiteralString = f"{_FINDINGS} AND {asked} AND {value} IS NOT NULL"
    return f"unnest(coalesce((SELECT array_agg(DISTINCT {value}) {held}), ARRAY[NULL]))"


def values_of(q: str) -> dict[str, LiteralString]:
    """What a facet of a question counts, by how it is asked for."""
    asked = ASKED.get(q, "true")
    found: dict[str, LiteralString] = {name: _of_findings(value, asked) for name, value in OF_FINDINGS.items()}
    return {**VALUES, **found}


VALUES: dict[str, LiteralString] = {
    "country": "p.country",
    "region": "p.region",
    "city": "p.city",
    "asn": "nullif(p.asn, 0)::text",
    "org": "p.org",
    "cloud": "p.cloud",
    "cloud_region": "p.cloud || '/' || nullif(p.cloud_region, '')",
    "port": "e.port::text",
    "protocol": "CASE e.protocol WHEN 6 THEN 'tcp' ELSE 'udp' END",
    "service": "s.name",
    "product": "s.product",
    "version": "s.version",
    "os": "s.os",
    "cpe": "unnest(CASE WHEN s.cpe23 <> '{}' THEN s.cpe23 ELSE ARRAY[NULL] END)",
    "title": "b.title",
    "cert.issuer": "c.issuer",
    "cert.subject": "c.subject_cn",
    "hostname": """unnest(coalesce((SELECT array_agg(DISTINCT h.name) FROM hostname h WHERE h.ip = e.ip),
                     ARRAY[NULL]))""",
    "last_seen:day": "to_char(e.last_seen, 'YYYY-MM-DD') || 'T00:00:00Z'",
    "first_seen:month": "to_char(e.first_seen, 'YYYY-MM') || '-01T00:00:00Z'",
    "last_seen:hour": "to_char(e.last_seen, 'YYYY-MM-DD\"T\"HH24') || ':00:00Z'",
    "last_seen:week": "to_char(date_trunc('week', e.last_seen), 'YYYY-MM-DD') || 'T00:00:00Z'",
}
_FROM: LiteralString = """FROM endpoint e LEFT JOIN place p ON p.id = e.place LEFT JOIN service s ON s.id = e.service
  LEFT JOIN banner b ON b.id = e.banner LEFT JOIN certificate c ON c.id = e.certificate WHERE"""


def naive(database: Database, held: LiteralString, value: LiteralString) -> dict[str, int]:
    """Every value and how many endpoints have it; none under the empty string."""
    opened: LiteralString = held if "e.state" in held else f"e.state = 'o' AND ({held})"
    statement: LiteralString = (
        f"SELECT coalesce(v, ''), count(*) FROM (SELECT {value} AS v {_FROM} {opened}) q GROUP BY 1"
    )
    with database.connection() as connection:
        return dict(connection.execute(statement).fetchall())


def ask(database: Database, q: str, asked: str, *, exact: bool = False) -> facets.Answer:
    """The answer to a question in the language."""
    return answer(database, parse(q, NOW), read_facets(asked), exact=exact)


def shown(facet: Facet) -> dict[str, int]:
    """The values that a facet lists."""
    return {str(value.value): value.count for value in facet.values}


@pytest.mark.parametrize("q", [*QUESTIONS, *STATES])
def test_every_facet_of_every_question(town: Database, q: str) -> None:
    """All values listed, what is missing counted, whatever the source; one at a time and all together."""
    held = (QUESTIONS | STATES)[q]
    expected = {name: naive(town, held, value) for name, value in values_of(q).items()}
    total = sum(naive(town, held, "'x'").values())
    single = [name if ":" in name else f"{name}:1000" for name in values_of(q)]
    together = [name for name in single if not name.startswith("last_seen:") or name.endswith("day")]
    for asked in [*single, ",".join(together)]:
        found = ask(town, q, asked)
        assert found.total == Total(total, True), (q, asked)
        for name, facet in found.facets.items():
            key = next(part for part in asked.split(",") if part.split(":")[0] == name)
            counted = dict(expected[key if ":" in key and not key.endswith(":1000") else name])
            missing = counted.pop("", 0)
            assert shown(facet) == counted, (q, asked)
            assert (facet.other, facet.missing, facet.exact) == (0, missing, True), (q, asked)


def test_the_most_common_the_rarest_and_the_others(town: Database) -> None:
    """In order of count, ties by value; `other` has the rest."""
    everything = naive(town, "true", "s.version")
    missing = everything.pop("", 0)
    ranked = sorted(everything, key=lambda v: (-everything[v], v))
    top = ask(town, "", "version:2").facets["version"]
    assert list(shown(top)) == ranked[:2]
    assert top.other == sum(everything[v] for v in ranked[2:])
    assert top.missing == missing
    rare = ask(town, "", "version:-2").facets["version"]
    assert list(shown(rare)) == sorted(everything, key=lambda v: (everything[v], v))[:2]
    assert list(shown(ask(town, "", "country:-1").facets["country"])) == ["FR"] or rare.values


def test_labels_say_who_it_is(town: Database) -> None:
    """The organisation behind a number, the name of a country."""
    found = ask(town, "", "asn,country").facets
    labels = {value.value: value.label for facet in found.values() for value in facet.values}
    assert labels[64500] == "Red Networks"
    assert labels["FR"] == "France"


def test_a_histogram_is_in_order_of_time(town: Database) -> None:
    """The newest thousand at most, the oldest of them first."""
    values = [value.value for value in ask(town, "", "last_seen:day").facets["last_seen"].values]
    assert len(values) > 10
    assert values == sorted(values, key=str)


def test_a_long_histogram_keeps_the_newest(town: Database) -> None:
    """What is older than the last one listed is in `other`."""
    whole = ask(town, "", "last_seen:hour").facets["last_seen"]
    query = parse("", NOW)
    short = answer(town, query, [Asked("last_seen", 5, unit="hour")]).facets["last_seen"]
    assert short.values == whole.values[-5:]
    assert short.other == sum(value.count for value in whole.values[:-5])


@pytest.fixture(scope="module")
def crowd(store_server: str, migrated_template: str) -> Iterator[Database]:
    """Much of everything."""
    with another_database(store_server, migrated_template) as database:
        crowd_of.fill(database)
        yield database


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is too much to read, and a sample is a quarter of it."""
    monkeypatch.setattr(populations, "READABLE", 100)
    monkeypatch.setattr(populations, "SAMPLE", 5000)


@pytest.mark.usefixtures("hasty")
def test_a_sample_says_so(crowd: Database) -> None:
    """What no tally knows is estimated: flagged, the same each time, near the truth, and summing up."""
    first = ask(crowd, "since:2025-01-01", "title,product")
    assert first == ask(crowd, "since:2025-01-01", "title,product")
    assert not first.total.exact
    assert not any(facet.exact for facet in first.facets.values())
    assert 18_000 < first.total.count < 22_000
    product = first.facets["product"]
    estimated = sum(v.count for v in product.values) + product.other + product.missing
    assert abs(estimated - first.total.count) <= len(product.values) + 2
    assert 5_000 < shown(product)["nginx"] < 7_000


@pytest.mark.usefixtures("hasty")
def test_a_known_total_stays_exact(crowd: Database) -> None:
    """A facet that has to be estimated takes nothing from the total and the facets that need not be."""
    found = ask(crowd, "product:nginx", "title,version")
    assert found.total == Total(sum(naive(crowd, "s.product = 'nginx'", "'x'").values()), True)
    assert found.facets["version"].exact
    title = found.facets["title"]
    assert not title.exact
    assert abs(sum(v.count for v in title.values) + title.other + title.missing - found.total.count) <= 4


@pytest.mark.usefixtures("hasty")
def test_exact_reads_it_all(crowd: Database) -> None:
    """As do the rarest values, which no sample has."""
    expected = naive(crowd, "true", "b.title")
    missing = expected.pop("", 0)
    found = ask(crowd, "since:2025-01-01", "title", exact=True).facets["title"]
    assert (shown(found), found.missing, found.exact) == (expected, missing, True)
    mixed = ask(crowd, "since:2025-01-01", "title:-10,product")
    assert (shown(mixed.facets["title"]), mixed.facets["title"].exact) == (expected, True)
    assert not mixed.facets["product"].exact


@pytest.mark.usefixtures("hasty")
def test_a_sample_that_finds_too_little_is_not_used(crowd: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then all is read: the planner expected many, and there may be few."""
    monkeypatch.setattr(populations, "ENOUGH", 1_000_000)
    expected = naive(crowd, "true", "b.title")
    missing = expected.pop("", 0)
    found = ask(crowd, "since:2025-01-01", "title").facets["title"]
    assert (shown(found), found.missing, found.exact) == (expected, missing, True)


@pytest.mark.usefixtures("hasty")
def test_reading_ends_where_more_match_than_were_expected(crowd: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A planner that expects little costs no more than a cut and a sample."""
    monkeypatch.setattr(populations, "READABLE", 1_000_000)
    monkeypatch.setattr(populations, "CUT", 100)
    found = ask(crowd, "since:2025-01-01", "title,product")
    assert not found.total.exact
    assert 18_000 < found.total.count < 22_000
    monkeypatch.setattr(populations, "CUT", 20_000)
    assert ask(crowd, "since:2025-01-01", "title,product").total == Total(20_000, True)


@pytest.mark.usefixtures("hasty")
def test_ports_and_services_go_together(crowd: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice as many match as ports and versions apart would let one expect: the tally knows, and it is not tried."""
    monkeypatch.setattr(populations, "READABLE", 1_500)
    monkeypatch.setattr(populations, "CUT", 1_000_000)
    monkeypatch.setattr(populations, "ENOUGH", 1)
    found = ask(crowd, "since:2025-01-01 version:1 port:81", "title")
    assert not found.total.exact
    assert 1_500 < found.total.count < 2_500


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(("dear", "exact"), [(1_500, False), (3_000, True)])
def test_few_matches_among_many_are_sampled(
    crowd: Database, monkeypatch: pytest.MonkeyPatch, dear: int, exact: bool
) -> None:
    """Two thousand would be read, but not if no index leads to them without as many more than is worth it."""
    monkeypatch.setattr(populations, "READABLE", 4_000)
    monkeypatch.setattr(populations, "CUT", 1_000_000)
    monkeypatch.setattr(populations, "ENOUGH", 1)
    monkeypatch.setattr(populations, "DEAR", dear)
    assert ask(crowd, "since:2025-01-01 version:1 port:81", "title").total.exact == exact


def test_a_page_comes_with_its_numbers(town: Database) -> None:
    """What search and answer tell apart, in one; a page that there is not is refused before anything is counted."""
    query = parse("port:80", NOW)
    asked = read_facets("product,port:1")
    found = facets.page(town, query, Paging("ip", limit=2), asked)
    apart = answer(town, query, asked)
    assert (found.total, found.facets) == (apart.total, apart.facets)
    assert found.matches == search(town, query, sort="ip", limit=2).matches
    rest = facets.page(town, query, Paging("ip", found.next_cursor), asked)
    assert rest.matches == search(town, query, sort="ip", cursor=found.next_cursor).matches
    nothing = facets.page(town, parse("product:nowhere", NOW), Paging(), asked)
    assert (nothing.matches, nothing.total) == ((), Total(0, True))
    for paging, field in ((Paging("age"), "sort"), (Paging(limit=0), "limit"), (Paging(cursor="x"), "cursor")):
        with pytest.raises(BadRequest) as refused:
            facets.page(town, query, paging, asked)
        assert refused.value.field == field


def test_an_empty_store(database: Database) -> None:
    """Nothing is nothing, exactly."""
    for q in ("", "port:80", "product:x", "since:1d", "country:FR"):
        found = ask(database, q, ",".join(FACETS))
        assert found.total == Total(0, True)
        assert all(facet == Facet((), 0, 0, True) for facet in found.facets.values())


def test_countries_of_two_names_are_not_mixed_up(database: Database, write: Scribe) -> None:
    """Feeds may spell a country in two ways; a question by name counts the places of that name alone."""
    for number, name in enumerate(["Czechia", "Czech Republic", "Czechia"]):
        place = Place(country="CZ", country_name=name)
        write([HostFacts(f"192.0.2.{number}", 1, place), host(f"192.0.2.{number}", T0, seen(80, "http"))])
    assert ask(database, 'country:"Czech Republic" port:80', "service,country").total.count == 1
    assert ask(database, "country:CZ port:80", "service").total.count == 3


def test_a_service_without_anything_is_no_service(database: Database, write: Scribe) -> None:
    """Endpoints of which nothing is known are missing from facets, and found by what they are not."""
    write([host("192.0.2.1", T0, seen(80, "http", "nginx"), seen(81)), *unplaced()])
    while fold(database):
        pass
    found = ask(database, "-product:nginx port:81,82", "service,country")
    assert found.total.count == 2
    assert found.facets["service"] == Facet((), 0, 2, True)
    assert found.facets["country"].missing == 1


def unplaced() -> list[Any]:
    """A host with a place, and an unknown service."""
    return [HostFacts("192.0.2.9", 1, PLACES[0]), host("192.0.2.9", T0, seen(82))]
