"""Weaknesses of services, written by SQL, and a naive model of the findings that are left after what was decided."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from spectra.store.database import Connection
from spectra.store.timeline import PROTOCOL_NUMBER

NOW = datetime.now(UTC)


class Flaw(NamedTuple):
    """What a CVE is, as far as a query can ask."""

    cve: str
    severity: str = ""
    cvss: float | None = None
    epss: float | None = None
    kev: bool = False
    rejected: bool = False


FLAWS = (
    Flaw("CVE-2024-6387", "high", 8.1, 0.6),
    Flaw("CVE-2024-63870", "medium", 5.0, 0.00042),
    Flaw("CVE-2023-1000", "critical", 9.8, 0.95, kev=True),
    Flaw("CVE-2021-44228", "critical", 10.0, 1.0, kev=True),
    Flaw("CVE-1999-0001", "low", 2.1),
    Flaw("CVE-2020-9999"),
    Flaw("CVE-2022-1111", "none", 0.0, 0.0),
    Flaw("CVE-2019-5555", "critical", 9.8, 0.9, kev=True, rejected=True),
)
NAMES = (
    ("cpe:2.3:a:openbsd:openssh:8.9:p1:*:*:*:*:*:*", "cpe:2.3:a:sun:ssh:8.9:*:*:*:*:*:*:*"),
    ("cpe:2.3:a:openbsd:openssh:9.2:*:*:*:*:*:*:*",),
    ("cpe:2.3:a:f5:nginx:1.2:*:*:*:*:*:*:*",),
    ("cpe:2.3:a:apache:http_server:2.4:*:*:*:*:*:*:*",),
)
"""The CPE names of each software; its number is the place here, and one more in the database."""


class Told(NamedTuple):
    """That a flaw (by its place in `FLAWS`) concerns a software by one of its names; `over`: it was taken back."""

    software: int
    flaw: int
    name: int = 0
    over: bool = False


class Decision(NamedTuple):
    """A row of triage. `stands`: it was neither removed nor has its time run out; `order`: which one is newer."""

    cve: str
    status: str
    ip: str | None = None
    port: int | None = None
    protocol: str | None = None
    cpe: str = ""
    removed: bool = False
    ended: bool = False
    order: int = 0


Spot = tuple[str, int, str]
"""An endpoint: ip, port, protocol."""


def known(connection: Connection, chance: random.Random) -> None:
    """The flaws and the software there are; most services are one of them."""
    for flaw in FLAWS:
        _, year, number = flaw.cve.split("-")
        connection.execute(
            """INSERT INTO vuln (cve, sort, status, severity, cvss, epss, kev, changed)
               VALUES (%s, %s, %s, %s, %s, %s, %s, %s)""",
            [flaw.cve, int(year) * 10**9 + int(number), "rejected" if flaw.rejected else "", flaw.severity, flaw.cvss,
             flaw.epss, date(2024, 1, 1) if flaw.kev else None, NOW],
        )  # fmt: skip
    for number, names in enumerate(NAMES):
        body = {"identities": [{"cpe": cpe, "confidence": 0.9, "how": "told"} for cpe in names]}
        connection.execute(
            "INSERT INTO software (fingerprint, body) VALUES (md5(%s)::uuid, %s)", [str(number), json.dumps(body)]
        )
    for (service,) in connection.execute("SELECT id FROM service ORDER BY id").fetchall():
        software = chance.choice([*range(len(NAMES)), None])
        number = None if software is None else software + 1
        connection.execute("UPDATE service SET software = %s WHERE id = %s", [number, service])


def tell(connection: Connection, told: Iterable[Told], decided: Iterable[Decision] = ()) -> None:
    """What is affected, and what was decided, in place of all that was."""
    connection.execute("DELETE FROM affected")
    connection.execute("DELETE FROM triage")
    for one in {(t.software, t.flaw, t.over): t for t in told}.values():
        connection.execute(
            """INSERT INTO affected (software, vuln, since, until, reason, confidence, identity)
               SELECT %s, num, %s, %s, 1, 0.9, %s FROM vuln WHERE cve = %s""",
            [one.software + 1, NOW - timedelta(days=9), NOW if one.over else None, _name(one), FLAWS[one.flaw].cve],
        )
    for number, one in enumerate(decided):
        connection.execute(
            """INSERT INTO triage (id, cve, ip, port, protocol, cpe, status, until, at, by, removed)
               VALUES (md5(%s)::uuid, %s, %s, %s, %s, %s, %s, %s, %s, 'me', %s)""",
            [str(number), one.cve, one.ip, one.port, PROTOCOL_NUMBER[one.protocol] if one.protocol else None, one.cpe,
             one.status, NOW + timedelta(days=-1 if one.ended else 1), _at(one, number), NOW if one.removed else None],
        )  # fmt: skip


def _name(one: Told) -> int:
    return min(one.name, len(NAMES[one.software]) - 1)


def _at(one: Decision, number: int) -> datetime:
    return NOW - timedelta(days=5) + timedelta(hours=one.order, seconds=number)


def software_of(connection: Connection) -> dict[Spot, int]:
    """What runs at each endpoint, by its place in `NAMES`."""
    rows = connection.execute(
        """SELECT host(e.ip), e.port, e.protocol, s.software - 1 FROM endpoint e JOIN service s ON s.id = e.service
           WHERE s.software IS NOT NULL"""
    )
    names = {number: name for name, number in PROTOCOL_NUMBER.items()}
    return {(ip, port, names[protocol]): software for ip, port, protocol, software in rows}


def findings(
    spot: Spot, software: int | None, told: Iterable[Told], decided: Sequence[Decision], *, anywhere: bool = False
) -> list[Flaw]:
    """The findings of an endpoint; `anywhere`: without what was decided for hosts and endpoints."""
    found: list[Flaw] = []
    for one in {(t.software, t.flaw, t.over): t for t in told}.values():
        flaw = FLAWS[one.flaw]
        if software is None or one.software != software or one.over or flaw.rejected:
            continue
        cpe = NAMES[software][_name(one)]
        about = [
            (d, n)
            for n, d in enumerate(decided)
            if _is_about(d, spot, flaw.cve, cpe) and not (anywhere and d.ip is not None)
        ]
        best = min(about, key=lambda dn: (dn[0].port is None, dn[0].ip is None, dn[0].cpe == "", -dn[0].order, -dn[1]),
                   default=None)  # fmt: skip
        if best is None or best[0].status in ("investigating", "affected"):
            found.append(flaw)
    return found


def _is_about(one: Decision, spot: Spot, cve: str, cpe: str) -> bool:
    if one.removed or one.ended or one.cve != cve:
        return False
    if one.ip not in (None, spot[0]) or (one.port is not None and (one.port, one.protocol) != spot[1:]):
        return False
    parts = zip(one.cpe.split(":"), cpe.split(":"), strict=False)
    return one.cpe == "" or all(asked in ("*", has) for asked, has in parts)
