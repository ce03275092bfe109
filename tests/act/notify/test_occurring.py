"""Things that rules watch for: a line about each in plain text, and where the dashboard shows it."""

from __future__ import annotations

from collections.abc import Iterable

from spectra.act.notify import occurring
from spectra.model.alerts import Kind, Occurrence
from spectra.store.alertchain import Act
from spectra.store.alertfound import Weakness
from spectra.store.alertseen import Brief, Change
from spectra.store.alerttimes import Ended, Expiring, Gone, Lost, Refusal, Stale
from tests.act.notify.alertsamples import NOON

HOSTILE = "x\n\x1b[2J<script>"


def change(**said: object) -> Change:
    """A port that opened with a service."""
    one = Change("192.0.2.1", 80, 6, NOON, ("port.opened", "service.new"), Brief("http", "nginx", "1.0"), Brief())
    return one._replace(**said)  # type: ignore[arg-type]  # fields of it


def told(found: Iterable[Change], *kinds: Kind) -> list[Occurrence]:
    """What is told of changes."""
    return [thing for one in found for thing in occurring.worded(occurring.of_changes([one], kinds), [one], {})]


def test_a_port_that_opened_is_told_once() -> None:
    """With what runs there; where only services are watched for, as a service."""
    both = told([change()], "port.opened", "service.new")
    assert [(one.kind, one.title, one.path) for one in both] == [
        ("port.opened", "192.0.2.1:80 is open: nginx 1.0", "/hosts/192.0.2.1/80/tcp")
    ]
    assert [one.title for one in told([change()], "service.new")] == ["192.0.2.1:80 runs nginx 1.0"]
    assert told([change()], "service.changed") == []


def test_changes_say_both_sides() -> None:
    """Versions, titles, certificates; addresses with colons in brackets, other protocols by name."""
    before = Brief("http", "nginx", "0.9")
    found = [
        change(kinds=("service.changed",), before=before),
        change(kinds=("service.changed",), after=Brief("http", title="new"), before=Brief("http", title="old")),
        change(kinds=("certificate.changed",), after=Brief(certificate="ab", subject=HOSTILE), ip="2001:db8::1"),
        change(kinds=("port.opened",), number=17, after=Brief()),
    ]
    titles = [one.title for one in told(found, "service.changed", "certificate.changed", "port.opened")]
    assert titles == [
        "192.0.2.1:80 runs nginx 1.0 instead of nginx 0.9",
        "192.0.2.1:80 is called new instead of old",
        "[2001:db8::1]:80 shows another certificate (x ?[2J<script>)",
        "192.0.2.1:80/udp is open",
    ]


def test_new_hosts_name_their_ports() -> None:
    """At most ten of them."""
    new = occurring.of_hosts([("192.0.2.1", NOON), ("192.0.2.2", NOON)])
    titles = [one.title for one in occurring.worded(new, (), {"192.0.2.1": range(12, 0, -1)})]
    assert titles == [
        "New host 192.0.2.1 with 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 open and more",
        "New host 192.0.2.2",
    ]
    assert occurring.endpoints_of([change()]) == (("192.0.2.1", 80, 6),)


def test_what_has_words_keeps_them() -> None:
    """Among things that get some."""
    known = Occurrence(kind="worker.lost", at=NOON, name="edge", title="It is lost", path="/nodes/edge")
    assert occurring.worded([known, *occurring.of_hosts([("192.0.2.1", NOON)])], (), {})[0] is known


def test_the_others() -> None:
    """Whatever is in them is one plain line, and each has a path of ours."""
    weak = Weakness("192.0.2.1", 80, 6, "CVE-2024-1", "high", 9.8, NOON.date(), HOSTILE, "nginx", "1.0", NOON)
    found = [
        *occurring.of_weaknesses([weak], "kev.match"),
        *occurring.of_expiring([Expiring("192.0.2.1", 443, 6, "ab", HOSTILE, NOON)], NOON),
        *occurring.of_gone([Gone("192.0.2.1", NOON, NOON)]),
        *occurring.of_lost([Lost("edge", None)], NOON),
        *occurring.of_stale([Stale("kev", NOON, HOSTILE)], NOON),
        *occurring.of_refusals([Refusal("replay", HOSTILE, "", NOON, 3)]),
        *occurring.of_ended([Ended("job-1", "net", False, NOON, 7), Ended("job-2", "net", True, NOON, 0)]),
        *occurring.of_acts([Act("session.begun", "s", NOON, {"account": "bob", "source": HOSTILE})]),
        *occurring.of_acts([Act("signin.refused", "s", NOON, {"account": "", "count": 5})]),
    ]
    assert all(one.title.isprintable() and one.path.startswith("/") for one in found)
    assert found[0].path == "/findings/192.0.2.1~80~tcp~CVE-2024-1"
    assert "known to be exploited" in found[0].title
    assert len({one.key for one in found}) == len(found) == 10
