"""Made-up values."""

from __future__ import annotations

from spectra.bench.privacy.made import Made
from spectra.model.ai import Kind


def test_the_same_seed_draws_the_same() -> None:
    """And another one others; each sort is of its kind."""
    sorts = ("v4", "v4odd", "v6", "network", "mac", "host", "label", "user", "domuser", "email", "path", "token")
    one, same, other = ([made.of(sort) for sort in sorts * 3] for made in (Made(1), Made(1), Made(2)))
    assert one == same != other
    assert {kind for kind, _ in one} == set(Kind) - {Kind.ID}
    assert {Made(1).of(sort)[0] for sort in ("number", "serial")} == {Kind.ID}
    assert Made(1).of("password")[0] is Kind.SECRET
