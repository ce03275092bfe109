"""What a report is on, from what a person wrote."""

from __future__ import annotations

import pytest

from spectra.ai.reports.targets import read
from spectra.errors import BadRequest
from spectra.model.summaries import Target, TargetKind
from tests.ai.reports.papers import NOW


@pytest.mark.parametrize(
    ("text", "kind", "target"),
    [
        (" 192.0.2.7 ", "", Target("ip", "192.0.2.7")),
        ("::FFFF:192.0.2.7", "", Target("ip", "192.0.2.7")),
        ("192.0.2.77/24", "", Target("query", "net:192.0.2.0/24")),
        ("2001:db8::/32", "", Target("query", "net:2001:db8::/32")),
        ("WWW.Example.org.", "", Target("host", "www.example.org")),
        ("printer", "host", Target("host", "printer")),
        ("port:22 product:nginx", "", Target("query", "port:22 product:nginx")),
        ("www.example.org", "query", Target("query", "www.example.org")),
    ],
)
def test_a_target_is_recognised(text: str, kind: TargetKind | str, target: Target) -> None:
    """An address, a network, a name, a query; or what it is said to be."""
    assert read(text, NOW, kind) == target


@pytest.mark.parametrize(("text", "kind"), [("www", "ip"), ("port:banana", ""), ('"open', "query")])
def test_what_is_none_is_refused(text: str, kind: str) -> None:
    """With what is wrong about it."""
    with pytest.raises(BadRequest):
        read(text, NOW, kind)
