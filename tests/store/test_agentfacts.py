"""What agents ask of the store: what was seen when, and how the estate stands."""

from __future__ import annotations

from datetime import timedelta

import pytest

from spectra.model.observation import Certificate, Evidence, Silent, Swept
from spectra.store import agentfacts
from spectra.store.database import Database
from tests.store.scribe import T0, Scribe, host, seen

pytestmark = pytest.mark.engine

HOUR = timedelta(hours=1)
NOW = T0 + 10 * HOUR
SSH = 6 << 16 | 22


def test_what_was_seen_and_what_was_silent(database: Database, write: Scribe) -> None:
    """The newest first, with what each scan asked for; silence is told of hosts that are known."""
    swept = Swept("tcp", ((1, 1000),))
    write([swept, host("10.0.0.1", T0, seen(22), seen(80, state="closed"), rest="closed")], at=T0)
    write([swept, Silent("10.0.0.1", T0 + HOUR), Silent("10.0.0.9", T0 + HOUR)], at=T0 + HOUR)
    newer, older = agentfacts.seen(database, T0 - HOUR, NOW)
    assert (older.ip, older.at, older.ports) == ("10.0.0.1", T0, frozenset({SSH}))
    assert older.swept == ((6 << 16 | 1, 6 << 16 | 1000),)
    assert (newer.ip, newer.ports) == ("10.0.0.1", None)
    assert newer.scan != older.scan
    assert len(agentfacts.seen(database, T0 - HOUR, NOW, limit=1)) == 1
    assert agentfacts.seen(database, NOW, NOW + HOUR) == []
    assert agentfacts.hosts_among(database, ["10.0.0.1", "10.0.0.9"]) == {"10.0.0.1"}


def test_the_posture_of_an_estate(database: Database, write: Scribe) -> None:
    """Services in clear, to the Internet, certificates, what tools found, systems and ages; numbers beside lists."""
    old = Certificate("a" * 64, "old", not_before=T0 - 9000 * HOUR, not_after=T0 - HOUR, key="rsa 1024")
    anonymous = Evidence("nse:ftp-anon", "Anonymous FTP login allowed (FTP code 230)")
    ciphers = Evidence("nse:ssl-enum-ciphers", "TLSv1.0: \n  ciphers: ...")
    write(
        [
            host("10.0.0.1", T0, seen(23, "telnet"), seen(21, "ftp", evidence=[anonymous]), os="Windows XP SP3"),
            host(
                "93.184.216.34",
                T0,
                seen(80, "http"),
                seen(3306, "mysql"),
                seen(443, "https", certificate=old, evidence=[ciphers]),
            ),
            host("10.0.0.3", T0 - 60 * 24 * HOUR, seen(8080, "http")),
        ],
        at=T0,
    )
    found = agentfacts.posture(database, NOW)
    assert (found.hosts, found.endpoints, found.seen_lately, found.scans, found.last_scan) == (3, 6, 2, 1, T0)
    assert [place.record for place in found.clear.places] == ["endpoint:10.0.0.1/tcp/21", "endpoint:10.0.0.1/tcp/23"]
    assert found.web_in_clear.places[0].says == "93.184.216.34 80: http without TLS"
    assert [place.record for place in found.admin.places] == ["endpoint:93.184.216.34/tcp/3306"]
    assert (found.expired.number, found.weak_keys.number, found.expiring.number) == (1, 1, 0)
    assert (found.old_tls.number, found.defaults.number, found.obsolete.number, found.stale.number) == (1, 1, 1, 1)
    assert found.obsolete.places[0].says == "10.0.0.1: Windows XP SP3"
    assert [account.name for account in found.accounts] == ["alice"]
    assert (found.sources, found.chain) == ((), "")


def test_an_empty_store_has_an_empty_posture(database: Database) -> None:
    """Nothing is made up."""
    found = agentfacts.posture(database, NOW)
    assert (found.hosts, found.clear, found.accounts, found.last_scan) == (0, agentfacts.Told(0), (), None)
