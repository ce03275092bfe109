"""Decisions: what an id means in a scope, and what may be justified."""

from __future__ import annotations

import pytest

from spectra.errors import BadRequest
from spectra.model.findingrecords import FindingKey
from spectra.model.triage import SCOPES, Scope, Target, aimed, read_target, require_justified

CVE = "CVE-2024-6387"
ID = f"192.0.2.7~22~tcp~{CVE}"


@pytest.mark.parametrize(
    ("text", "scope", "target"),
    [
        (ID, "endpoint", Target(CVE, "192.0.2.7", 22, "tcp")),
        (ID, "host", Target(CVE, "192.0.2.7")),
        (ID, "everywhere", Target(CVE)),
        (f"2001:DB8::0~{CVE.lower()}", "host", Target(CVE, "2001:db8::")),
        (f"192.0.2.7~{CVE}", "everywhere", Target(CVE)),
        (f" {CVE} ", "everywhere", Target(CVE)),
        (CVE, "host", None),
        (CVE, "endpoint", None),
        (f"192.0.2.7~{CVE}", "endpoint", None),
        (f"192.0.2.300~{CVE}", "host", None),
        ("", "everywhere", None),
        ("~~~", "host", None),
    ],
)
def test_what_an_id_means(text: str, scope: Scope, target: Target | None) -> None:
    """As wide as the scope; what does not say enough for it is named."""
    if target is None:
        with pytest.raises(BadRequest) as caught:
            read_target(text, scope)
        assert caught.value.field == "id"
    else:
        assert read_target(text, scope, "cpe:2.3:a:b:c") == target._replace(cpe="cpe:2.3:a:b:c")
        assert target.scope == scope


def test_what_a_finding_means() -> None:
    """The same by its key; a target says where it is."""
    key = FindingKey("192.0.2.7", 22, "tcp", CVE)
    targets = [aimed(key, scope) for scope in SCOPES]
    assert targets == [read_target(ID, scope) for scope in SCOPES]
    assert [str(target) for target in targets] == [
        f"{CVE} at 192.0.2.7 22/tcp", f"{CVE} at 192.0.2.7", f"{CVE} at every host",
    ]  # fmt: skip
    assert str(Target(CVE, cpe="cpe")) == f"{CVE} at every host for cpe"


def test_justifications() -> None:
    """Words of VEX, of what is not affected."""
    require_justified("accepted", "")
    require_justified("not_affected", "code_not_reachable")
    require_justified("false_positive", "component_not_present")
    for status, word in (("not_affected", "because"), ("accepted", "code_not_reachable")):
        with pytest.raises(BadRequest) as caught:
            require_justified(status, word)  # type: ignore[arg-type]
        assert caught.value.field == "justification"
