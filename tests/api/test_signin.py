"""Proving who one is: codes count once, guessing locks nobody else out, and half a sign-in is worth nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pyotp
import pytest

from spectra.api import browser, secondfactors, signin
from spectra.api.signin import Refused, Source
from spectra.errors import BadRequest
from spectra.store import accounts, audit, factors
from spectra.store.accounts import Act
from spectra.store.provenance import links
from tests.api.asking import Browser, desk_of
from tests.api.node import Node
from tests.api.people import PASSWORD, Clock, coordinator, login, make, refusal, signed_in

pytestmark = pytest.mark.engine
HERE = Source("192.0.2.7")
ELSEWHERE = Source("203.0.113.9")


@pytest.fixture
def clock() -> Clock:
    """A clock that the test sets."""
    return Clock()


@pytest.fixture
def desk(node: Node, tmp_path: Path, clock: Clock) -> Iterator[Node]:
    """A coordinator whose clock the test sets."""
    with desk_of(node, tmp_path, clock) as found:
        yield found


def with_app(desk: Node, clock: Clock) -> tuple[str, pyotp.TOTP, tuple[str, ...]]:
    """An account with an authenticator app: its name, the app, its recovery codes. The app's next code is not used."""
    name = make(desk)
    begun = secondfactors.begin_totp(desk.services, name, "phone")
    app = pyotp.TOTP(begun.secret)
    added = secondfactors.finish_totp(desk.services, name, begun.id, app.at(clock.now))
    clock.now += timedelta(seconds=30)
    return name, app, added.recovery_codes


def test_what_an_account_needs(desk: Node, clock: Clock) -> None:
    """Nothing besides its password, until it has a second factor."""
    name = make(desk)
    assert signin.password(desk.services, name, PASSWORD, HERE).needs == ()
    name, _, _ = with_app(desk, clock)
    assert signin.password(desk.services, name, PASSWORD, HERE).needs == ("totp", "recovery")


def test_the_token_endpoint_asks_for_the_code(desk: Node, clock: Clock) -> None:
    """Only whose password was right learns that; the same code does not sign in twice; a recovery code does, once."""
    name, app, recovery = with_app(desk, clock)
    refusal(login(desk, name, "wrong"), 400, "invalid_grant")
    refusal(login(desk, name), 400, "mfa_required")
    refusal(login(desk, name, otp="000000"), 400, "invalid_grant")
    code = app.at(clock.now)
    signed_in(desk, name, otp=code)
    refusal(login(desk, name, otp=code), 400, "invalid_grant")
    signed_in(desk, name, otp=recovery[0])
    refusal(login(desk, name, otp=recovery[0]), 400, "invalid_grant")
    begun = [link.detail() for link in links(desk.services.database) if link.kind == "session.begun"]
    assert [told["by"] for told in begun if told["account"] == name] == ["password+totp", "password+recovery"]


def test_a_code_before_one_that_was_taken_is_over(desk: Node, clock: Clock) -> None:
    """Whoever looked over a shoulder comes too late, even within the window."""
    name, app, _ = with_app(desk, clock)
    earlier = app.at(clock.now)
    clock.now += timedelta(seconds=30)
    assert signin.second(desk.services, name, app.at(clock.now), HERE) == "totp"
    with pytest.raises(Refused):
        signin.second(desk.services, name, earlier, HERE)


def test_the_secret_opens_at_its_own_coordinator_alone(desk: Node, clock: Clock, tmp_path: Path) -> None:
    """Another one, without that key, says so; with the key of the settings it takes the code. The database has none."""
    name, app, recovery = with_app(desk, clock)
    assert not secondfactors.listed(desk.services, name).factors[0].used
    other_folder, seal = tmp_path / "other", tmp_path / "keys" / "seal.key"
    with coordinator(desk, other_folder, clock) as other:
        assert not secondfactors.listed(other.services, name).factors[0].usable
        with pytest.raises(Refused, match="this coordinator"):
            signin.second(other.services, name, app.at(clock.now), HERE)
        assert signin.second(other.services, name, recovery[0], HERE) == "recovery"
    with coordinator(desk, other_folder, clock, seal_key_file=str(seal)) as other:
        assert signin.second(other.services, name, app.at(clock.now), HERE) == "totp"
    held, _ = factors.of(desk.services.database, name)
    assert app.secret.encode() not in (held[0].sealed or b"")


