"""What rules look at besides changes of hosts: each kind of thing is found, told once, and over when it is not so."""

from __future__ import annotations

from datetime import date

import pytest

from spectra.errors import BadRequest
from spectra.flow import alertlook
from spectra.model.alerts import KINDS, QuietHours, Rule
from spectra.model.observation import Certificate, Silent
from spectra.store import alertrules, refusals
from spectra.store.database import Database
from tests.flow.alertworld import DAY, HOUR, NOON, Watchtower
from tests.store.scribe import host, seen
from tests.store.weak import Weak

pytestmark = pytest.mark.engine

A, B = "192.0.2.1", "192.0.2.2"


@pytest.fixture
def tower(database: Database) -> Watchtower:
    """A watch over an empty store, without any rule."""
    return Watchtower(database)


def certificate(days: int) -> Certificate:
    """One that runs out so many days after noon."""
    return Certificate(sha256=f"{days % 251:02x}" * 32, subject_cn="www.example.org", not_after=NOON + days * DAY)


def test_the_first_rules_are_there_from_the_first_look_on(database: Database) -> None:
    """Each on record; one that was removed does not come back."""
    tower = Watchtower(database)
    with database.connection() as connection:
        rows = connection.execute("SELECT subject FROM provenance WHERE kind = 'alert-rule.put'").fetchall()
    assert [row[0] for row in rows] == [f"alert-rule:{rule.name}" for rule in alertlook.FIRST]
    tower.look(slow=True)
    assert not alertrules.every(database)


def test_certificates_that_run_out(tower: Watchtower) -> None:
    """Those in use, as their time comes or as they are first seen; over when there is another."""
    rule = tower.rule(Rule(name="soon", on=("certificate.expiring",), expires_days=14, group="each"))
    tower.submit(
        host(A, tower.now, seen(443, "https", certificate=certificate(10))),
        host(B, tower.now, seen(443, "https", certificate=certificate(20))),
    )
    tower.look()
    assert tower.titles() == [f"The certificate of {A}:443 (www.example.org) runs out on 2026-06-11"]
    tower.look(slow=True)
    tower.wait(7 * DAY)
    tower.look(slow=True)
    assert len(tower.titles()) == 2
    tower.submit(host(A, tower.now, seen(443, "https", certificate=certificate(400))))
    tower.look(slow=True)
    assert next(alert.key for alert in tower.alerts("resolved")).startswith(f"certificate.expiring|{A}/tcp/443")
    assert len(tower.alerts()) == 1
    tower.rule(Rule(name="later", on=("certificate.expiring",), query="ip:192.0.2.2", expires_days=30))
    tower.look(slow=True)
    assert {alert.rule for alert in tower.alerts()} == {rule.name, "later"}


def test_weaknesses_are_found_when_they_are_known(tower: Watchtower) -> None:
    """Waited for until services were looked through; each for the terms that are about it; over when settled."""
    weak = Weak(tower.database)
    tower.rule(Rule(name="bad", on=("finding.new",), query="cvss:>9 port:443", group="each"))
    tower.rule(Rule(name="used", on=("kev.match",), group="rule"))
    tower.submit(host(A, tower.now, seen(443, "https", "nginx", "1.18.0"), seen(80, "http", "nginx", "1.18.0")))
    assert tower.look()
    assert not tower.alerts()
    software = weak.software("nginx", "1.18.0")
    worse, better = weak.vuln("CVE-2024-0001", cvss=9.8), weak.vuln("CVE-2024-0002", cvss=5.0)
    weak.affected(software, worse, tower.now)
    weak.affected(software, better, tower.now)
    assert not tower.look()
    assert tower.titles() == [f"CVE-2024-0001 (high) at {A}:443, nginx 1.18.0"]
    with tower.database.connection() as connection:
        connection.execute("INSERT INTO kev (cve, added, entry) VALUES ('CVE-2024-0002', %s, '{}')", [date(2026, 6, 1)])
        connection.execute("UPDATE vuln SET kev = %s WHERE cve = 'CVE-2024-0002'", [date(2026, 6, 1)])
    tower.look()
    tower.look(slow=True)
    assert tower.titles()[1:] == ["2 weaknesses that are known to be exploited"]
    with tower.database.connection() as connection:
        connection.execute("UPDATE affected SET until = %s WHERE vuln = %s", [tower.now, worse])
    tower.look(slow=True)
    assert [alert.why for alert in tower.alerts("resolved")] == ["none of it is so any more"]


