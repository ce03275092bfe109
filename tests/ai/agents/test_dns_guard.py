"""DNS Guard on logs of a real dnsmasq: ordinary names are no alarm, tunnels and generated names are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from spectra.ai.agents import dns_guard
from spectra.model.insights import Insight
from tests.ai.agents import families
from tests.ai.agents.resolver import ask, dnsmasq
from tests.ai.agents.test_names import ORDINARY

NOW = datetime(2027, 1, 2, tzinfo=UTC)
T0 = datetime(2027, 1, 1, 10, tzinfo=UTC)


def found(raw: bytes, now: datetime = NOW) -> list[Insight]:
    """What is concluded."""
    return dns_guard.run(raw, now)[0]


def log(lines: list[tuple[datetime, str, str, str]]) -> bytes:
    """A log of dnsmasq: when, client, name and answer (empty: none is told)."""
    text: list[str] = []
    for at, client, name, answer in lines:
        head = f"{at:%b %e %H:%M:%S} dnsmasq[1]: "
        text.append(f"{head}query[A] {name} from {client}")
        if answer:
            text.append(f"{head}reply {name} is {answer}")
    return "\n".join(text).encode()


def visited(shared: Path) -> Iterator[str]:
    """The hosts that real browsing sessions (HAR files) name, in order, as often as they do."""
    for path in sorted((shared / "traffic").glob("*har_files*")):
        for host in re.findall(r"https?://([A-Za-z0-9.-]+)", path.read_text("utf-8-sig")):
            yield host.lower()


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> dict[str, bytes]:
    """What a real dnsmasq logs: of ordinary names, of which one in twelve does not exist, and of each kind of evil."""
    folder = tmp_path_factory.mktemp("dns")
    sites = [f"www.{name}.com" for name in ORDINARY[:400]]
    hosts = [host for host in visited(shared_data) if not host.replace(".", "").isdigit()]
    known = {name: f"93.184.{at // 250}.{at % 250 + 1}" for at, name in enumerate([*sites, *hosts]) if at % 12}
    asked = {
        "ordinary": [(name, kind) for name in [*sites, *hosts * 3] for kind in ("A", "AAAA")],
        "hex": [(name, "TXT") for name in families.tunnel("t.example.net", 120, style="hex")],
        "base32": [(name, "NULL") for name in families.tunnel("t.example.net", 250, style="base32")],
        **{
            kind: [(f"{name}.com", "A") for name in getattr(families, kind)(40)]
            for kind in ("letters", "longer", "digits", "hashes", "words")
        },
    }
    told: dict[str, bytes] = {}
    with dnsmasq(folder, known) as (port, path):
        done = 0
        for kind, names in asked.items():
            ask(port, names)
            raw = path.read_bytes()
            told[kind], done = raw[done:], len(raw)
    return told


def test_ordinary_names_are_no_alarm(logs: dict[str, bytes]) -> None:
    """400 real domains, one in twelve gone, and the hosts of real browsing sessions."""
    insights, read = dns_guard.run(logs["ordinary"], datetime.now(UTC))
    assert len(read.entries) > 900
    assert sum(q.rcode == "NXDOMAIN" for q in read.entries) > 50
    assert insights == []


@pytest.mark.parametrize(("style", "severity"), [("hex", "high"), ("base32", "high")])
def test_tunnels_are_found(logs: dict[str, bytes], style: str, severity: str) -> None:
    """As dnscat2 and dns2tcp make them; beside ordinary traffic too, and once."""
    (one,) = [one for one in found(logs["ordinary"] + logs[style], datetime.now(UTC)) if one.kind == "dns_tunnel"]
    assert (one.severity, one.subjects) == (severity, ("host:127.0.0.1", "name:example.net"))
    assert {f.name for f in one.features} >= {"names", "new", "length", "entropy", "bytes"}
    assert one.evidence[0].line > 0
    assert one.label == "LOCAL_ONLY"


@pytest.mark.parametrize("family", ["letters", "longer", "digits", "hashes"])
def test_generated_names_are_found(logs: dict[str, bytes], family: str) -> None:
    """Four families, each of forty names."""
    (one,) = [one for one in found(logs[family], datetime.now(UTC)) if one.kind == "generated_names"]
    assert (one.severity, one.subjects) == ("high", ("host:127.0.0.1",))


def test_generated_words_are_found_by_their_number(logs: dict[str, bytes]) -> None:
    """Their letters are as people choose them, so this takes more of them, and says less."""
    kinds = [one.kind for one in found(logs["words"], datetime.now(UTC))]
    assert kinds in (["missing_names"], [])  # as many distinct ones as the generator made
    many = log(
        [(T0 + timedelta(seconds=n), "10.0.0.5", f"{name}{n}.com", "NXDOMAIN") for n, name in enumerate(ORDINARY[:60])]
    )
    (one,) = [one for one in found(many) if one.kind in ("missing_names", "generated_names")]
    assert one.severity in ("medium", "high")


def test_a_flood_of_random_names_is_one_insight() -> None:
    """Of many clients, against one domain; names of the resolver's own are none."""
    lines = [
        (T0 + timedelta(seconds=n), f"10.0.0.{n % 9 + 1}", f"{name}.victim.example", "NXDOMAIN")
        for n, name in enumerate(families.letters(200))
    ]
    (one,) = [one for one in found(log(lines)) if one.kind == "random_names"]
    assert one.subjects[0] == "name:victim.example"
    assert len(one.subjects) == 10
    assert not found(log([(at, client, name.replace("example", "lan"), answer) for at, client, name, answer in lines]))


def test_answers_that_point_inside() -> None:
    """High where the name leads outside at other times, as in DNS rebinding; low where it does not; a blocker's null
    address and a local name are neither.
    """
    at = T0
    lines = [(at, "10.0.0.5", "rebind.example", "93.184.216.34"), (at, "10.0.0.5", "rebind.example", "10.0.0.1")]
    lines += [(at, "10.0.0.5", "split.example", "10.0.0.8"), (at, "10.0.0.5", "nas.lan", "10.0.0.9")]
    lines += [(at, "10.0.0.5", "ads.example", "0.0.0.0")]
    assert {(one.subjects[0], one.severity) for one in found(log(lines))} == {
        ("name:rebind.example", "high"),
        ("name:split.example", "low"),
    }


def test_steady_calls() -> None:
    """By the clock, for hours, by one client: told. With the gaps of a person, of many clients, or of NTP: not."""
    beats = [T0 + timedelta(seconds=600 * n) for n in range(30)]
    steady = [(at, "10.0.0.5", "c2.example", "") for at in beats]
    (one,) = found(log(steady))
    assert (one.kind, one.severity) == ("steady_call", "low")
    assert not found(log([(at, "10.0.0.5", "0.pool.ntp.org", "") for at in beats]))
    assert not found(log([(at, f"10.0.0.{n}", "c2.example", "") for at in beats for n in range(1, 5)]))
    uneven = [(T0 + timedelta(seconds=600 * n + n * n * 37 % 300), "10.0.0.5", "c2.example", "") for n in range(30)]
    assert not found(log(uneven))


def test_reputation_lookups_are_no_tunnels() -> None:
    """Each is a new, long name by design."""
    names = families.tunnel("avqs.mcafee.com", 100, style="hex")
    assert not found(log([(T0 + timedelta(seconds=n), "10.0.0.5", name, "127.0.0.1") for n, name in enumerate(names)]))
