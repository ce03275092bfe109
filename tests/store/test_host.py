"""One host, now and at any past moment; and one name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spectra.errors import BadRequest, NotFound
from spectra.model.facts import HostFacts, Place
from spectra.model.lifetimes import Lifetimes
from spectra.model.observation import (
    Certificate,
    Evidence,
    Hostname,
    HostSeen,
    NameSeen,
    ScanFacts,
    Service,
    Silent,
    Swept,
)
from spectra.model.records import EndpointRecord, EvidenceRecord, FeedsUsed, HostnameRecord, HostRecord, VersionRecord
from spectra.store import host as hosts
from spectra.store.database import Database
from spectra.store.host import MAX_SIGHTINGS, hostname
from spectra.store.host import host as look_up
from tests.store.scribe import T0, Scribe, host, seen

IP = "192.0.2.7"
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


def ports(record: HostRecord) -> dict[int, str]:
    """port -> state, with the version of the service where one is known."""
    told = {e.port: f"{e.state} {e.service.version if e.service else ''}".strip() for e in record.endpoints}
    assert list(told) == sorted(told)
    return told


# Where it is, and when it has to be looked at again -----------------------------------------------------------------

PARIS = Place(64496, "Example Net", "FR", "France", "Île-de-France", "Paris", latitude=48.86, longitude=2.35)


def test_a_place_rests_on_a_set_of_feeds(database: Database, write: Scribe) -> None:
    """The place with every field, the number of the feed set and the version of each feed, now and at any moment."""
    with database.connection() as connection:
        feeds = '{"geo": {"version": "2026-01", "sha256": "00", "updated": "2026-01-01T00:00:00Z"}}'
        connection.execute("INSERT INTO feed_set (digest, feeds, created) VALUES ('x', %s, %s)", [feeds, T0])
    write([HostFacts(IP, 1, PARIS), host(IP, T0, seen(22)), HostFacts("192.0.2.8", 1), host("192.0.2.8", T0, seen(22))])
    for record in (look_up(database, IP), look_up(database, IP, at=T0 + DAY), look_up(database, IP, history=True)):
        assert record.place == PARIS
        assert record.feeds == FeedsUsed(1, {"geo": "2026-01"})
    nowhere = look_up(database, "192.0.2.8")
    assert (nowhere.place, nowhere.feeds) == (None, FeedsUsed(1, {"geo": "2026-01"}))
    write([HostFacts("192.0.2.9", 7, PARIS), host("192.0.2.9", T0, seen(22))])
    assert look_up(database, "192.0.2.9").feeds == FeedsUsed(7)  # a set that is not there any more
    write([host("192.0.2.10", T0, seen(22))])
    assert look_up(database, "192.0.2.10").feeds is None


def test_every_open_port_has_its_day(database: Database, write: Scribe) -> None:
    """By the lifetimes given, from the last look that found it open; a closed one has none."""
    write([host(IP, T0, seen(22, "ssh"), seen(80, "http"), seen(9999, "odd"), seen(25))])
    write([host(IP, T0 + SECOND, seen(25, state="closed"))])
    record = look_up(database, IP, lifetimes=Lifetimes({"ssh": 60}, default_s=120))
    stale = {e.port: e.stale_at for e in record.endpoints}
    assert stale == {
        22: T0 + 60 * SECOND,
        25: None,
        80: T0 + timedelta(hours=6),
        9999: T0 + 120 * SECOND,
    }


def test_what_one_untrusted_claims_is_marked(database: Database, write: Scribe) -> None:
    """A version that only an untrusted contributor saw says whose word it is; a trusted look ends that."""
    write([host(IP, T0, seen(22))], contributor="mallory", trust=0.1)
    endpoint = look_up(database, IP).endpoints[0]
    assert (endpoint.sole, round(endpoint.trust, 2)) == ("mallory", 0.1)
    write([host(IP, T0 + SECOND, seen(22))])
    assert (look_up(database, IP).endpoints[0].sole, look_up(database, IP).endpoints[0].trust) == ("", 1.0)


def test_names_of_the_software(database: Database) -> None:
    """CPE 2.3 names stand beside what the tool said."""
    name = "cpe:2.3:a:openbsd:openssh:9.6:*:*:*:*:*:*:*"
    Scribe(database)([host(IP, T0, seen(22, "ssh", "OpenSSH", "9.6"))])
    with database.connection() as connection:
        connection.execute("UPDATE service SET cpe23 = %s", [[name]])
    assert look_up(database, IP).endpoints[0].cpe23 == (name,)


# Now -----------------------------------------------------------------------------------------------------------------


def test_everything_about_a_host(database: Database, write: Scribe) -> None:
    """Endpoints with service, certificate and banner, names, evidence, system and card, each with its times."""
    certificate = Certificate(
        "ab" * 32,
        subject_cn="example.org",
        subject="CN=example.org",
        issuer="CN=CA",
        sans=("example.org", "www.example.org"),
        not_before=T0,
        not_after=T0 + 90 * DAY,
        serial="01",
        key="rsa 2048",
    )
    on_port = Evidence(kind="nse:http-title", data="Hello", key="/", severity="info")
    on_host = Evidence(kind="nse:smb-os", data="Windows")
    https = seen(
        443, "http", "nginx", "1.25", banner="HTTP/1.1", title="Hello", certificate=certificate, evidence=[on_port]
    )
    write(
        [
            HostSeen(
                IP,
                T0,
                endpoints=(https, seen(53, protocol="udp")),
                hostnames=(Hostname("example.org", "user"), Hostname("a.example.org", "ptr")),
                mac="00:11:22:33:44:55",
                vendor="Acme",
                os="Linux 6",
                evidence=(on_host,),
            )
        ]
    )
    write([host(IP, T0 + DAY, seen(443), names=["example.org"])])
    assert look_up(database, IP) == HostRecord(
        ip=IP,
        first_seen=T0,
        last_seen=T0 + DAY,
        status="up",
        os="Linux 6",
        mac="00:11:22:33:44:55",
        vendor="Acme",
        hostnames=(
            HostnameRecord("a.example.org", "ptr", T0, T0),
            HostnameRecord("example.org", "dns", T0 + DAY, T0 + DAY),
            HostnameRecord("example.org", "user", T0, T0),
        ),
        endpoints=(
            EndpointRecord(
                state="open",
                since=T0,
                confirmed=T0,
                port=53,
                protocol="udp",
                first_seen=T0,
                last_seen=T0,
                stale_at=T0 + DAY,
            ),
            EndpointRecord(
                state="open",
                since=T0,
                confirmed=T0 + DAY,
                port=443,
                protocol="tcp",
                first_seen=T0,
                last_seen=T0 + DAY,
                stale_at=T0 + DAY + timedelta(hours=6),
                service=Service(name="http", product="nginx", version="1.25"),
                certificate=certificate,
                banner="HTTP/1.1",
                title="Hello",
                evidence=(EvidenceRecord("nse:http-title", "Hello", "/", "info", first_seen=T0, last_seen=T0),),
            ),
        ),
        evidence=(EvidenceRecord("nse:smb-os", "Windows", first_seen=T0, last_seen=T0),),
    )


def test_an_address_in_another_spelling_is_the_same_host(database: Database, write: Scribe) -> None:
    """IPv6 has many spellings of one address."""
    write([host("2001:db8::1", T0, seen(22))])
    assert look_up(database, "2001:0DB8:0:0::1").ip == "2001:db8::1"


@pytest.mark.parametrize("ip", ["", "10.0.0", "10.0.0.0/8", "example.org", "fe80::1%eth0", "'; --", "1\x002"])
def test_what_is_no_address_is_refused(database: Database, ip: str) -> None:
    """The field is named, and nothing reaches the database."""
    with pytest.raises(BadRequest) as caught:
        look_up(database, ip)
    assert caught.value.field == "ip"


def test_an_unknown_host_says_what_to_do(database: Database, write: Scribe) -> None:
    """Not found tells how to find out; a host that never answered is not known either."""
    write([Silent(IP, T0)])
    with pytest.raises(NotFound, match=f"spectra scan {IP}"):
        look_up(database, IP)


# Then ----------------------------------------------------------------------------------------------------------------


def test_a_host_as_it_was(database: Database, write: Scribe) -> None:
    """Each moment has the version that lasted then, and the moment of a change the new one; the unborn are left out."""
    write([host(IP, T0, seen(22, "ssh", "OpenSSH", "8"), names=["old.example.org"], os="Linux 5")])
    write([host(IP, T0 + DAY, seen(22, "ssh", "OpenSSH", "9"), seen(80), names=["new.example.org"], os="Linux 6")])
    write([host(IP, T0 + 2 * DAY, seen(22, state="closed"), seen(80))])
    moments = {
        T0: {22: "open 8"},
        T0 + DAY - SECOND: {22: "open 8"},
        T0 + DAY: {22: "open 9", 80: "open"},
        T0 + 2 * DAY - SECOND: {22: "open 9", 80: "open"},
        T0 + 2 * DAY: {22: "closed", 80: "open"},
        T0 + 900 * DAY: {22: "closed", 80: "open"},
    }
    for at, wanted in moments.items():
        record = look_up(database, IP, at=at)
        assert ports(record) == wanted
        assert record.at == at
        assert record.last_seen <= at
        assert all(e.first_seen <= e.last_seen <= at for e in record.endpoints)
    assert ports(look_up(database, IP)) == {22: "closed", 80: "open"}
    before = look_up(database, IP, at=T0)
    assert before.hostnames == (HostnameRecord("old.example.org", "dns", T0, T0),)
    assert before.os == "Linux 5"
    assert look_up(database, IP, at=T0 + DAY).os == "Linux 6"
    assert look_up(database, IP, at=T0 + 2 * DAY).endpoints[0].last_seen == T0 + DAY


def test_an_endpoint_that_came_back_was_last_seen_before_it_went(database: Database, write: Scribe) -> None:
    """Asked for the time in between, the last time it was open is the one before that, not today's."""
    for day, state in enumerate(("open", "closed", "open")):
        write([host(IP, T0 + day * DAY, seen(22, state=state))])
    (endpoint,) = look_up(database, IP, at=T0 + DAY).endpoints
    assert (endpoint.state, endpoint.last_seen, endpoint.until) == ("closed", T0, T0 + 2 * DAY)


