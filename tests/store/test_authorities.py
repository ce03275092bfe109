"""The roots of the CA: on record from the first to the last day."""

from __future__ import annotations

import pytest

from spectra.errors import NotFound
from spectra.store import authorities
from spectra.store.accounts import Act
from spectra.store.audit import plain
from spectra.store.authorities import Root
from spectra.store.database import Database
from spectra.store.provenance import links
from tests.store.machines import HOUR, ROOT, T0, told

pytestmark = pytest.mark.engine

LATER = Act("bob", T0 + HOUR)
OLD = Root("aa", "mesh-x", "PEM of aa", "11")
NEW = Root("bb", "mesh-x", "PEM of bb", "22")


def test_a_rotation(database: Database) -> None:
    """Both roots are trusted until the old one is retired; each step is on record once."""
    for _ in range(2):
        authorities.add(database, OLD, ROOT)
        authorities.add(database, NEW, LATER, "rotated")
    assert authorities.every(database) == (NEW, OLD)
    for _ in range(2):
        authorities.intermediate(database, "bb", "33", LATER)
        authorities.retire(database, "aa", LATER)
    assert authorities.every(database) == (NEW._replace(intermediate="33"),)
    assert told(database) == ["ca.created", "ca.rotated", "ca.renewed", "ca.retired"]


def test_what_is_not_there(database: Database) -> None:
    """Has no intermediate and is not retired."""
    with pytest.raises(NotFound):
        authorities.retire(database, "aa", ROOT)
    with pytest.raises(NotFound):
        authorities.intermediate(database, "aa", "11", ROOT)


def test_what_is_on_record_is_what_the_rows_say(database: Database) -> None:
    """By whom, too."""
    authorities.add(database, OLD, ROOT)
    authorities.retire(database, "aa", LATER)
    last = {link.subject: link.detail() for link in links(database)}
    assert last == {subject: plain(detail) for subject, detail in authorities.details(database).items()}
    assert last["ca:aa"]["by"] == "bob"
