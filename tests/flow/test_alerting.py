"""The watch over the chain: what it finds is told once, stays while it is so, and is over when it is not."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from spectra.flow import alertlook
from spectra.flow.alerting import Alerting
from spectra.model.alerts import Muting, QuietHours, Rule
from spectra.store import alertrules, alerts, refusals
from spectra.store.alerts import Wanted
from spectra.store.database import Database
from tests.flow.alertworld import DAY, HOUR, NOON, SECOND, Watchtower
from tests.store.scribe import host, seen
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine

A, B, C = "192.0.2.1", "192.0.2.2", "198.51.100.7"


@pytest.fixture
def tower(database: Database) -> Watchtower:
    """A watch over an empty store, without any rule."""
    return Watchtower(database)


def test_a_new_host_is_told_once(tower: Watchtower) -> None:
    """One alert of a key, however often it is looked at and scanned again."""
    tower.rule(Rule(name="hosts", on=("host.new",)))
    tower.submit(host(A, tower.now, seen(22), seen(443)))
    tower.look()
    assert tower.titles() == [f"New host {A} with 22, 443 open"]
    tower.wait(HOUR)
    tower.submit(host(A, tower.now, seen(22), seen(443)))
    tower.look()
    tower.look(slow=True)
    assert [(alert.count, alert.state) for alert in tower.alerts()] == [(1, "firing")]
    assert tower.kinds() == ["alert.fired"]


def test_what_was_there_before_the_first_look_is_no_news(database: Database) -> None:
    """A coordinator that is started for the first time on an old store tells nothing of what is in it."""
    tower = Watchtower(database)
    tower.submit(host(A, NOON, seen(22)))
    with database.connection() as connection:
        connection.execute("DELETE FROM alert_watch")
        connection.execute("DELETE FROM alert_rule")
    tower.look()
    tower.rule(Rule(name="hosts", on=("host.new",)))
    tower.look()
    assert not tower.alerts()


def test_the_first_rules_are_there_when_it_has_started(database: Database) -> None:
    """So what a first start writes is on record before anybody can ask; a later start adds nothing."""
    for _ in range(2):
        alerting = Alerting(database, lambda: NOON)
        alerting.start()
        try:
            names = {record.rule.name for record in alertrules.every(database)}
            assert names == {rule.name for rule in alertlook.FIRST}
        finally:
            alerting.stop()


def test_what_was_refused_before_the_first_start_is_no_news(database: Database) -> None:
    """The first rules are there by then, and tell of what comes."""
    alerting = Alerting(database, lambda: NOON)
    refusals.count(database, "bad_signature", "203.0.113.9", "it does not hold", NOON, times=500)
    alerting.start()
    alerting.stop()
    alerting.look(slow=True)
    assert not alerts.page(database, Wanted(), limit=10).alerts
    refusals.count(database, "bad_signature", "203.0.113.9", "it does not hold", NOON, times=500)
    alerting.look(slow=True)
    assert [one.rule for one in alerts.page(database, Wanted(), limit=10).alerts] == ["submission-refused"]


def test_changes_are_told_apart(tower: Watchtower) -> None:
    """A port that opens, another service, another version; each by what is there now and was before."""
    on = ("port.opened", "service.new", "service.changed")
    tower.submit(host(A, tower.now, seen(80, "http", "nginx", "1.18.0"), seen(22, "ssh")))
    tower.look()
    tower.rule(Rule(name="changes", on=on, group="each"))
    tower.wait(HOUR)
    endpoints = seen(80, "http", "nginx", "1.20.1"), seen(22, "telnet"), seen(8080, "http", "jetty")
    tower.submit(host(A, tower.now, *endpoints))
    tower.look()
    assert sorted(tower.titles()) == [
        f"{A}:22 runs telnet instead of ssh",
        f"{A}:80 runs nginx 1.20.1 instead of nginx 1.18.0",
        f"{A}:8080 is open: jetty",
    ]


def test_queries_narrow_down(tower: Watchtower) -> None:
    """What a query holds for as it is now; a new host by any service on it."""
    tower.rule(Rule(name="nginx", on=("host.new", "port.opened"), query="product:nginx net:192.0.2.0/24", group="each"))
    tower.submit(
        host(A, tower.now, seen(80, "http", "nginx", "1.18.0"), seen(22, "ssh")),
        host(B, tower.now, seen(22, "ssh")),
        host(C, tower.now, seen(80, "http", "nginx", "1.18.0")),
    )
    tower.look()
    assert sorted(tower.titles()) == [f"{A}:80 is open: nginx 1.18.0", f"New host {A} with 22, 80 open"]


def test_an_old_scan_that_is_brought_late_is_no_news(tower: Watchtower) -> None:
    """It changes what was, not what is."""
    tower.submit(host(A, tower.now, seen(22), seen(80)))
    tower.look()
    tower.rule(Rule(name="all", on=("host.new", "port.opened")))
    tower.submit(host(A, tower.now - 30 * DAY, seen(22)), at=tower.now)
    tower.look()
    assert not tower.alerts()


def test_two_submissions_in_one_look_are_each_seen(tower: Watchtower) -> None:
    """The one that saw it first tells of it, also where another that saw it later is there already."""
    tower.rule(Rule(name="all", on=("host.new", "port.opened"), group="each"))
    tower.submit(host(A, tower.now, seen(22)))
    tower.submit(host(A, tower.now + SECOND, seen(22), seen(80)))
    tower.look()
    assert sorted(tower.titles()) == [f"{A}:22 is open", f"{A}:80 is open", f"New host {A} with 22, 80 open"]


def test_thresholds_wait_for_enough(tower: Watchtower) -> None:
    """Nobody is told before so many happened within the time; what is too long ago is forgotten."""
    tower.outlet("chat")
    tower.rule(Rule(name="many", on=("host.new",), group="rule", threshold=3, window_s=600, outlets=("chat",)))
    for ip in (A, B):
        tower.submit(host(ip, tower.now, seen(22)))
        tower.look()
    assert (tower.titles(), tower.messages()) == ([], [])
    tower.wait(HOUR)
    tower.look(slow=True)
    tower.submit(host(C, tower.now, seen(22)))
    tower.look()
    assert not tower.alerts()
    tower.submit(host("192.0.2.3", tower.now, seen(22)), host("192.0.2.4", tower.now, seen(22)))
    tower.look()
    assert tower.titles() == ["3 new hosts"]
    assert [message.count for message, _, _ in tower.messages()] == [3]


def test_more_of_the_same_alert_is_gathered(tower: Watchtower) -> None:
    """The first is told at once, what follows together, and nothing any more once somebody looks after it."""
    tower.outlet("chat")
    tower.rule(Rule(name="hosts", on=("host.new",), group="network", gather_s=300, outlets=("*",)))
    for number in range(1, 4):
        tower.submit(host(f"192.0.2.{number}", tower.now, seen(22)))
        tower.look(slow=True)
        tower.wait()
    assert [(message.told, len(message.lines)) for message, _, _ in tower.messages()] == [("firing", 1)]
    tower.wait(timedelta(seconds=300))
    tower.look(slow=True)
    assert [(message.told, message.lines) for message, _, _ in tower.messages()][1:] == [
        ("again", ("New host 192.0.2.3 with 22 open", "New host 192.0.2.2 with 22 open"))
    ]
    alerts.acknowledge(tower.database, [tower.alerts()[0].id], "mine", tower.act)
    tower.wait(HOUR)
    tower.submit(host("192.0.2.4", tower.now, seen(22)))
    tower.look(slow=True)
    assert (len(tower.messages()), tower.alerts()[0].state) == (2, "acknowledged")
    assert tower.woken == 2


def test_what_happens_at_one_moment_is_over_after_a_while(tower: Watchtower) -> None:
    """And told so where the rule asks for it; the next is an alert of its own."""
    tower.outlet("chat")
    tower.rule(Rule(name="hosts", on=("host.new",), group="rule", calm_s=3600, outlets=("chat",), resolved=True))
    tower.submit(host(A, tower.now, seen(22)))
    tower.look()
    tower.wait(2 * HOUR)
    tower.look(slow=True)
    assert [(alert.state, alert.why) for alert in tower.alerts("resolved")] == [
        ("resolved", "nothing more of it happened")
    ]
    tower.submit(host(B, tower.now, seen(22)))
    tower.look()
    assert [message.told for message, _, _ in tower.messages()] == ["firing", "resolved", "firing"]
    assert tower.kinds() == ["alert.fired", "alert.resolved", "alert.fired"]


def test_quiet_hours_hold_messages_back(tower: Watchtower) -> None:
    """Until they end; what was over by then is not told at all, what is bad enough at once."""
    quiet = QuietHours(start="10:00", end="14:00")
    tower.outlet("chat")
    tower.rule(Rule(name="soft", on=("host.new",), group="each", quiet=quiet, calm_s=60, outlets=("chat",)))
    tower.rule(Rule(name="hard", on=("host.new",), severity="critical", quiet=quiet, outlets=("chat",)))
    tower.submit(host(A, tower.now, seen(22)))
    tower.look()
    found = {message.rule: at for message, _, at in tower.messages()}
    assert found == {"soft": NOON + 2 * HOUR, "hard": NOON}
    tower.wait(HOUR)
    tower.look(slow=True)
    assert {(message.rule, state) for message, state, _ in tower.messages()} == {
        ("soft", "dropped"),
        ("hard", "waiting"),
    }


def test_a_flood_makes_few_alerts(tower: Watchtower) -> None:
    """A scan of a whole network that was never seen is not a message a host."""
    tower.outlet("chat")
    tower.rule(Rule(name="hosts", on=("host.new",), group="each", outlets=("chat",)))
    tower.submit(*(host(f"10.0.{n >> 8}.{n & 255}", tower.now, seen(22)) for n in range(700)))
    tower.look()
    assert len(tower.alerts()) == len(tower.messages()) == 101
    assert tower.alerts()[-1].count == 600


def test_a_large_look_tells_the_same_as_many_small_ones(tower: Watchtower) -> None:
    """Whatever is looked at together: the same alerts name the same things in the same words."""
    changed = ("service.new", "service.changed")
    tower.rule(Rule(name="each", on=changed, group="each", query="port:443"))
    tower.rule(Rule(name="network", on=("host.new", "port.opened", "service.changed"), group="network"))
    tower.rule(Rule(name="nginx", on=("host.new", "port.opened"), query="product:nginx", threshold=2))
    tower.rule(Rule(name="hosts", on=("host.new",), group="network", query="-port:443"))

    def scan(prefix: str, first: int, version: str) -> None:
        product = "nginx" if first % 2 else "Apache"
        ips = [f"{prefix}.{n % 2}.{n}" for n in range(first, first + 3)]
        endpoints = seen(22, "ssh"), seen(443, "https", product, version, title=f"on {version}")
        tower.submit(*(host(ip, tower.now, *endpoints[n % 2 :]) for n, ip in enumerate(ips)))

    def told(prefix: str) -> list[str]:
        found = [alerts.get(tower.database, one.id) for one in tower.alerts("pending", "firing")]
        its = [
            (one.rule, one.key, one.state, one.title, one.count, sorted((s.key, s.title, s.path) for s in one.subjects))
            for one in found
            if prefix in one.key
        ]
        return sorted(repr(one).replace(prefix, "10.x") for one in its)

    for prefix, small in (("10.1", True), ("10.2", False)):
        for version in ("1.0", "1.1", "1.1"):
            for first in range(0, 36, 3):
                scan(prefix, first, version)
                if small:
                    tower.look()
            tower.wait(HOUR)
        tower.look()
    assert len(told("10.1")) > 30
    assert told("10.1") == told("10.2")


def test_things_are_left_out(tower: Watchtower) -> None:
    """Of alerts that there are, and of what comes; no longer once that is over."""
    tower.rule(Rule(name="hosts", on=("host.new", "port.opened"), group="host"))
    tower.submit(host(A, tower.now, seen(22)))
    tower.look()
    until = tower.now + DAY
    alertrules.mute(tower.database, Muting(ip=A, until=until, reason="a test machine"), tower.act)
    assert [alert.why for alert in tower.alerts("resolved")] == ["it is left out"]
    tower.wait(HOUR)
    tower.submit(host(A, tower.now, seen(22), seen(80)))
    tower.look()
    assert not tower.alerts()
    tower.wait(DAY)
    tower.submit(host(A, tower.now, seen(22), seen(80), seen(81)))
    tower.look()
    assert tower.titles() == [f"{A}:81 is open"]


def test_a_rule_that_fails_stops_no_other(tower: Watchtower) -> None:
    """Its trouble is told with it, until it can be looked at again."""
    tower.rule(Rule(name="broken", on=("host.new",)))
    tower.rule(Rule(name="sound", on=("host.new",)))
    with tower.database.connection() as connection:
        body = '{"name": "broken", "on": ["host.new"], "query": "nosuchfield:1"}'
        connection.execute("UPDATE alert_rule SET body = %s WHERE name = 'broken'", [body])
    tower.submit(host(A, tower.now, seen(22)))
    tower.look()
    assert [alert.rule for alert in tower.alerts()] == ["sound"]
    assert [bool(record.trouble) for record in alertrules.every(tower.database)] == [True, False]


def test_coordinators_take_turns(tower: Watchtower) -> None:
    """Several look at the same store at once: each thing is told by one of them."""
    tower.outlet("chat")
    tower.rule(Rule(name="hosts", on=("host.new",), group="each", outlets=("chat",)))
    others = [Alerting(tower.database, lambda: tower.now) for _ in range(3)]
    for number in range(12):
        tower.submit(host(f"192.0.2.{number}", tower.now, seen(22)))
    threads = [threading.Thread(target=one.look) for one in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tower.look()
    assert len(tower.alerts()) == len(tower.messages()) == 12


def test_the_thread_looks_when_it_is_woken(tower: Watchtower) -> None:
    """And stops when it is told to."""
    tower.rule(Rule(name="hosts", on=("host.new",)))
    tower.alerting.start()
    try:
        tower.submit(host(A, tower.now, seen(22)))
        tower.alerting.wake()
        eventually(lambda: tower.titles() == [f"New host {A} with 22 open"])
    finally:
        tower.alerting.stop()


def test_what_is_seen_at_the_same_instant_by_another_scan(tower: Watchtower) -> None:
    """Is as new as what is seen later."""
    tower.rule(Rule(name="all", on=("host.new", "port.opened"), query=f"ip:{A}"))
    tower.submit(host(A, NOON, seen(80, "http", "nginx")))
    tower.look()
    tower.wait()
    alerts.acknowledge(tower.database, [tower.alerts()[0].id], "", tower.act)
    tower.submit(host(A, NOON, seen(80, "http", "nginx"), seen(81, "http", "nginx")))
    tower.look()
    assert tower.alerts()[0].count == 3
