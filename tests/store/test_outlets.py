"""Outlets: kept, changed, removed, each on record and without its secret."""

from __future__ import annotations

from datetime import timedelta

import pytest

from spectra.errors import BadRequest, NotFound
from spectra.model.outlets import OutletRequest
from spectra.store import deliveries, outlets
from spectra.store.accounts import Act
from spectra.store.database import Database
from spectra.store.provenance import links
from tests.store.machines import ROOT, T0
from tests.store.outletsamples import note, outlet

pytestmark = pytest.mark.engine

HOOK = OutletRequest(kind="webhook", target="https://example.org/hooks/t0ken")


def chain(database: Database) -> str:
    """All that the chain says."""
    return "\n".join(f"{link.kind} {link.subject} {link.detail}" for link in links(database))


def test_a_webhook_is_given_a_secret(database: Database) -> None:
    """It is told once; a change that does not name another keeps it; nothing secret is on record."""
    made = outlets.put(database, "hook", HOOK, ROOT)
    assert made.secret.startswith("whsec_")
    assert (made.outlet.has_secret, made.outlet.by, made.outlet.created) == (True, "root", T0)
    assert outlets.put(database, "hook", HOOK, Act("eve", T0)) == outlets.OutletMade(outlet=made.outlet)
    again = outlets.put(database, "hook", OutletRequest(kind="webhook", target=HOOK.target, note="x"), Act("eve", T0))
    assert (again.secret, again.outlet.by) == ("", "eve")
    assert outlets.whole(database, "hook").secret == made.secret
    assert chain(database).count("outlet.put outlet:hook") == 2
    assert "t0ken" not in chain(database)
    assert made.secret not in chain(database)
    assert set(outlets.details(database)) == {"outlet:hook"}


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (OutletRequest(kind="xmpp", target="no address"), "target"),
        (OutletRequest(kind="webhook", target="https://u:p@example.org/"), "target"),
        (OutletRequest(kind="webhook", target=HOOK.target, secret="whsec_c2hvcnQ="), "secret"),
        (OutletRequest(kind="email", target="a@example.org", secret="x"), "secret"),
    ],
)
def test_what_is_none_is_refused(database: Database, wanted: OutletRequest, field: str) -> None:
    """Naming the field."""
    with pytest.raises(BadRequest) as failed:
        outlets.put(database, "x", wanted, ROOT)
    assert failed.value.field == field
    assert outlets.all_of(database) == ()


def test_what_waits_goes_with_it(database: Database) -> None:
    """One that is switched off or removed drops what waits there."""
    for name in ("a", "b"):
        outlet(database, name, T0)
    note(database, 1, T0, "a", "b")
    assert [(one.name, one.waiting, one.since) for one in outlets.all_of(database)] == [("a", 1, T0), ("b", 1, T0)]
    outlets.put(database, "a", OutletRequest(kind="webhook", target="https://localhost/hook", enabled=False), ROOT)
    assert outlets.remove(database, "b", ROOT).waiting == 1
    assert {(one.outlet, one.state) for one in deliveries.page(database).deliveries} == {
        ("a", "dropped"),
        ("b", "dropped"),
    }
    assert outlets.get(database, "a").waiting == 0
    with pytest.raises(NotFound):
        outlets.whole(database, "b")
    assert "outlet.removed outlet:b" in chain(database)


def test_how_a_try_went(database: Database) -> None:
    """The last error stays until one goes well."""
    outlet(database, "a", T0)
    num = outlets.whole(database, "a").num
    outlets.tested(database, "a", ROOT)
    outlets.tried(database, num, T0, "away")
    outlets.tried(database, num, T0 + timedelta(seconds=1))
    now = outlets.get(database, "a")
    assert (now.error, now.tried, now.delivered) == ("", T0 + timedelta(seconds=1), T0 + timedelta(seconds=1))
    assert "outlet.tested outlet:a" in chain(database)
    with pytest.raises(NotFound):
        outlets.tested(database, "b", ROOT)
