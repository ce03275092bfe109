"""Findings are written as far as they differ, history stays, and news are taken off the list with what follows."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.model.vulns import Criterion, Node, Product, Rule
from spectra.store import affected
from spectra.store.affected import Differences, Finding, Reason
from spectra.store.database import Connection, Database
from spectra.store.software import Alone, alone
from spectra.store.vulnrules import write_rules

REASON = Reason(1, "cpe:2.3:a:openbsd:openssh:*:*:*:*:*:*:*:*", "< 9.8p1", "nvd", ())
OTHER = Reason(1, "cpe:2.3:a:openbsd:openssh:9.7:*:*:*:*:*:*:*", "", "cve", ("cpe:2.3:o:a:b:*:*:*:*:*:*:*:*",))
SSH = Product("a", "openbsd", "openssh")


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    """All rows of a query."""
    with database.connection() as connection:
        return connection.execute(query.encode()).fetchall()


def finding(reason: Reason, confidence: float = 0.9, patched: str = "") -> Finding:
    """Because of that."""
    return Finding(reason.id, confidence, 0, patched)


def write(own: Alone, found: dict[int, Finding], *reasons: Reason) -> Differences:
    """Make these the findings of software 7."""
    differences = Differences()
    differences.reasons.update({r.id: r for r in reasons})
    differences.compare(7, found, affected.findings(own.connection, [7])[7])
    affected.write(own.connection, differences, own.now)
    return differences


findings = st.dictionaries(
    st.integers(1, 9),
    st.builds(Finding, st.sampled_from([1, 2]), st.just(0.5), st.just(0), st.sampled_from(["", "possibly"])),
)


@given(findings, findings)
def test_differences_lead_from_one_to_the_other(before: dict[int, Finding], after: dict[int, Finding]) -> None:
    """Applied to what was stored they give what was found, and nothing that stayed is among them."""
    differences = Differences()
    differences.compare(7, after, before)
    gone = {num for _, num in differences.closed}
    told = {num: f for _, num, f in (*differences.opened, *differences.changed)}
    assert {num: f for num, f in before.items() if num not in gone} | told == after
    assert not set(told) & {num for num in before if before[num] == after.get(num)}
    assert gone == set(before) - set(after)


def test_reasons_have_an_address() -> None:
    """Equal ones the same, others another; it fits into a column."""
    assert Reason(1, "c", "r", "s", ("x",)).id == Reason(1, "c", "r", "s", ("x",)).id
    assert len({REASON.id, OTHER.id, Reason(2, *list(vars_of(REASON))[1:]).id}) == 3
    assert 0 <= REASON.id < 2**63


def vars_of(reason: Reason) -> tuple[Any, ...]:
    """Its fields."""
    return reason.product, reason.criterion, reason.range, reason.source, reason.requires


@pytest.mark.engine
def test_only_differences_are_written(database: Database) -> None:
    """What is the same stays the very row; another reason is written into it; what ends keeps its row."""
    with alone(database) as own:
        write(own, {1: finding(REASON), 2: finding(REASON), 3: finding(REASON)}, REASON)
    before = rows(database, "SELECT vuln, since, ctid FROM affected ORDER BY vuln")
    with alone(database) as own:
        found = {1: finding(REASON), 2: finding(OTHER, 0.25, "possibly")}
        differences = write(own, found, REASON, OTHER)
        assert (len(differences.opened), len(differences.changed), len(differences.closed)) == (0, 1, 1)
        assert affected.findings(own.connection, [7, 8]) == {7: found, 8: {}}
        assert affected.findings(own.connection, [7], [2, 3]) == {7: {2: found[2]}}
    after = rows(database, "SELECT vuln, since, ctid FROM affected ORDER BY vuln")
    assert after[0] == before[0]
    assert [row[:2] for row in after] == [row[:2] for row in before]
    shown = rows(
        database, "SELECT criterion, range, source, requires, confidence, patched FROM affected_by WHERE vuln = 2"
    )
    assert shown == [(OTHER.criterion, "", "cve", list(OTHER.requires), 0.25, "possibly")]
    assert rows(database, "SELECT vuln, until > since FROM affected WHERE until IS NOT NULL") == [(3, True)]


@pytest.mark.engine
def test_what_comes_back_is_another_row(database: Database) -> None:
    """The past stays as it was; two open ones cannot be. A clock that goes back ends nothing before it began."""
    for found in ({1: finding(REASON)}, {}, {1: finding(REASON)}):
        with alone(database) as own:
            write(own, found, REASON)
    assert rows(database, "SELECT until IS NULL FROM affected ORDER BY since") == [(False,), (True,)]
    twice = Differences()
    twice.compare(7, {1: finding(REASON)}, {})
    twice.reasons[REASON.id] = REASON
    with pytest.raises(psycopg.errors.UniqueViolation), alone(database) as own:
        affected.write(own.connection, twice, own.now)
    with alone(database) as own:
        write(own._replace(now=own.now - timedelta(days=1)), {})
    assert rows(database, "SELECT count(*) FROM affected WHERE until < since OR until IS NULL") == [(0,)]


def told(connection: Connection, cve: str, product: Product, status: str = "") -> int:
    """A CVE with one rule, and news of it; returns its number."""
    row = connection.execute(
        """INSERT INTO vuln (cve, sort, status, configured, changed) VALUES (%s, %s, %s, 'nvd', now()) RETURNING num""",
        [cve, int(cve[-4:]), status],
    ).fetchone()
    assert row is not None
    node = Node(criteria=(Criterion(f"cpe:2.3:a:{product.vendor}:{product.product}:1.0:*:*:*:*:*:*:*"),))
    write_rules(connection, {row[0]: [Rule(cve, "nvd", product, (node,))]}, [], lambda p: p)
    connection.execute("INSERT INTO vuln_news VALUES (%s, now())", [row[0]])
    return int(row[0])


@pytest.mark.engine
def test_rules_by_family_and_by_cve(database: Database) -> None:
    """In order of CVEs, with source and status; none of rejected ones; a family without any is told, too."""
    nginx = Product("a", "f5", "nginx")
    with database.transaction() as connection:
        nums = [told(connection, f"CVE-2024-{n:04}", SSH if n % 2 else nginx) for n in range(1, 5)]
        told(connection, "CVE-2024-0009", SSH, "rejected")
        disputed = told(connection, "CVE-2024-0008", nginx, "disputed")
        ids = dict(connection.execute("SELECT product, id FROM product").fetchall())
        found = affected.rules(connection, [ids["openssh"], 12345])
        assert [s.num for s in found[ids["openssh"]]] == [nums[0], nums[2]]
        assert found[12345] == []
        first = found[ids["openssh"]][0]
        assert (first.product, first.rule.cve, first.rule.source, first.rule.product) == (
            ids["openssh"], "CVE-2024-0001", "nvd", SSH,
        )  # fmt: skip
        of = affected.rules_of(connection, [nums[0], disputed])
        assert {family: [s.num for s in its] for family, its in of.items()} == {
            ids["openssh"]: [nums[0]],
            ids["nginx"]: [disputed],
        }
        assert of[ids["nginx"]][0].rule.status == "disputed"


def software(connection: Connection, body: str, product: int, pending: int | None = None) -> int:
    """Stored software of a product."""
    row = connection.execute(
        """INSERT INTO software (fingerprint, body, product, pending) VALUES (gen_random_uuid(), %s, %s, %s)
           RETURNING id""",
        [body, product, pending],
    ).fetchone()
    assert row is not None
    connection.execute("INSERT INTO software_product VALUES (%s, %s)", [product, row[0]])
    return int(row[0])


@pytest.mark.engine
def test_what_news_may_concern(database: Database) -> None:
    """Software of a family that the new rules are about, or with an open finding of the old ones; not what is matched
    completely in any case."""
    with database.transaction() as connection:
        num = told(connection, "CVE-2024-0001", SSH)
        ((ssh,),) = connection.execute("SELECT id FROM product").fetchall()
        connection.execute("INSERT INTO product (part, vendor, product, word, family) VALUES ('a', 'x', 'y', 'y', 0)")
        ((other,),) = connection.execute("SELECT id FROM product WHERE id <> %s", [ssh]).fetchall()
        by_rule, by_finding = software(connection, "a", ssh), software(connection, "b", other)
        past, waits = software(connection, "c", other), software(connection, "d", ssh, 1)
        for of, until in ((by_finding, None), (past, "now")):
            connection.execute("INSERT INTO affected VALUES (%s, %s, 'yesterday', %s, 1, 0.5, 0)", [of, num, until])
        batches = list(affected.touched(connection, [num], 1))
        assert [len(batch) for batch in batches] == [1, 1]
        assert {s for batch in batches for s in batch} == {(by_rule, "a"), (by_finding, "b")}
        assert affected.findings_of(connection, [num], 1) == {by_finding: {num: Finding(1, 0.5, 0, "")}}
        assert affected.findings_of(connection, [num], 0) is None
        assert affected.members(connection, [ssh]) == {SSH: ssh}
        assert affected.families(connection, [by_rule, by_finding]) == {SSH: ssh, Product("a", "x", "y"): 0}
        affected.touch(connection, [num])
        waiting = [s.id for s in affected.waiting(connection, 9)]
    assert set(waiting) == {by_rule, by_finding, waits}


@pytest.mark.engine
def test_what_waits_in_order(database: Database) -> None:
    """What was never matched first, and what is alike together; what is done waits no more."""
    with alone(database) as own:
        for n, product in enumerate([2, 1, 2, 1]):
            own.connection.execute(
                "INSERT INTO software (fingerprint, body, product, pending) VALUES (gen_random_uuid(), %s, %s, %s)",
                [str(n), product, 0 if n == 2 else 1],
            )
        assert [s.body for s in affected.waiting(own.connection, 9)] == ["2", "1", "3", "0"]
        assert [s.body for s in affected.waiting(own.connection, 9, fresh=True)] == ["2"]
        affected.matched(own.connection, [s.id for s in affected.waiting(own.connection, 2)], own.now)
        assert [s.body for s in affected.waiting(own.connection, 9)] == ["3", "0"]


@pytest.mark.engine
def test_news_are_taken_with_what_follows(database: Database) -> None:
    """In order, some at a time; an evaluation that ends before its commit leaves them; what a sync holds is left."""
    with database.connection() as connection:
        connection.execute("INSERT INTO vuln_news SELECT n, now() FROM generate_series(1, 5) n")
    with contextlib.suppress(RuntimeError), alone(database) as own:
        assert affected.news(own.connection, 2) == [1, 2]
        raise RuntimeError
    with psycopg.connect(database.url) as sync:
        sync.execute("UPDATE vuln_news SET at = now() WHERE num = 1")
        with alone(database) as own:
            assert affected.has_more_news(own.connection, 4)
            assert not affected.has_more_news(own.connection, 5)
            assert sorted(affected.news(own.connection, None)) == [2, 3, 4, 5]
    assert rows(database, "SELECT num FROM vuln_news") == [(1,)]
