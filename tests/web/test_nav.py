"""The navigation shows what whoever looks may open."""

from __future__ import annotations

from spectra.identity.roles import ROLES, SCOPES
from spectra.web import nav


def test_an_admin_sees_every_place() -> None:
    """Each with a scope that exists, a path and a key of its own."""
    places = [place for group in nav.places(ROLES["admin"]) for place in group.places]
    assert len(places) == sum(len(group.places) for group in nav.GROUPS)
    assert {place.scope for place in places} <= SCOPES
    assert len({place.path for place in places}) == len({place.key for place in places}) == len(places)


def test_others_see_what_their_scopes_let_them() -> None:
    """A reader has no accounts or logs in view; who holds nothing sees nothing, not even headings."""
    keys = {place.key for group in nav.places(ROLES["read-only"]) for place in group.places}
    assert {"overview", "search", "findings"} <= keys
    assert not keys & {"accounts", "logs", "settings"}
    assert nav.places(frozenset()) == ()
