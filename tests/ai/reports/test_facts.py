"""The facts of a report: kept and read again, and what may be cited of them."""

from __future__ import annotations

from spectra.ai.reports import facts as kept
from tests.ai.reports.papers import FINDING, IP, facts


def test_facts_are_kept_whole() -> None:
    """Labels and private values of what a model is shown included."""
    made = facts()
    assert kept.decoded(kept.encoded(made)) == made


def test_what_may_be_cited_has_a_title() -> None:
    """Every record of the tables and of the context, and the target itself."""
    made = facts()
    assert made.refs == {"F1": f"host:{IP}", "F2": f"endpoint:{IP}/tcp/23"}
    for record in (
        f"host:{IP}",
        f"endpoint:{IP}/tcp/80",
        f"finding:{FINDING}",
        "cve:CVE-2024-6387",
        "name:www.example.org",
    ):
        assert record in made.known
    assert "host:192.0.2.99" not in made.known
    titled = made.titled([f"finding:{FINDING}", f"finding:{FINDING}", "odd:1"])
    assert [one.title for one in titled] == [f"CVE-2024-6387 at {IP} 22/tcp", "1"]
    assert made.shown[0].text == f"Host {IP} is up."