def test_before_the_first_look_there_is_no_host(database: Database, write: Scribe) -> None:
    """The message tells since when the host is known."""
    write([host(IP, T0, seen(22))])
    with pytest.raises(NotFound, match="2026-01-01T00:00:00"):
        look_up(database, IP, at=T0 - SECOND)


def test_moments_in_any_time_zone(database: Database, write: Scribe) -> None:
    """The same instant is the same instant, and one without a zone is UTC."""
    write([host(IP, T0, seen(22))])
    assert look_up(database, IP, at=T0.replace(tzinfo=None)).at == T0
    east = T0.astimezone(timezone(timedelta(hours=9)))
    assert ports(look_up(database, IP, at=east)) == {22: "open"}
    assert ports(look_up(database, IP, at=datetime.max.replace(tzinfo=UTC))) == {22: "open"}
    with pytest.raises(NotFound):
        look_up(database, IP, at=datetime.min.replace(tzinfo=UTC))


def test_a_late_observation_counts_from_when_it_was_made(database: Database, write: Scribe) -> None:
    """Submitted last but made in between, it changes the past it saw and leaves today alone."""
    write([host(IP, T0, seen(22, "ssh", "OpenSSH", "8"))])
    write([host(IP, T0 + 4 * DAY, seen(22, "ssh", "OpenSSH", "9"))])
    assert ports(look_up(database, IP, at=T0 + 3 * DAY)) == {22: "open 8"}
    write([host(IP, T0 + 2 * DAY, seen(22, state="closed"), seen(80), names=["late.example.org"], os="Late")], at=T0)
    assert ports(look_up(database, IP, at=T0 + DAY)) == {22: "open 8"}
    assert ports(look_up(database, IP, at=T0 + 3 * DAY)) == {22: "closed", 80: "open"}
    now = look_up(database, IP)
    assert ports(now) == {22: "open 9", 80: "open"}
    assert [n.name for n in now.hostnames] == ["late.example.org"]
    assert (now.os, now.last_seen) == ("Late", T0 + 4 * DAY)


