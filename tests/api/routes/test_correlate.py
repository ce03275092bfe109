"""Evaluating everything again over HTTP, and findings that are there after a scan without asking."""

from __future__ import annotations

import pytest

from tests.api.node import Node, is_problem
from tests.flow.weaknesses import below, tell, vuln
from tests.support import samples
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine


def test_a_scan_has_findings_by_itself(node: Node) -> None:
    """The background follows an ingest, and then a CVE that changes."""
    tell(node.services.database, vuln("CVE-2099-0001", below("f5:nginx", "1.90")))
    node.submitted(samples.scan_of(samples.address(), 81))

    def findings(cve: str) -> int:
        with node.services.database.connection() as connection:
            found = connection.execute(
                """SELECT count(*) FROM affected a JOIN vuln v ON v.num = a.vuln
                   JOIN service s ON s.software = a.software
                   WHERE v.cve = %s AND a.until IS NULL AND s.version = '1.81'""",
                [cve],
            ).fetchone()
        assert found is not None
        return int(found[0])

    eventually(lambda: findings("CVE-2099-0001") > 0)
    tell(node.services.database, vuln("CVE-2099-0001"), vuln("CVE-2099-0002", below("f5:nginx", "1.90")))
    eventually(lambda: findings("CVE-2099-0002") > 0)
    assert findings("CVE-2099-0001") == 0


def test_everything_again(node: Node) -> None:
    """A workflow that tells how far it is."""
    begun = node.ask("POST", "/v0/correlate")
    assert begun.status_code == 202
    path = f"/v0/workflows/{begun.json()['workflow_id']}"
    eventually(lambda: node.get(path).json()["status"] == "done")
    record = node.get(path).json()
    assert (record["name"], record["done"]) == ("wf.vuln_correlate", record["total"])


def test_who_may(node: Node) -> None:
    """Who may change feeds."""
    for role in ("read-only", "user", "contributor", "module"):
        is_problem(node.ask("POST", "/v0/correlate", role), 403, "forbidden")
    is_problem(node.ask("POST", "/v0/correlate", ""), 401, "unauthenticated")
