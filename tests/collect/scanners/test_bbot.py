"""`bbot`: the orders it is given, what is kept of what it tells, and a real run against servers on loopback."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from spectra.collect.scanners.base import NotInstalled, Progress, RawOutput, ScanFailed, ScanRequest
from spectra.collect.scanners.bbot import BbotScanner, kept, preset
from spectra.collect.scope import OutOfScope, Scope
from spectra.errors import BadRequest
from spectra.model.envelope import Privacy
from spectra.model.presets import BbotOptions
from tests.collect.scanners.conftest import LOOPBACK, answers, ignore, page, permit, request, serve
from tests.collect.scanners.ground import open_ports, read

OWN = Path(__file__).parents[3] / ".tools" / "bbot" / "bin"
WEB = BbotOptions(modules=("http", "robots", "sslcert"))


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """BBOT on the PATH, from `scripts/install_bbot.py` if need be."""
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:{OWN}")
    if not BbotScanner().available():
        pytest.skip("BBOT is not installed (scripts/install_bbot.py)")


def asked(ports: str, *words: str, **changes: Any) -> ScanRequest:
    """A request that tells BBOT what to run."""
    changes.setdefault("bbot", WEB)
    return request(ports, *words, **changes)


def events(*told: dict[str, Any]) -> bytes:
    """What BBOT would write."""
    return b"".join(msgspec.json.encode(one) + b"\n" for one in told)


def test_the_orders_hold_the_law_and_the_bounds() -> None:
    """Targets by name where there is one; what is forbidden on the blacklist; nothing is installed or spidered."""
    scope = permit("198.18.0.0/24")
    scope = Scope(allow=[*LOOPBACK, "198.18.0.0/24"], do_not_scan=["198.18.0.66", "*.secret.example"], consents=())
    orders = preset(
        asked("80,8080-8081", "198.18.0.1", "198.18.0.4/31", names={"198.18.0.1": ("www.example",)}, scope=scope)
    )
    assert orders["target"] == ["www.example", "198.18.0.4", "198.18.0.5"]
    assert {"198.18.0.66/32", "10.0.0.0/8", "secret.example"} <= set(orders["blacklist"])
    assert "127.0.0.0/8" not in orders["blacklist"]
    config = orders["config"]
    assert config["deps"] == {"behavior": "disable"}
    assert config["scope"]["strict"]
    assert config["dns"]["minimal"]
    assert config["web"]["http_rate_limit"] == 1000
    assert config["modules"]["speculate"]["ports"] == "80,8080-8081"
    assert orders["modules"] == WEB.modules
    assert preset(asked("80", "198.18.0.0/30"))["target"] == ["198.18.0.0/30"]


def test_it_has_to_be_told_what_to_run() -> None:
    """Without modules, flags or presets, and for UDP ports alone, it is refused; the law comes before that."""
    with pytest.raises(BadRequest, match="presets, flags or modules"):
        asyncio.run(BbotScanner().scan(request("80"), ignore))
    with pytest.raises(BadRequest, match="TCP ports only"):
        asyncio.run(BbotScanner().scan(asked("U:53"), ignore))
    with pytest.raises(OutOfScope):
        asyncio.run(BbotScanner().scan(asked("80", scope=Scope()), ignore))


def test_absence_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without BBOT on the PATH, or with one that has no environment of its own, it is unavailable."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not BbotScanner().available()
    (tmp_path / "bbot").write_text("#!/bin/sh\n")
    (tmp_path / "bbot").chmod(0o755)
    assert not BbotScanner().available()
    with pytest.raises(NotInstalled, match="pipx install bbot"):
        asyncio.run(BbotScanner().scan(asked("80"), ignore))


@pytest.mark.parametrize(("said", "there"), [("3.0.2", True), ("12.1.0rc1", True), ("2.7.1", False), ("oops", False)])
def test_old_versions_are_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str, there: bool) -> None:
    """BBOT is asked for its version without being started; before 3 its options were others."""
    for name in ("bbot", "python"):
        (tmp_path / name).write_text(f"#!/bin/sh\necho {said}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert BbotScanner().available() is there


def hosts(data: Iterator[bytes]) -> list[tuple[str, list[str]]]:
    """Host and addresses of what was kept."""
    decoded = [msgspec.json.decode(line, type=dict[str, Any]) for line in data]
    return [(one.get("host", one["type"]), one.get("resolved_hosts", [])) for one in decoded]


def test_strictly_only_the_targets_are_told_of() -> None:
    """Other hosts, and other addresses of a target's name, are left out; broken lines and what has no host, too."""
    told = events(
        {"type": "SCAN"},
        {"type": "DNS_NAME", "host": "WWW.example", "resolved_hosts": ["127.0.0.1", "198.18.0.9"]},
        {"type": "URL", "host": "127.0.0.2", "resolved_hosts": ["127.0.0.2"]},
        {"type": "DNS_NAME", "host": "mail.example", "resolved_hosts": ["127.0.0.1"]},
        {"type": "DNS_NAME", "host": "www.example", "resolved_hosts": ["198.18.0.9"]},
        {"type": "ORG_STUB"},
    )
    names = {"127.0.0.1": ("www.example",)}
    assert hosts(kept(told + b"broken\n", asked("80", names=names))) == [
        ("SCAN", []),
        ("WWW.example", ["127.0.0.1"]),
    ]