def test_system_and_card_are_those_told_last_by_then(database: Database, write: Scribe) -> None:
    """A look that says nothing of them does not wipe them; an earlier moment has the earlier ones, or none."""
    write([host(IP, T0, seen(22))])
    for day, name in ((1, "A"), (3, "B")):
        record = HostSeen(IP, T0 + day * DAY, (seen(22),), mac=f"00:00:00:00:00:0{day}", vendor=name, os=name)
        write([record])
    write([host(IP, T0 + 4 * DAY, seen(22))])
    told = {day: look_up(database, IP, at=T0 + day * DAY) for day in range(5)}
    assert [told[day].os for day in range(5)] == ["", "A", "A", "B", "B"]
    assert [told[day].vendor for day in range(5)] == ["", "A", "A", "B", "B"]
    assert [told[day].mac[-1:] for day in range(5)] == ["", "1", "1", "3", "3"]


# History -------------------------------------------------------------------------------------------------------------


def test_history_tells_each_version_once(database: Database, write: Scribe) -> None:
    """Earlier versions come oldest first and end where the next begins; the current one is the endpoint itself."""
    for day, version in enumerate(("8", "8", "9", "8")):
        write([host(IP, T0 + day * DAY, seen(22, "ssh", "OpenSSH", version), seen(80))])
    ssh, http = look_up(database, IP, history=True).endpoints
    old, new = (Service(name="ssh", product="OpenSSH", version=v) for v in ("8", "9"))
    assert ssh.history == (
        VersionRecord("open", T0, T0 + DAY, T0 + 2 * DAY, old),
        VersionRecord("open", T0 + 2 * DAY, T0 + 2 * DAY, T0 + 3 * DAY, new),
    )
    assert (ssh.since, ssh.until, ssh.service) == (T0 + 3 * DAY, None, old)
    assert http.history == ()
    then, _ = look_up(database, IP, at=T0 + 2 * DAY, history=True).endpoints
    assert (then.service, [v.service for v in then.history or ()]) == (new, [old])
    assert look_up(database, IP).endpoints[0].history is None


