"""Rules are read once a family, as long as they hold, in bounded memory; what is found names its reason."""

from __future__ import annotations

import msgspec
import pytest

from spectra.flow.evaluation import Evaluation, Rules, ruleset
from spectra.intel.correlate import match, products_of, rules_of
from spectra.model.findings import Affected, Identity, Software
from spectra.model.vulns import Product
from spectra.store import affected
from spectra.store.affected import Differences, Stored, StoredRule
from spectra.store.database import Connection, Database
from tests.flow.desk import rows
from tests.flow.weaknesses import NGINX, OPENSSH, below, cpe, tell, vuln

SSH = Product("a", "openbsd", "openssh")
REGRESSHION = vuln("CVE-2024-6387", below(OPENSSH, "9.8p1"))
RULES = {7: ruleset([StoredRule(3, 5, rules_of(REGRESSHION)[0])])}


def software(version: str, confidence: float = 0.9) -> Software:
    """OpenSSH, and something else that nothing is known of."""
    names = (Identity(cpe("acme:frobnicator", "1.0"), 0.95, "x"), Identity(cpe(OPENSSH, version), confidence, "x"))
    return Software(names)


def stored(key: int, what: Software) -> Stored:
    """As the store has it."""
    return Stored(key, msgspec.json.encode(what).decode())


def test_what_is_found() -> None:
    """Its number, the identity that matched, and the reason by its own id; what it does not hold for has none."""
    differences = Differences()
    all_of = [stored(1, software("8.9")), stored(2, software("9.9"))]
    Evaluation(match, products_of).compare(all_of, {SSH: 7}, RULES, {1: {}, 2: {}}, differences)
    ((of, num, finding),) = differences.opened
    assert (of, num, finding.identity, finding.patched) == (1, 3, 1, "")
    assert finding.confidence == pytest.approx(0.9)
    reason = differences.reasons[finding.reason]
    assert (reason.product, reason.criterion, reason.range, reason.source) == (5, cpe(OPENSSH), "< 9.8p1", "nvd")
    assert reason.id == finding.reason
    assert (differences.changed, differences.closed) == ([], [])


def test_what_cannot_be_matched_keeps_its_findings() -> None:
    """An error in one is not that of the others."""

    def broken(what: Software, rules: object) -> list[Affected]:
        raise RuntimeError

    differences = Differences()
    finding = affected.Finding(1, 0.5, 0, "")
    Evaluation(broken, products_of).compare(
        [stored(1, software("8.9"))], {SSH: 7}, RULES, {1: {3: finding}}, differences
    )
    assert (differences.opened, differences.changed, differences.closed) == ([], [], [])


def test_a_family_without_rules_needs_no_matcher() -> None:
    """What was found of it before ends."""

    def never(what: Software, rules: object) -> list[Affected]:
        raise AssertionError

    differences = Differences()
    finding = affected.Finding(1, 0.5, 0, "")
    Evaluation(never, products_of).compare([stored(1, software("8.9"))], {SSH: 7}, {}, {1: {3: finding}}, differences)
    assert differences.closed == [(1, 3)]


@pytest.mark.engine
def test_rules_are_remembered_while_they_hold(database: Database) -> None:
    """Under the same token without asking again; under another one they are read again."""
    tell(database, REGRESSHION)
    ((family,),) = rows(database, "SELECT id FROM product")
    memory = Rules()
    with database.connection() as connection:
        first = memory.of(connection, 1, [family, family])
        assert [r.cve for r in first[family].rules] == ["CVE-2024-6387"]
        tell(database, vuln("CVE-2024-6387"))
        assert memory.of(connection, 1, [family]) == first
        assert memory.of(connection, 2, [family])[family].rules == ()


@pytest.mark.engine
def test_memory_is_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The family that was not used for longest is forgotten; what is asked for at once is there at once."""
    tell(database, *(vuln(f"CVE-2020-{n:04}", below(OPENSSH, f"{n}.0"), below(NGINX, f"{n}.0")) for n in range(1, 6)))
    found = dict(rows(database, "SELECT product, id FROM product"))
    asked: list[list[int]] = []
    plain = affected.rules

    def noted(connection: Connection, families: list[int]) -> dict[int, list[StoredRule]]:
        asked.append(list(families))
        return plain(connection, families)

    monkeypatch.setattr(affected, "rules", noted)
    memory = Rules(remembered=8)
    with database.connection() as connection:
        both = memory.of(connection, 1, [found["openssh"], found["nginx"]])
        assert [len(r.rules) for r in both.values()] == [5, 5]
        memory.of(connection, 1, [found["nginx"]])
        memory.of(connection, 1, [found["openssh"]])
    assert asked == [[found["openssh"], found["nginx"]], [found["openssh"]]]
