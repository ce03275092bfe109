"""History against a naive second model: whatever the order of arrival, the graph tells the same story."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spectra.model.observation import HostSeen, State, Swept
from spectra.store import audit
from spectra.store.database import Database
from tests.store.scribe import T0, Scribe, host, seen

PORTS: tuple[int, ...] = (22, 80, 443)
IP = "192.0.2.7"


class Seen(NamedTuple):
    """One scan of one host in the naive model: what it listed, and what it said of the other swept ports."""

    minute: int
    listed: dict[int, tuple[State, str]]  # port -> state and service version ("" = not said)
    rest: State | None

    @property
    def at(self) -> datetime:
        return T0 + timedelta(minutes=self.minute)

    def record(self) -> HostSeen:
        endpoints = [
            seen(port, *(("http", "nginx", version) if version else ()), state=state)
            for port, (state, version) in self.listed.items()
        ]
        return host(IP, self.at, *endpoints, rest=self.rest)


def naive(scans: list[Seen], port: int) -> list[tuple[str, str, datetime, datetime]]:
    """The versions of one endpoint, written down as one would tell them: (state, version, since, confirmed)."""
    story: list[tuple[str, str, datetime, datetime]] = []
    for scan in sorted(scans, key=lambda s: s.minute):
        if port in scan.listed:
            state, version = scan.listed[port]
        elif scan.rest:
            state, version = scan.rest, ""
        else:
            continue
        if not story and state != "open":
            continue
        if story and state == "open" == story[-1][0]:
            version = version or story[-1][1]
        if state != "open":
            version = ""
        if story and story[-1][:2] == (state, version):
            story[-1] = (state, version, story[-1][2], scan.at)
        else:
            story.append((state, version, scan.at, scan.at))
    return story


def stored(database: Database, port: int) -> list[tuple[str, str, datetime, datetime]]:
    """The versions of one endpoint as they are in the tables."""
    with database.connection() as connection:
        rows = connection.execute(
            """SELECT v.state::text, coalesce(s.version, ''), v.since, v.confirmed FROM (
                 SELECT state, service, since, confirmed FROM endpoint_version WHERE ip = %(ip)s AND port = %(port)s
                 UNION ALL
                 SELECT state, service, since, confirmed FROM endpoint WHERE ip = %(ip)s AND port = %(port)s) v
               LEFT JOIN service s ON s.id = v.service ORDER BY v.since""",
            {"ip": IP, "port": port},
        ).fetchall()
    names = {"o": "open", "c": "closed", "f": "filtered"}
    return [(names[state], version, since, confirmed) for state, version, since, confirmed in rows]


STATES: tuple[State, ...] = ("open", "open", "open", "closed", "filtered")
RESTS: tuple[State | None, ...] = (None, None, "closed", "filtered")


def look(state: State, version: str) -> tuple[State, str]:
    """Only an open port says what runs on it."""
    return (state, version) if state == "open" else (state, "")


looks = st.builds(look, st.sampled_from(STATES), st.sampled_from(["", "1.0", "1.1"]))
listings = st.dictionaries(st.integers(0, len(PORTS) - 1).map(lambda i: PORTS[i]), looks, max_size=3)
rests = st.sampled_from(RESTS)


@st.composite
def arrivals(draw: st.DrawFn) -> list[Seen]:
    """Scans of one host at different minutes, in the order in which they arrive."""
    minutes = draw(st.lists(st.integers(0, 60), min_size=1, max_size=9, unique=True))
    return [Seen(minute, draw(listings), draw(rests)) for minute in minutes]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(scans=arrivals(), together=st.booleans())
def test_any_order_of_arrival_tells_the_same_story(
    database: Database, write: Scribe, scans: list[Seen], together: bool
) -> None:
    """Late, out-of-order and swept observations land where a naive sort and fold would have put them."""
    with database.transaction() as connection:
        connection.execute("TRUNCATE host, endpoint, endpoint_version, sighting, observation CASCADE")
    sweep = Swept("tcp", ((1, 1024),))
    if together:
        write([sweep, *(scan.record() for scan in scans)])
    else:
        for scan in scans:
            write([sweep, scan.record()])
    for port in PORTS:
        assert stored(database, port) == naive(scans, port)
    assert audit.altered_host(database) == ""


def test_a_version_ends_where_the_next_begins(database: Database, write: Scribe) -> None:
    """`until` of a past version is the first observation of something else, also when that arrives late."""
    write([host(IP, T0, seen(80, "http", "nginx", "1.0"))])
    write([host(IP, T0 + timedelta(hours=4), seen(80, "http", "nginx", "1.0"))])
    write([host(IP, T0 + timedelta(hours=2), seen(80, "http", "nginx", "1.1"))])
    with database.connection() as connection:
        rows = connection.execute(
            "SELECT since, confirmed, until FROM endpoint_version WHERE ip = %s ORDER BY since", [IP]
        ).fetchall()
    assert rows == [
        (T0, T0, T0 + timedelta(hours=2)),
        (T0 + timedelta(hours=2), T0 + timedelta(hours=2), T0 + timedelta(hours=4)),
    ]


def test_a_port_scan_does_not_forget_the_service(database: Database, write: Scribe) -> None:
    """An open port whose service a later scan does not name keeps the service that was identified there."""
    write([host(IP, T0, seen(80, "http", "nginx", "1.0"))])
    write([host(IP, T0 + timedelta(hours=1), seen(80))], tool="naabu")
    assert stored(database, 80) == [("open", "1.0", T0, T0 + timedelta(hours=1))]


def test_an_endpoint_that_was_never_open_is_not_born(database: Database, write: Scribe) -> None:
    """Closed ports end lives; they do not begin any."""
    write([host(IP, T0, seen(80, state="closed"), seen(443, state="filtered"))])
    assert stored(database, 80) == stored(database, 443) == []


def test_a_tool_that_tells_of_a_port_twice_is_merged(database: Database, write: Scribe) -> None:
    """Two lines about one endpoint make one: open outweighs, and what one line left unsaid the other says."""
    write([host(IP, T0, seen(80), seen(80, "http", "nginx", "1.0"), seen(80, state="closed"))])
    assert stored(database, 80) == [("open", "1.0", T0, T0)]


PEOPLE = (("alice", 1.0), ("bob", 0.7), ("mallory", 0.25), ("trudy", 0.25))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    scans=arrivals(), who=st.lists(st.sampled_from(PEOPLE), min_size=9, max_size=9), spread=st.sampled_from([1, 600])
)
def test_trust_is_weighed_the_same_in_any_order_of_arrival(
    database: Database, write: Scribe, scans: list[Seen], who: list[tuple[str, float]], spread: int
) -> None:
    """Whoever is trusted how far: the stored versions, doubts and marks are those of the fold over the sorted log."""
    with database.transaction() as connection:
        connection.execute("TRUNCATE host, endpoint, endpoint_version, sighting, observation CASCADE")
    sweep = Swept("tcp", ((1, 1024),))
    for scan, (name, trust) in zip(scans, who, strict=False):
        write([sweep, scan._replace(minute=scan.minute * spread).record()], contributor=name, trust=trust)
    assert audit.altered_host(database) == ""
    with database.connection() as connection:
        flags = connection.execute("SELECT bool_or(untrusted) FROM endpoint").fetchone()
    looked = [trust < 0.5 for scan, (_, trust) in zip(scans, who, strict=False) if scan.listed or scan.rest]
    assert flags is not None
    assert not (flags[0] and not any(looked))


def test_a_doubt_is_kept_beside_what_it_contradicts(database: Database, write: Scribe) -> None:
    """What an untrusted contributor says against a trusted one changes nothing, and is not lost either."""
    write([host(IP, T0, seen(80, "http", "nginx", "1.0"))])
    later = [host(IP, T0 + timedelta(hours=1), seen(80, state="closed"))]
    write(later, contributor="mallory", trust=0.2)
    assert stored(database, 80) == [("open", "1.0", T0, T0)]
    with database.connection() as connection:
        row = connection.execute("SELECT trust, sole, doubt, untrusted FROM endpoint").fetchone()
    assert row == (1.0, "", "mallory", True)