def test_the_past_of_a_host_is_bounded(database: Database, write: Scribe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a host that flaps without end the newest versions are told, and never one in place of another."""
    monkeypatch.setattr(hosts, "MAX_PAST", 2)
    for day in range(6):
        write([host(IP, T0 + day * DAY, seen(22, "ssh", version=str(day)), *([seen(80)] if day == 0 else []))])
    write([host(IP, T0 + DAY, seen(80, state="closed"))])
    write([host(IP, T0 + 9 * DAY, seen(80))])
    assert [v.since for v in look_up(database, IP, history=True).endpoints[0].history or ()] == [
        T0 + 3 * DAY,
        T0 + 4 * DAY,
    ]
    monkeypatch.setattr(hosts, "MAX_PAST", 1)
    assert ports(look_up(database, IP, at=T0 + 4 * DAY, history=True)) == {22: "open 4"}
    assert ports(look_up(database, IP, at=T0 + 4 * DAY)) == {22: "open 4", 80: "closed"}


def test_history_tells_who_saw_the_host(database: Database, write: Scribe) -> None:
    """Sightings come newest first with contributor, trust, scan and the tool: what its output says, else its sender."""
    write([host(IP, T0, seen(22))], contributor="alice", scan_id="s1", scan_type="port", tool="naabu")
    write(
        [host(IP, T0 + DAY, seen(22), seen(80))],
        contributor="bob",
        trust=0.5,
        scan_id="s2",
        tool="claimed",
        facts=ScanFacts(tool="nmap"),
    )
    newest, oldest = look_up(database, IP, history=True).sightings
    assert (newest.contributor, newest.trust, newest.scan_id, newest.tool) == ("bob", 0.5, "s2", "nmap")
    assert (newest.seen_at, newest.endpoints, len(newest.observation_id)) == (T0 + DAY, 2, 64)
    assert (oldest.contributor, oldest.trust, oldest.scan_id, oldest.tool) == ("alice", 1.0, "s1", "naabu")
    assert (oldest.scan_type, oldest.endpoints) == ("port", 1)
    assert [s.scan_id for s in look_up(database, IP, at=T0, history=True).sightings] == ["s1"]
    assert look_up(database, IP).sightings == ()


def test_the_number_of_sightings_is_bounded(database: Database, write: Scribe) -> None:
    """Of many sightings the newest are told."""
    for minute in range(MAX_SIGHTINGS + 3):
        write([host(IP, T0 + timedelta(minutes=minute), seen(22))])
    sightings = look_up(database, IP, history=True).sightings
    assert len(sightings) == MAX_SIGHTINGS
    assert sightings[-1].seen_at == T0 + timedelta(minutes=3)


def test_evidence_is_the_newest_of_its_kind(database: Database, write: Scribe) -> None:
    """A newer remark of the same kind and key replaces the older; history has both; an earlier moment the earlier."""

    def told(day: int, data: str, key: str = "/") -> None:
        evidence = [Evidence(kind="nuclei:x", data=data, key=key)]
        write([host(IP, T0 + day * DAY, seen(80, evidence=evidence), evidence=evidence)])

    told(0, "old")
    told(2, "new")
    told(1, "other key", "/admin")
    for at, history, wanted in (
        (None, False, ["new", "other key"]),
        (None, True, ["old", "new", "other key"]),
        (T0 + DAY, False, ["old", "other key"]),
        (T0, False, ["old"]),
        (T0 + DAY, True, ["old", "other key"]),
    ):
        record = look_up(database, IP, at=at, history=history)
        (endpoint,) = record.endpoints
        assert [e.data for e in endpoint.evidence] == wanted
        assert record.evidence == endpoint.evidence


# Up or down ----------------------------------------------------------------------------------------------------------


def test_a_host_is_down_while_its_newest_probe_went_unanswered(database: Database, write: Scribe) -> None:
    """Down from the first silence after the newest sighting, up again with the next answer; asked for then, as then."""
    write([host(IP, T0 + DAY, seen(22))])
    write([Silent(IP, T0)])
    assert look_up(database, IP).status == "up"
    write([Silent(IP, T0 + 2 * DAY)])
    write([Silent(ip, T0 + 3 * DAY) for ip in (IP, "192.0.2.6")])
    down = look_up(database, IP)
    assert (down.status, down.down_since) == ("down", T0 + 2 * DAY)
    assert look_up(database, IP, at=T0 + 2 * DAY - SECOND).status == "up"
    write([host(IP, T0 + 4 * DAY, seen(22))])
    up = look_up(database, IP)
    assert (up.status, up.down_since) == ("up", None)
    assert look_up(database, IP, at=T0 + 3 * DAY).down_since == T0 + 2 * DAY
    write([host(IP, T0 + 2 * DAY + SECOND, seen(22))])
    assert look_up(database, IP, at=T0 + 3 * DAY).down_since == T0 + 3 * DAY


def test_silence_of_others_is_not_ours(database: Database, write: Scribe) -> None:
    """A neighbour, the other protocol family and a network beside it say nothing about this host."""
    write([host(IP, T0, seen(22)), host("::c000:207", T0, seen(22))])
    write([Silent("192.0.2.8", T0 + DAY), Silent("192.0.2.9", T0 + DAY), Silent("192.0.2.6", T0 + DAY)])
    assert look_up(database, IP).status == "up"
    write([Silent(IP, T0 + DAY)])
    assert look_up(database, "::c000:207").status == "up"


# Against a naive model -----------------------------------------------------------------------------------------------

_scan = st.tuples(
    st.integers(0, 20), st.dictionaries(st.sampled_from([22, 80]), st.sampled_from(["open", "closed"])), st.booleans()
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_scan, min_size=1, max_size=6, unique_by=lambda scan: scan[0]))
def test_any_moment_has_what_was_last_seen_by_then(
    database: Database, write: Scribe, scans: list[tuple[int, dict[int, str], bool]]
) -> None:
    """Scans in any order of arrival; at each moment every port born by then is in the state last seen by then."""
    with database.connection() as connection:
        connection.execute("TRUNCATE host, endpoint, endpoint_version, sighting, silence")
    for hour, states, sweep in scans:
        listed = [seen(port, state="open" if state == "open" else "closed") for port, state in states.items()]
        swept = [Swept("tcp", ((1, 1000),))] if sweep else []
        write([*swept, host(IP, T0 + hour * DAY, *listed, rest="closed" if sweep else None)])
    for moment in range(21):
        known: dict[int, str] = {}
        for hour, states, sweep in sorted(scans, key=lambda scan: scan[0]):
            if hour > moment:
                break
            if sweep:
                known = dict.fromkeys(known, "closed")
            known |= {port: state for port, state in states.items() if state == "open" or port in known}
        if min(hour for hour, *_ in scans) > moment:
            with pytest.raises(NotFound):
                look_up(database, IP, at=T0 + moment * DAY)
        else:
            assert ports(look_up(database, IP, at=T0 + moment * DAY)) == known
            assert ports(look_up(database, IP, at=T0 + moment * DAY, history=True)) == known


# Names ---------------------------------------------------------------------------------------------------------------


def test_a_name_and_where_it_was_seen(database: Database, write: Scribe) -> None:
    """Addresses in order, the times over all of them and over looks without address, the newest evidence of a kind."""
    name = "www.example.org"
    write([host(ip, T0 + DAY, seen(80), names=[name]) for ip in ("10.0.0.10", "10.0.0.9", "2001:db8::1")])
    write([HostSeen("10.0.0.9", T0 + 2 * DAY, hostnames=(Hostname(name, "ptr"),))])
    write([NameSeen(name, T0, (Evidence("bbot:X", "old"), Evidence("bbot:Y", "y")))])
    write([NameSeen(name, T0 + 3 * DAY, (Evidence("bbot:X", "new"),))])
    record = hostname(database, "WWW.example.org.")
    assert (record.name, record.first_seen, record.last_seen) == (name, T0, T0 + 3 * DAY)
    assert record.addresses == ("10.0.0.9", "10.0.0.10", "2001:db8::1")
    last = T0 + 3 * DAY
    assert record.evidence == (
        EvidenceRecord("bbot:X", "new", first_seen=last, last_seen=last),
        EvidenceRecord("bbot:Y", "y", first_seen=T0, last_seen=T0),
    )


def test_a_name_without_an_address(database: Database, write: Scribe) -> None:
    """Seen only as a name, it is still found."""
    write([NameSeen("lonely.example.org", T0)])
    assert hostname(database, "lonely.example.org").addresses == ()


@pytest.mark.parametrize("name", ["example.org", "%", "' OR 1=1 --", "_ww.example.org", "名前", ""])
def test_an_unknown_name_says_what_to_do(database: Database, write: Scribe, name: str) -> None:
    """Neither a parent domain nor a pattern nor SQL is a name that was seen."""
    write([host(IP, T0, seen(80), names=["www.example.org"])])
    with pytest.raises(NotFound, match="spectra search hostname:"):
        hostname(database, name)


@pytest.mark.parametrize("name", ["a\x00b", "a\nb", "\ud800", "x" * 1001])
def test_what_cannot_be_a_name_is_refused(database: Database, name: str) -> None:
    """Characters that no name has are refused by field."""
    with pytest.raises(BadRequest) as caught:
        hostname(database, name)
    assert caught.value.field == "name"
