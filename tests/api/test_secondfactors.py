"""Setting second factors up: nothing counts before it was shown to work, and the first comes with recovery codes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest

from spectra.api import secondfactors, signin
from spectra.api.signin import Source
from spectra.errors import BadRequest, NotFound
from tests.api.asking import ORIGIN, Browser, desk_of
from tests.api.node import Node
from tests.api.people import Clock, coordinator, make
from tests.support.passkeys import Authenticator

pytestmark = pytest.mark.engine


@pytest.fixture
def clock() -> Clock:
    """A clock that the test sets."""
    return Clock()


@pytest.fixture
def desk(node: Node, tmp_path: Path, clock: Clock) -> Iterator[Node]:
    """A coordinator whose clock the test sets."""
    with desk_of(node, tmp_path, clock) as found:
        yield found


def test_an_app_counts_once_its_code_was_shown(desk: Node, clock: Clock) -> None:
    """Before that the password alone signs in; a wrong code may be tried again; that code is used up with it."""
    name = make(desk)
    begun = secondfactors.begin_totp(desk.services, name, "phone")
    assert parse_qs(urlsplit(begun.uri).query)["secret"] == [begun.secret]
    assert signin.needs(desk.services, name) == ()
    with pytest.raises(BadRequest) as caught:
        secondfactors.finish_totp(desk.services, name, begun.id, "000000")
    assert caught.value.reason == "wrong_code"
    code = pyotp.TOTP(begun.secret).at(clock.now)
    added = secondfactors.finish_totp(desk.services, name, begun.id, code)
    assert (added.factor.kind, added.factor.name, len(added.recovery_codes)) == ("totp", "phone", 10)
    assert signin.needs(desk.services, name) == ("totp", "recovery")
    with pytest.raises(signin.Refused):
        signin.second(desk.services, name, code, Source("192.0.2.7"))


def test_what_was_begun_is_ones_own_and_soon_over(desk: Node, clock: Clock, tmp_path: Path) -> None:
    """Another account cannot finish it, nor another coordinator's key, nor anybody twice or after ten minutes."""
    name, other = make(desk), make(desk)
    begun = secondfactors.begin_totp(desk.services, name, "")
    app = pyotp.TOTP(begun.secret)
    with pytest.raises(NotFound):
        secondfactors.finish_totp(desk.services, other, begun.id, app.at(clock.now))
    with coordinator(desk, tmp_path / "other", clock) as elsewhere, pytest.raises(NotFound):
        secondfactors.finish_totp(elsewhere.services, name, begun.id, app.at(clock.now))
    secondfactors.finish_totp(desk.services, name, begun.id, app.at(clock.now))
    with pytest.raises(NotFound):
        secondfactors.finish_totp(desk.services, name, begun.id, app.at(clock.now))
    begun = secondfactors.begin_totp(desk.services, name, "")
    clock.now += timedelta(minutes=10)
    with pytest.raises(NotFound):
        secondfactors.finish_totp(desk.services, name, begun.id, pyotp.TOTP(begun.secret).at(clock.now))


def test_a_passkey_has_to_be_made_for_what_was_begun(desk: Node) -> None:
    """Of this challenge, origin and name. The second factor comes without new recovery codes."""
    here, name, key = Browser(desk), make(desk), Authenticator()
    begun = secondfactors.begin_passkey(here.request(), here.services, name, "stick")
    other = secondfactors.begin_passkey(here.request(), here.services, name, "stick")
    for wrong in (key.create(begun.options, "http://evil.example"), key.create(other.options, ORIGIN), {}, {"id": 1}):
        with pytest.raises(BadRequest) as caught:
            secondfactors.finish_passkey(here.request(), here.services, name, begun.id, wrong)
        assert caught.value.reason == "bad_passkey"
    answer = key.create(begun.options, ORIGIN)
    added = secondfactors.finish_passkey(here.request(), here.services, name, begun.id, answer)
    assert (added.factor.kind, added.factor.name, len(added.recovery_codes)) == ("passkey", "stick", 10)
    second = Authenticator().create(other.options, ORIGIN)
    assert secondfactors.finish_passkey(here.request(), here.services, name, other.id, second).recovery_codes == ()
    excluded = secondfactors.begin_passkey(here.request(), here.services, name, "").options["excludeCredentials"]
    assert len(excluded) == 2


def test_new_recovery_codes(desk: Node, clock: Clock) -> None:
    """They stand in for a second factor, so there has to be one."""
    name = make(desk)
    with pytest.raises(BadRequest):
        secondfactors.new_codes(desk.services, name)
    begun = secondfactors.begin_totp(desk.services, name, "")
    added = secondfactors.finish_totp(desk.services, name, begun.id, pyotp.TOTP(begun.secret).at(clock.now))
    made = secondfactors.new_codes(desk.services, name)
    assert not set(made.codes) & set(added.recovery_codes)
    with pytest.raises(signin.Refused):
        signin.second(desk.services, name, added.recovery_codes[0], Source("192.0.2.7"))
    assert signin.second(desk.services, name, made.codes[0], Source("192.0.2.7")) == "recovery"
    assert secondfactors.listed(desk.services, name).recovery_codes == 9
