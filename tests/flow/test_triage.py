"""What a request means by findings to decide about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from spectra.errors import BadRequest, NotFound
from spectra.flow import triage
from spectra.model.triage import Target
from spectra.store.database import Database
from spectra.store.findingask import Filters
from tests.store.scribe import T0, Scribe, host, seen
from tests.store.weak import Weak

pytestmark = pytest.mark.engine

CVE, OTHER = "CVE-2024-0001", "CVE-2024-0002"
NOW = T0 + timedelta(days=9)
IPS = [f"10.0.0.{n}" for n in range(1, 6)]


@pytest.fixture
def known(database: Database) -> Database:
    """Five hosts with two endpoints each that have a weakness of two."""
    write, weak = Scribe(database), Weak(database)
    write([host(ip, T0, seen(22, "ssh", "OpenSSH", "9.2"), seen(2222, "ssh", "OpenSSH", "9.2")) for ip in IPS])
    weak.affected(weak.software("OpenSSH", "9.2"), weak.vuln(CVE))
    weak.vuln(OTHER)
    return database


def test_ids(known: Database) -> None:
    """Of findings, each once and in their order; of what is wider where the scope is."""
    ids = [f"{ip}~{port}~tcp~{CVE}" for ip in IPS[:2] for port in (22, 2222)]
    assert triage.named(known, [*ids, ids[0]], "endpoint", "") == [
        Target(CVE, ip, port, "tcp") for ip in IPS[:2] for port in (22, 2222)
    ]
    assert triage.named(known, ids, "host", "") == [Target(CVE, ip) for ip in IPS[:2]]
    assert triage.named(known, [f"{IPS[0]}~{OTHER}", ids[2]], "host", "") == [
        Target(OTHER, IPS[0]),
        Target(CVE, IPS[1]),
    ]
    (named,) = triage.named(known, [CVE], "everywhere", "cpe:2.3:a:openbsd:openssh")
    assert named == Target(CVE, cpe="cpe:2.3:a:openbsd:openssh:*:*:*:*:*:*:*:*")


def test_ids_of_nothing(known: Database) -> None:
    """What never was a finding, is no CVE that is known or no id."""
    for text, scope in ((f"{IPS[0]}~22~tcp~{OTHER}", "endpoint"), ("CVE-2024-0009", "everywhere")):
        with pytest.raises(NotFound):
            triage.named(known, [text], scope, "")  # type: ignore[arg-type]
    with pytest.raises(BadRequest):
        triage.named(known, ["x"], "everywhere", "")


def test_a_question(known: Database) -> None:
    """Selects endpoints that have the CVE, or their hosts, also where something was decided about them."""
    Weak(known).triage(CVE, "fixed", IPS[0], 22)
    found = triage.asked(known, "net:10.0.0.0/30 port:22", CVE.lower(), "endpoint", "", NOW)
    assert sorted(found) == [Target(CVE, ip, 22, "tcp") for ip in IPS[:3]]
    assert sorted(triage.asked(known, "", CVE, "host", "", NOW)) == [Target(CVE, ip) for ip in IPS]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"scope": "everywhere"}, "scope"),
        ({"cve": "x"}, "cve"),
        ({"cve": ""}, "cve"),
        ({"q": "colour:"}, "q"),
        ({"cpe": "openssh"}, "cpe"),
        ({"cpe": "cpe:2.3:a:openbsd:openssh:9.*"}, "cpe"),
    ],
)
def test_slips_of_a_question(known: Database, given: dict[str, Any], field: str) -> None:
    """Are named."""
    asked: dict[str, Any] = {"q": "", "cve": CVE, "scope": "endpoint", "cpe": "", "now": NOW} | given
    with pytest.raises(BadRequest) as caught:
        triage.asked(known, **asked)
    assert caught.value.field == field


def test_too_many(known: Database) -> None:
    """Is said, and not answered in part; nothing at all too."""
    with pytest.raises(BadRequest) as caught:
        triage.walk(known, Filters(), NOW, most=9)
    assert (caught.value.reason, caught.value.field) == ("too_many", "q")
    assert len(triage.walk(known, Filters(), NOW, most=10)) == 10
    with pytest.raises(NotFound):
        triage.asked(known, "port:80", CVE, "endpoint", "", NOW)


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("", None),
        ("  ", None),
        ("90d", NOW + timedelta(days=90)),
        ("2027-03-01", datetime(2027, 3, 1, tzinfo=UTC)),
        ("2027-03-01T12:00:00+02:00", datetime(2027, 3, 1, 10, tzinfo=UTC)),
    ],
)
def test_until(text: str, end: datetime | None) -> None:
    """A span from now, a date or a time."""
    assert triage.until(text, NOW) == end


@pytest.mark.parametrize(
    "text", ["soon", "2001-01-01", "now", "yesterday", "99999y", "9999-12-31T23:59:59-12:00", "9500"]
)
def test_until_has_to_be_ahead(text: str) -> None:
    """And a time that can be stored."""
    with pytest.raises(BadRequest) as caught:
        triage.until(text, NOW)
    assert caught.value.field == "until"
