"""Checks: bad, good or unknown, with their evidence; nothing is good of which nothing was seen."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from spectra.ai.agents.checks import CHECKS, Check, Estate
from spectra.store.agentfacts import Account, Place, Posture, Source, Told
from tests.ai.agents.test_cve_triage import finding

NOW = datetime(2027, 1, 1, tzinfo=UTC)
NOTHING = Told(0)
SOME = Told(1, (Place("endpoint:10.0.0.7/tcp/23", "10.0.0.7 23: telnet in clear"),))


def estate(findings: Any = (), providers: Any = None, **said: Any) -> Estate:
    """One that was scanned yesterday, and of which nothing is bad."""
    lists = ("stale", "clear", "web_in_clear", "admin", "expired", "expiring", "weak_keys", "old_tls", "defaults")
    fields: dict[str, Any] = {
        **dict.fromkeys((*lists, "obsolete"), NOTHING),
        "hosts": 10,
        "endpoints": 40,
        "seen_lately": 10,
        "scans": 30,
        "last_scan": NOW - timedelta(days=1),
        "schedules": 1,
        "sources": (Source("nvd", NOW - timedelta(days=1), ""),),
        "accounts": (Account("alice", "admin", NOW - timedelta(days=9), False, 1, NOW - timedelta(days=9), NOW),),
        "nodes": 1,
        "attested": 0,
        "decisions": 2,
        "entries": 100,
        "chain": "",
    }
    return Estate(Posture(**(fields | said)), findings, providers or {}, NOW)


def check(name: str, of: Estate) -> Check:
    """One of them."""
    return CHECKS[name](of)


BAD: list[tuple[str, dict[str, Any]]] = [
    ("clear_protocols", {"clear": SOME}),
    ("web_in_clear", {"web_in_clear": SOME}),
    ("admin_services", {"admin": SOME}),
    ("databases", {"admin": Told(1, (Place("endpoint:93.184.216.34/tcp/6379", "redis"),))}),
    ("mail_in_clear", {"clear": Told(1, (Place("endpoint:10.0.0.7/tcp/110", "10.0.0.7 110: pop3 in clear"),))}),
    ("certificates", {"expired": SOME}),
    ("certificates", {"weak_keys": SOME}),
    ("old_tls", {"old_tls": SOME}),
    ("default_credentials", {"defaults": SOME}),
    ("obsolete_systems", {"obsolete": SOME}),
    ("inventory", {"seen_lately": 3}),
    ("known_exploited", {"findings": [finding(kev=date(2024, 7, 1))]}),
    ("late_repairs", {"findings": [finding(severity="high")]}),
    ("audit_log", {"chain": "entry 3 does not hold"}),
    ("regular_scans", {"scans": 1}),
    ("vulnerability_feeds", {"sources": ()}),
    ("vulnerability_feeds", {"sources": (Source("nvd", NOW - timedelta(days=60), ""),)}),
    ("provider_residency", {"providers": {"openai": "elsewhere"}}),
    ("passwords_alone", {"accounts": (Account("bob", "admin", NOW, True, 0, None, NOW),)}),
    ("idle_accounts", {"accounts": (Account("bob", "user", NOW - timedelta(days=200), True, 0, None, None),)}),
    ("privileged_accounts", {"accounts": tuple(Account(f"a{n}", "admin", NOW, True, 1, NOW, NOW) for n in range(9))}),
]


@pytest.mark.parametrize(("name", "said"), BAD)
def test_what_is_bad_is_told_with_evidence(name: str, said: dict[str, Any]) -> None:
    """Each check, by what speaks against it; without that it is not bad."""
    assert check(name, estate()).status != "bad"
    found = check(name, estate(**said))
    assert found.status == "bad"
    assert found.says.endswith(".")
    assert found.evidence or name in ("audit_log", "regular_scans", "vulnerability_feeds")


def test_every_check_can_be_bad_or_is_about_what_nobody_sees() -> None:
    """Backups and decisions are unknown whatever is seen."""
    assert CHECKS.keys() - {name for name, _ in BAD} == {"backups", "decisions"}
    assert {check(name, estate()).status for name in ("backups", "decisions")} == {"unknown"}


def test_of_what_nothing_was_seen_nothing_is_good() -> None:
    """An estate that was never scanned, without feeds."""
    empty = estate(hosts=0, endpoints=0, seen_lately=0, scans=0, last_scan=None, sources=(), accounts=())
    good = {name for name in CHECKS if check(name, empty).status == "good"}
    assert good == {"audit_log", "provider_residency"}
