"""Weaknesses that have nothing but a text, put into the tables as a sync leaves them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from spectra.store.database import Database, one
from tests.store.scribe import T0


class Wordy:
    """Writes rows of CVEs, their texts and the products they name."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def tell(
        self,
        cve: str,
        description: str,
        *,
        weaknesses: Sequence[str] = (),
        products: Sequence[tuple[str, str]] = (),
        at: datetime = T0,
        **columns: Any,
    ) -> int:
        """Store a CVE, or what is new of it; `columns` are those of the table `vuln`. Returns its number."""
        year, number = cve.removeprefix("CVE-").split("-")
        values = {"status": "", "severity": "", "cvss": None, "kev": None, **columns}
        with self._database.transaction() as connection:
            num = one(
                connection.execute(
                    """INSERT INTO vuln (cve, sort, status, severity, cvss, kev, changed)
                       VALUES (%(cve)s, %(sort)s, %(status)s, %(severity)s, %(cvss)s, %(kev)s, %(at)s)
                       ON CONFLICT (cve) DO UPDATE SET status = excluded.status, changed = excluded.changed
                       RETURNING num""",
                    values | {"cve": cve, "sort": int(year) * 10**9 + int(number), "at": at},
                )
            )[0]
            connection.execute(
                """INSERT INTO vuln_text (num, title, description, details, weaknesses) VALUES (%s, '', %s, '{}', %s)
                   ON CONFLICT (num) DO UPDATE SET description = excluded.description""",
                [num, description, list(weaknesses)],
            )
            for vendor, product in products:
                connection.execute(
                    """WITH named AS (
                         INSERT INTO product (part, vendor, product, word, family) VALUES ('a', %s, %s, %s, 0)
                         ON CONFLICT (product, vendor, part) DO UPDATE SET word = excluded.word RETURNING id)
                       INSERT INTO vuln_rule (product, num, body) SELECT id, %s, '' FROM named
                       ON CONFLICT DO NOTHING""",
                    [vendor, product, product, num],
                )
        return num

    def tell_all(self, told: Sequence[tuple[str, str]], *, at: datetime = T0) -> None:
        """Many CVEs with their texts, at once."""
        rows = [(cve, int(cve[4:8]) * 10**9 + int(cve[9:]), at, text) for cve, text in told]
        with self._database.transaction() as connection, connection.cursor() as cursor:
            cursor.executemany("INSERT INTO vuln (cve, sort, changed) VALUES (%s, %s, %s)", [row[:3] for row in rows])
            cursor.executemany(
                """INSERT INTO vuln_text (num, title, description, details)
                   SELECT num, '', %s, '{}' FROM vuln WHERE cve = %s""",
                [(text, cve) for cve, _, _, text in rows],
            )
            cursor.execute("ANALYZE vuln_text")

    def reject(self, cve: str, at: datetime) -> None:
        """The CVE is rejected."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE vuln SET status = 'rejected', changed = %s WHERE cve = %s", [at, cve])

    def forget(self, cve: str) -> None:
        """Nobody tells of the CVE any more."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM vuln WHERE cve = %s", [cve])