def test_what_the_law_forbids_is_never_told_of() -> None:
    """Not strict: what was found besides the targets is kept, unless it is forbidden by number or by name."""
    told = events(
        {"type": "DNS_NAME", "host": "mail.example", "resolved_hosts": ["192.0.9.1", "10.0.0.1"]},
        {"type": "DNS_NAME", "host": "inside.example", "resolved_hosts": ["10.0.0.1"]},
        {"type": "DNS_NAME", "host": "a.secret.example", "resolved_hosts": ["192.0.9.2"]},
        {"type": "DNS_NAME_UNRESOLVED", "host": "gone.example"},
        {"type": "IP_ADDRESS", "host": "10.0.0.1"},
    )
    scope = Scope(do_not_scan=["*.secret.example"])
    loose = BbotOptions(flags=("subdomain-enum",), strict=False)
    assert hosts(kept(told, asked("80", scope=scope, bbot=loose))) == [
        ("mail.example", ["192.0.9.1"]),
        ("gone.example", []),
    ]


def test_the_do_not_scan_list_is_not_told() -> None:
    """BBOT repeats its orders; whoever may read an original need not know what must not be scanned."""
    target = {"target": ["127.0.0.1"], "blacklist": ["198.18.0.66", "secret.example"]}
    told = events({"type": "SCAN", "data_json": {"started_at": 1.5, "target": target, "preset": {"blacklist": ["x"]}}})
    (line,) = kept(told, asked("80"))
    assert msgspec.json.decode(line) == {
        "type": "SCAN",
        "data_json": {"started_at": 1.5, "target": {"target": ["127.0.0.1"]}},
    }


def test_meta_only_keeps_no_words() -> None:
    """Only where something is, nothing that a service said."""
    told = events(
        {"type": "OPEN_TCP_PORT", "host": "127.0.0.1", "port": 80},
        {"type": "HTTP_RESPONSE", "host": "127.0.0.1", "port": 80, "data_json": {"title": "private"}},
        {"type": "FINDING", "host": "127.0.0.1"},
    )
    assert [msgspec.json.decode(line)["type"] for line in kept(told, asked("80", privacy=Privacy.META_ONLY))] == [
        "OPEN_TCP_PORT"
    ]


@pytest.mark.usefixtures("installed")
def test_a_real_run_asks_loopback_and_nobody_else() -> None:
    """A web server on one of two ports, as the gate reads what BBOT wrote."""
    seen: list[Progress] = []

    async def main() -> tuple[int, RawOutput]:
        async with serve(answers({b"GET": page("Intranet"), b"HEAD": page("Intranet")})) as port:
            scan = asked(f"{port},9", timeout_s=3, deadline_s=120.0)
            return port, await BbotScanner().scan(scan, seen.append)

    port, raw = asyncio.run(main())
    name, found = read(raw)
    assert name == "bbot-ndjson"
    assert list(found) == ["127.0.0.1"]
    assert open_ports(found["127.0.0.1"]) == {port}
    (endpoint,) = found["127.0.0.1"].endpoints
    assert endpoint.service is not None
    assert endpoint.service.name == "http"
    assert endpoint.banner is not None
    assert endpoint.banner.title == "Intranet"
    assert (raw.tool, raw.stopped, raw.notes) == ("bbot", False, ())
    assert raw.tool_version
    assert seen


@pytest.mark.usefixtures("installed")
def test_a_module_that_does_not_exist_is_told() -> None:
    """BBOT ends with nothing done and code 0: its own words say why."""
    with pytest.raises(ScanFailed, match="no_such_module"):
        asyncio.run(BbotScanner().scan(asked("80", bbot=BbotOptions(modules=("no_such_module",))), ignore))