def test_guessing_at_codes_is_slow_and_locks_nobody_out(desk: Node, clock: Clock) -> None:
    """Who has the password may try ten, from everywhere together; a browser that signed in before has its own."""
    name, app, _ = with_app(desk, clock)
    home = Browser(desk)
    home.take(browser.begin(home.request(), home.services, name, grant="password+totp"))
    attempts = 0
    for attempts in range(12):
        try:
            signin.second(desk.services, name, "000000", Source(f"203.0.113.{attempts}"))
        except Refused as refused:
            if refused.retry_after_s:
                break
    assert attempts == 10
    with pytest.raises(Refused) as caught:
        signin.second(desk.services, name, app.at(clock.now), ELSEWHERE)
    assert (caught.value.reason, caught.value.status) == ("temporarily_unavailable", 429)
    home.address = "203.0.113.50"  # the cookie tells it from the others, whatever it shares a network with
    assert signin.second(desk.services, name, app.at(clock.now), Source.of(home.request())) == "totp"


def test_who_guesses_at_a_password_does_not_lock_a_known_browser_out(desk: Node) -> None:
    """Even from the same address, as over Tor: the browser is known, and the guesser is not."""
    name, home = make(desk), Browser(desk, address="127.0.0.1")
    home.take(browser.begin(home.request(), home.services, name, grant="password"))
    shared = Source("127.0.0.1")
    refused = ""
    for _ in range(40):
        try:
            signin.check_password(desk.services, name, "wrong", shared)
        except Refused as error:
            refused = error.reason
        if refused == "temporarily_unavailable":
            break
    assert refused == "temporarily_unavailable"
    with pytest.raises(Refused):
        signin.check_password(desk.services, name, PASSWORD, shared)
    assert signin.check_password(desk.services, name, PASSWORD, Source.of(home.request()))
    stranger = Source("127.0.0.1", (), b"?" * 32)  # a cookie that is nobody's helps nobody
    with pytest.raises(Refused):
        signin.check_password(desk.services, name, PASSWORD, stranger)


def test_refusals_are_gathered(desk: Node) -> None:
    """Five within an hour are one entry, which says where from."""
    name = make(desk)
    for i in range(6):
        with pytest.raises(Refused):
            signin.check_password(desk.services, name, "wrong", Source(f"203.0.113.{i}"))
    told = [link.detail() for link in links(desk.services.database) if link.subject == f"signin:{name}"]
    assert [(detail["count"], detail["source"]) for detail in told] == [(5, "203.0.113.4")]


def test_a_browser_between_the_two(desk: Node, clock: Clock) -> None:
    """It is known for ten minutes, by its cookie alone, and used up once."""
    name, here = make(desk), Browser(desk)
    here.take(signin.wait(here.request(), here.services, name))
    assert signin.waiting(here.request(), here.services) == name
    assert signin.waiting(Browser(desk).request(), here.services) == ""
    assert browser.visitor(here.request(), here.services) is None
    kept = dict(here.cookies)
    here.take(signin.complete(here.request(), here.services))
    assert here.cookies == {}
    here.cookies = kept
    with pytest.raises(Refused):
        signin.complete(here.request(), here.services)
    here.take(signin.wait(here.request(), here.services, name))
    clock.now += timedelta(minutes=10)
    assert signin.waiting(here.request(), here.services) == ""


def test_the_password_again(desk: Node) -> None:
    """For what somebody signed in is asked it for; an account without one is told to get one."""
    name = make(desk)
    signin.require_password(desk.services, name, PASSWORD, HERE)
    with pytest.raises(BadRequest) as wrong:
        signin.require_password(desk.services, name, "wrong", HERE)
    with pytest.raises(BadRequest) as none:
        signin.require_password(desk.services, make(desk, password=None), PASSWORD, HERE)
    assert (wrong.value.reason, none.value.reason) == ("wrong_password", "no_password")


def test_factors_are_on_record(desk: Node, clock: Clock) -> None:
    """What is kept of this account is what the chain says."""
    name, _, recovery = with_app(desk, clock)
    signin.second(desk.services, name, recovery[0], HERE)
    accounts.disable(desk.services.database, name, Act("root", clock.now))
    newest = {link.subject: link.detail() for link in links(desk.services.database)}
    rows = factors.details(desk.services.database)
    mine = {subject: audit.plain(detail) for subject, detail in rows.items() if detail["account"] == name}
    assert len(mine) == 2
    assert {subject: newest[subject] for subject in mine} == mine
