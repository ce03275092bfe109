"""Weaknesses and what is affected by them, put into the tables as feeds and the evaluation of services leave them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple

import msgspec

from spectra.model.findingrecords import TriageStatus
from spectra.model.findings import Affected, Identity, Software
from spectra.store.database import Database, one
from spectra.store.findings import Judge
from spectra.store.timeline import PROTOCOL_NUMBER
from tests.store.scribe import T0


class Score(NamedTuple):
    """What `JUDGE` says."""

    score: float
    level: str
    reasons: tuple[str, ...]


def _priority(risk: float, confidence: float, exposed: bool, patched: str, because: Sequence[str]) -> Score:
    score = round(risk * confidence * (1 if exposed else 0.5) * (0.5 if patched else 1), 1)
    return Score(score, "high" if score >= 50 else "low", (*because, f"risk {risk:g}"))


def _exposed(ip: str) -> bool:
    return not ip.startswith("10.")


def _why(*facts: object) -> tuple[str, ...]:
    return (f"facts {facts}",)


def _sentence(affected: Affected, software: Software) -> str:
    how = next((i.how for i in software.identities if i.cpe == affected.cpe), "")
    return f"{affected.cpe} ({how}) is {affected.range}."


JUDGE = Judge(_priority, _why, _exposed, _sentence, 0.0, 0.5)
"""A judge with a formula that is easy to follow: private addresses and patched ones count half."""


def cpe(product: str, version: str) -> str:
    """The name of a version of a product."""
    return f"cpe:2.3:a:vendor:{product.lower()}:{version}:*:*:*:*:*:*:*"


class Weak:
    """Writes rows of CVEs, software, what is affected, and triage."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def vuln(
        self,
        cve: str,
        risk: float = 50.0,
        *,
        severity: str = "high",
        cvss: float | None = 7.5,
        epss: float | None = None,
        kev: date | None = None,
        title: str = "",
        description: str = "",
        details: str = "{}",
        status: str = "",
    ) -> int:
        """A CVE; returns the number of its row."""
        _, year, number = cve.split("-")
        with self._database.connection() as connection:
            num = one(
                connection.execute(
                    """INSERT INTO vuln (cve, sort, severity, cvss, cvss_version, epss, epss_percentile, kev,
                         ransomware, risk, published, changed, status)
                       VALUES (%s, %s, %s, %s, '3.1', %s, %s, %s, %s, %s, %s, %s, %s) RETURNING num""",
                    [cve, int(year) * 10**9 + int(number), severity, cvss, epss, epss, kev, kev is not None, risk, T0,
                     T0, status],
                )
            )[0]  # fmt: skip
            connection.execute(
                "INSERT INTO vuln_text (num, title, description, details) VALUES (%s, %s, %s, %s)",
                [num, title, description, details],
            )
        return num

    def software(self, product: str, version: str) -> int:
        """What the stored services of this product and version are; returns the id."""
        body = Software((Identity(cpe(product, version), 0.9, "by its banner"),))
        with self._database.connection() as connection:
            ident = one(
                connection.execute(
                    "INSERT INTO software (fingerprint, body, pending, matched) VALUES (%s, %s, NULL, %s)"
                    " ON CONFLICT (fingerprint) DO UPDATE SET matched = excluded.matched RETURNING id",
                    [uuid.UUID(bytes=body.fingerprint[:16]), msgspec.json.encode(body).decode(), T0],
                )
            )[0]
            connection.execute(
                "UPDATE service SET software = %s WHERE product = %s AND version = %s", [ident, product, version]
            )
        return ident

    def affected(
        self,
        software: int,
        vuln: int,
        since: datetime = T0,
        until: datetime | None = None,
        *,
        confidence: float = 0.9,
        patched: str = "",
        requires: Sequence[str] = (),
    ) -> None:
        """That the CVE concerns the software, told at `since` and taken back at `until`."""
        with self._database.connection() as connection:
            product = one(
                connection.execute(
                    "INSERT INTO product (part, vendor, product, word, family)"
                    " VALUES ('a', 'vendor', 'thing', 'thing', 0)"
                    " ON CONFLICT (product, vendor, part) DO UPDATE SET word = excluded.word RETURNING id"
                )
            )[0]
            reason = 1 + len(requires)
            connection.execute(
                "INSERT INTO reason (id, product, criterion, range, source, requires)"
                " VALUES (%s, %s, 'cpe:2.3:a:vendor:thing:*', '< 9.8', 'nvd', %s) ON CONFLICT DO NOTHING",
                [reason, product, list(requires)],
            )
            connection.execute(
                "INSERT INTO affected (software, vuln, since, until, reason, confidence, identity, patched)"
                " VALUES (%s, %s, %s, %s, %s, %s, 0, %s)",
                [software, vuln, since, until, reason, confidence, patched],
            )

    def triage(
        self,
        cve: str,
        status: TriageStatus,
        ip: str | None = None,
        port: int | None = None,
        *,
        cpe: str = "",
        at: datetime = T0,
        until: datetime | None = None,
        removed: datetime | None = None,
        note: str = "",
    ) -> str:
        """A decision; returns its id."""
        ident = str(uuid.uuid4())
        protocol = None if port is None else PROTOCOL_NUMBER["tcp"]
        with self._database.connection() as connection:
            connection.execute(
                """INSERT INTO triage (id, cve, ip, port, protocol, cpe, status, note, until, at, by, removed)
                   VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 'alice', %s)""",
                [ident, cve, ip, port, protocol, cpe, status, note, until, at, removed],
            )
        return ident