def test_news_of_weaknesses_reach_hosts_that_are_there(tower: Watchtower) -> None:
    """A feed that tells of another one makes alerts without a scan; what was decided to be none does not."""
    weak = Weak(tower.database)
    tower.submit(host(A, tower.now, seen(22, "ssh", "OpenSSH", "9.6")))
    software = weak.software("OpenSSH", "9.6")
    tower.look()
    tower.rule(Rule(name="bad", on=("finding.new",)))
    tower.wait(HOUR)
    weak.affected(software, weak.vuln("CVE-2024-6387"), tower.now)
    tower.look()
    assert tower.titles() == [f"CVE-2024-6387 (high) at {A}:22, OpenSSH 9.6"]
    weak.triage("CVE-2024-6387", "not_affected", ip=A)
    tower.look(slow=True)
    assert not tower.alerts()
    tower.look()
    assert not tower.alerts()


def test_hosts_that_do_not_answer(tower: Watchtower) -> None:
    """Told once a probe found nothing so long after they were last seen; over when they answer."""
    tower.submit(host(A, tower.now, seen(22)))
    tower.rule(Rule(name="gone", on=("host.gone",), gone_days=7, query="port:22"))
    for days, told in ((3, 0), (8, 1)):
        tower.wait(days * DAY)
        tower.submit(Silent("192.0.2.0/24", tower.now))
        tower.look()
        assert len(tower.alerts()) == told
    assert tower.titles()[0].startswith(f"{A} does not answer any more")
    tower.wait(HOUR)
    tower.submit(host(A, tower.now, seen(22)))
    tower.look(slow=True)
    assert not tower.alerts()


def test_machines_feeds_and_jobs(tower: Watchtower) -> None:
    """Machines that are lost and heard again, feeds that are old and fetched again, jobs that ended."""
    tower.rule(Rule(name="mesh", on=("worker.lost", "feed.stale"), group="each", stale_days=7))
    with tower.database.connection() as connection:
        connection.execute(
            "INSERT INTO node (name, uri, role, standing, by, created)"
            " VALUES ('edge', 'u', 'worker', 'active', 'a', %s)",
            [NOON],
        )
        connection.execute(
            "INSERT INTO node_presence (node, presence, last_seen) VALUES ('edge', 'dead', %s)", [NOON - HOUR]
        )
        connection.execute(
            "INSERT INTO vuln_source (name, kind, source, checked, updated, error)"
            " VALUES ('kev', 'kev', 'https://www.example.org/kev', %s, %s, 'no such host')",
            [NOON, NOON - 8 * DAY],
        )
    tower.look(slow=True)
    assert sorted(tower.titles(), reverse=True) == [
        "The machine edge is not heard any more, since 2026-06-01 11:00 UTC",
        "The feed kev could not be fetched since 2026-05-24: no such host",
    ]
    with tower.database.connection() as connection:
        connection.execute("UPDATE node_presence SET presence = 'alive'")
        connection.execute("UPDATE vuln_source SET error = '', updated = checked")
    tower.look(slow=True)
    assert not tower.alerts()


def test_refusals_count(tower: Watchtower) -> None:
    """Each once, however often they are looked at; what was refused before the first look is no news."""
    tower.rule(Rule(name="refused", on=("envelope.refused",), group="each", threshold=10, window_s=3600))
    refusals.count(tower.database, "bad_signature", "203.0.113.9", "", tower.now, times=6)
    tower.look()
    tower.look()
    assert not tower.alerts()
    tower.wait()
    refusals.count(tower.database, "bad_signature", "203.0.113.9", "it does not hold", tower.now, times=5)
    tower.look()
    assert [(alert.count, alert.title) for alert in tower.alerts()] == [
        (11, "Refused from 203.0.113.9: bad signature (it does not hold)")
    ]


def test_sign_ins(tower: Watchtower) -> None:
    """From where an account never came from, and refused ones; a first sign-in is not strange."""
    tower.rule(Rule(name="who", on=("signin.strange",), group="each"))
    strange = {"account": "bob", "source": "203.0.113.9", "known": False, "first": False}
    tower.enter("session.begun", "session:1", strange | {"known": True})
    tower.enter("session.begun", "session:2", strange | {"first": True})
    tower.enter("session.begun", "session:3", strange)
    tower.enter("signin.refused", "signin:bob", {"account": "bob", "count": 5, "source": "203.0.113.9"})
    tower.look()
    assert tower.titles() == [
        "bob signed in from 203.0.113.9, where this account never came from",
        "Signing in to bob was refused 5 times, the last from 203.0.113.9",
    ]


def test_rules_are_checked() -> None:
    """A query and a time zone that there are."""
    alertlook.check(Rule(name="a", on=tuple(KINDS), quiet=QuietHours(start="22:00", end="07:00")), NOON)
    with pytest.raises(BadRequest):
        alertlook.check(Rule(name="a", on=("host.new",), query="nosuchfield:1"), NOON)
    with pytest.raises(BadRequest):
        alertlook.check(
            Rule(name="a", on=("host.new",), quiet=QuietHours(start="22:00", end="07:00", zone="Moon")), NOON
        )
