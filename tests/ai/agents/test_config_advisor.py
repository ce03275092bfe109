"""Config Advisor: whole check-lists, each control judged by its checks."""

from __future__ import annotations

from collections import Counter

import pytest

from spectra.ai.agents import config_advisor
from spectra.ai.agents.checks import CHECKS, Check
from spectra.ai.agents.config_advisor import Control, judge
from spectra.errors import BadRequest
from tests.ai.agents.test_checks import SOME, estate


def test_the_checklists_are_whole() -> None:
    """ANSSI's 42 measures by their numbers, the ten points of NIS 2, and the articles of the GDPR; every check exists,
    and every control says what would show it.
    """
    lists = {name: config_advisor.checklist(name) for name in config_advisor.NAMES}
    assert [control.id for control in lists["anssi"].controls] == [str(number) for number in range(1, 43)]
    assert [control.id for control in lists["nis2"].controls] == [f"21.2.{letter}" for letter in "abcdefghij"]
    assert {control.id.partition(".")[0] for control in lists["gdpr"].controls} == {"5", "25", "30", "32", "33"}
    for one in (control for listed in lists.values() for control in listed.controls):
        assert set(one.checks) <= CHECKS.keys()
        assert one.show
        assert one.checks or not one.proves
    assert {name for listed in lists.values() for c in listed.controls for name in c.checks} == CHECKS.keys()
    with pytest.raises(BadRequest, match="no check-list"):
        config_advisor.checklist("iso27001")


def test_a_control_by_its_checks() -> None:
    """One bad check is enough; all good ones show it only where they prove it."""
    results = {"a": Check("good", "a."), "b": Check("bad", "b."), "c": Check("unknown", "c.")}

    def status(checks: tuple[str, ...], *, proves: bool = False) -> str:
        return judge(Control("1", "t", checks, proves, "s"), results).status

    assert status(("a", "b", "c"), proves=True) == "not_met"
    assert status(("a",), proves=True) == "met"
    assert status(("a",)) == status(("a", "c"), proves=True) == status(()) == "unknown"


def test_what_is_found_is_told_with_evidence() -> None:
    """A telnet service speaks against the measure on protocols (ANSSI 21) with its endpoint; of what scans cannot see
    it is said what would show it; the same control has the same id whatever its status.
    """
    found = {one.subjects[0]: one for one in config_advisor.run(estate(clear=SOME))}
    told = found["control:anssi/21"]
    assert (told.severity, told.kind) == ("high", "control")
    assert told.title.startswith("ANSSI 21, not met: ")
    assert told.evidence[0].record == "endpoint:10.0.0.7/tcp/23"
    assert told.subjects[1:] == ("endpoint:10.0.0.7/tcp/23",)
    assert "What would show it: " in found["control:anssi/26"].what
    assert found["control:nis2/21.2.f"].title.startswith("NIS2 21.2.f, met: ")
    assert config_advisor.run(estate(), ["anssi"])[-1].agent == "config-advisor"
    good = {one.subjects[0]: one for one in config_advisor.run(estate(), ["anssi"])}
    assert good["control:anssi/21"].id == told.id
    assert Counter(one.kind for one in found.values()) == {"control": 65, "checklist": 3}
    assert len(good) == 43
