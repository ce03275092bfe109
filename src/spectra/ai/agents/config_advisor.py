"""Config Advisor: check-lists (ANSSI, NIS 2, GDPR) held against the store, each control met, not met or unknown.

A check-list is data (`checklists/*.yaml`); what a check can tell is in `checks.py`. Much of a check-list is about
people and papers: a control that scans cannot speak of is unknown, and says what would show it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any, Final, Literal, NamedTuple

import msgspec
import yaml

from spectra.ai.agents.checks import CHECKS, Check, Estate
from spectra.errors import BadRequest
from spectra.model.insights import SEVERITIES, Insight, Severity, evidence, feature, insight

NAMES: Final = ("anssi", "nis2", "gdpr")
Status = Literal["met", "not_met", "unknown"]

_YAML: Final[Any] = yaml  # its types are told in part only
_SCORES: Final[dict[Severity, int]] = {"critical": 95, "high": 75, "medium": 50, "low": 25, "info": 0}


class Control(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One control. With `proves`, it is met where all `checks` are good; `show` says what would show it."""

    id: str
    title: str
    checks: tuple[str, ...] = ()
    proves: bool = False
    show: str = ""


class Checklist(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A check-list."""

    id: str
    name: str
    controls: tuple[Control, ...]


class Judged(NamedTuple):
    """A control and what became of it."""

    control: Control
    status: Status
    checks: tuple[Check, ...]


@cache
def checklist(name: str) -> Checklist:
    """A check-list by its name. Raises `BadRequest` (field `checklists`) for one that there is not."""
    if name not in NAMES:
        raise BadRequest(
            f"There is no check-list {name[:40]!r}.", field="checklists", hint=f"There are {', '.join(NAMES)}."
        )
    text = resources.files("spectra.ai.agents").joinpath(f"checklists/{name}.yaml").read_text("utf-8")
    return msgspec.convert(_YAML.safe_load(text), Checklist)


def run(estate: Estate, names: Sequence[str] = NAMES) -> list[Insight]:
    """An insight a control, and one a check-list: what is not met first, the worst of it first."""
    results = {name: check(estate) for name, check in CHECKS.items()}
    found: list[Insight] = []
    for name in dict.fromkeys(names):
        listed = checklist(name)
        judged = [judge(control, results) for control in listed.controls]
        found.append(_overview(listed, judged, estate.now))
        found += [_told(listed, one, estate.now) for one in judged]
    return sorted(found, key=lambda one: (SEVERITIES.index(one.severity), -one.score, one.subjects[0]))


def judge(control: Control, results: dict[str, Check]) -> Judged:
    """A control by its checks. One bad check is enough against it; for it, all have to be good and to prove it."""
    checks = tuple(results[name] for name in control.checks)
    if any(check.status == "bad" for check in checks):
        return Judged(control, "not_met", checks)
    if checks and control.proves and all(check.status == "good" for check in checks):
        return Judged(control, "met", checks)
    return Judged(control, "unknown", checks)


def _told(listed: Checklist, judged: Judged, now: datetime) -> Insight:
    control, status, checks = judged
    bad = [check for check in checks if check.status == "bad"]
    severity = _worst(bad)
    says = " ".join(check.says for check in (bad or checks)) or "Scans cannot tell."
    return insight(
        "config-advisor",
        "control",
        severity=severity,
        title=f"{listed.id.upper()} {control.id}, {status.replace('_', ' ')}: {control.title}",
        what=says if status != "unknown" else f"{says} What would show it: {control.show}.",
        subjects=[f"control:{listed.id}/{control.id}", *_records(bad)],
        at=now,
        score=_SCORES[severity],
        evidence=[one for check in (bad or checks) for one in check.evidence] or [evidence(says)],
        features=[
            feature("status", status),
            *(feature(name, check.status) for name, check in zip(control.checks, checks, strict=True)),
        ],
        advice=f"Repair what the evidence names; then run Config Advisor again. To show the rest: {control.show}."
        if bad
        else "",
    )


def _worst(checks: Sequence[Check]) -> Severity:
    ranks = [SEVERITIES.index(check.severity) for check in checks]
    return SEVERITIES[min(ranks)] if ranks else "info"


def _records(checks: Sequence[Check]) -> list[str]:
    return list(dict.fromkeys(one.record for check in checks for one in check.evidence if one.record))


def _overview(listed: Checklist, judged: Sequence[Judged], now: datetime) -> Insight:
    counts = Counter(one.status for one in judged)
    missed = [one.control.id for one in judged if one.status == "not_met"]
    return insight(
        "config-advisor",
        "checklist",
        severity="info",
        title=f"{listed.name}: {counts['not_met']} not met, {counts['met']} met, {counts['unknown']} unknown",
        what=(f"Not met: {', '.join(missed)}. " if missed else "Nothing speaks against a control. ")
        + "Unknown ones are about what scans cannot see; each says what would show it.",
        subjects=[f"control:{listed.id}", *(f"control:{listed.id}/{id_}" for id_ in missed)],
        at=now,
        score=100 * counts["not_met"] / len(judged),
        features=[feature(status, counts[status]) for status in ("met", "not_met", "unknown")],
    )
