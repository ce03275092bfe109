"""Signing in by the pages: by password, with a second factor, by a passkey alone; and what those who guess learn."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import argon2
import pyotp
import pytest

from spectra.api import browser
from spectra.api.signin import WAITING
from tests.api.people import PASSWORD, make
from tests.support.passkeys import Authenticator
from tests.web.site import Site
from tests.web.surfing import Surfer, surfing

pytestmark = pytest.mark.engine


@pytest.fixture(autouse=True)
def unhurried(site: Site) -> None:
    """What others tried before does not count here."""
    with site.node.services.database.connection() as connection:
        connection.execute("DELETE FROM login_throttle")


@pytest.fixture
def surfer(site: Site) -> Iterator[Surfer]:
    """A browser in which nobody ever signed in."""
    with surfing(site.node.url) as found:
        yield found


def with_app(site: Site, surfer: Surfer) -> tuple[str, pyotp.TOTP, list[str]]:
    """A new account that has an authenticator app: its name, the app, the recovery codes. Nobody is signed in then."""
    name = make(site.node)
    surfer.sign_in(name)
    surfer.go("/me")
    surfer.send("/me/factors/totp", name="phone", password=PASSWORD)
    app = pyotp.TOTP(surfer.page.words("//*[@id='secret']"))
    [action] = surfer.page.find("//form[starts-with(@action, '/me/factors/totp/')]/@action")
    surfer.send(str(action), code=app.now())
    codes = [code.text_content() for code in surfer.page.find("//ul[@id='codes']//code")]
    surfer.go("/me")
    surfer.send("/logout")
    return name, app, codes


def test_by_password(site: Site, surfer: Surfer) -> None:
    """In, and out again; the page that was asked for comes after."""
    name = make(site.node)
    surfer.go("/me")
    assert surfer.at == "/login?next=%2Fme"
    surfer.send("/login", name=name, password=PASSWORD)
    assert surfer.at == "/me"
    assert name in surfer.page.words()
    assert surfer.go("/login").response.history
    surfer.go("/me")
    surfer.send("/logout")
    assert (surfer.at, surfer.told) == ("/login", "You are signed out.")
    surfer.go("/me")
    assert surfer.at.startswith("/login")


def test_wrong_ones_look_alike(site: Site, surfer: Surfer) -> None:
    """An unknown account, a wrong password, a disabled account, one without a password: one page, the name kept."""
    disabled, keyed, known = make(site.node), make(site.node, password=None), make(site.node)
    assert site.node.ask("PATCH", f"/v0/accounts/{disabled}", json={"disabled": True}).status_code == 200
    pages: set[str] = set()
    for name in (disabled, keyed, known, "nobody-at-all"):
        page = surfer.sign_in(name, PASSWORD if name == disabled else "not the password")
        assert page.status == 400
        assert page.form("/login")["name"] == name
        assert page.form("/login")["password"] == ""
        pages.add(page.text.replace(name, "NAME"))
    assert len(pages) == 1
    assert surfer.told == "The account or the password is wrong."


def test_the_same_work_is_done_for_whoever_asks(site: Site, surfer: Surfer, monkeypatch: pytest.MonkeyPatch) -> None:
    """How long an answer takes tells nothing: each attempt is one hash of the same memory, passes and lanes."""
    disabled, keyed, known = make(site.node), make(site.node, password=None), make(site.node)
    site.node.ask("PATCH", f"/v0/accounts/{disabled}", json={"disabled": True})
    done: list[str] = []
    verify = argon2.PasswordHasher.verify

    def counted(self: argon2.PasswordHasher, stored: Any, password: Any) -> Any:
        done.append(str(stored).rpartition("$")[0].rpartition("$")[0])
        return verify(self, stored, password)

    monkeypatch.setattr(argon2.PasswordHasher, "verify", counted)
    work: set[tuple[str, ...]] = set()
    for name, password in ((disabled, PASSWORD), (keyed, "x"), (known, "x"), ("nobody-at-all", "x"), (known, PASSWORD)):
        done.clear()
        surfer.sign_in(name, password)
        work.add(tuple(done))
    assert len(work) == 1
    assert len(work.pop()) == 1


def test_who_guesses_has_to_wait(site: Site, surfer: Surfer) -> None:
    """429 with the seconds, on the same page; whoever signed in here before still gets in by their own browser."""
    name = make(site.node)
    with surfing(site.node.url) as own:
        own.sign_in(name)
        own.go("/me")
        own.send("/logout")
        answers = [surfer.sign_in(name, "a guess").response for _ in range(8)]
        assert answers[0].status_code == 400
        assert answers[-1].status_code == 429
        assert int(answers[-1].headers["retry-after"]) > 0
        assert "wait" in surfer.told
        own.sign_in(name)
        assert own.go("/me").status == 200
        assert own.at == "/me"


def test_with_an_app(site: Site, surfer: Surfer) -> None:
    """The password alone opens nothing; a wrong code neither; a right one goes on to what was asked for, once."""
    name, app, _ = with_app(site, surfer)
    surfer.go("/accounts/nobody")
    surfer.send("/login", name=name, password=PASSWORD)
    assert surfer.at == "/login/second?next=%2Faccounts%2Fnobody"
    assert browser.NAME not in surfer.client.cookies
    assert surfer.send("/login/second", code="000000").status == 400
    assert "wrong" in surfer.told
    at = site.node.services.clock()
    used = surfer.send("/login/second", code=app.at(at))
    assert used.status == 400  # it was shown when the app was set up
    surfer.send("/login/second", code=app.at(at + timedelta(seconds=30)))
    assert surfer.at == "/accounts/nobody"
    [session] = surfer_sessions(site, name)
    assert session["grant_type"] == "password+totp"
    assert WAITING not in surfer.client.cookies


def surfer_sessions(site: Site, name: str) -> list[dict[str, Any]]:
    """The sessions of an account."""
    return site.node.get("/v0/auth/sessions", account=name).json()["sessions"]


def test_with_a_recovery_code(site: Site, surfer: Surfer) -> None:
    """Each is good once."""
    name, _, codes = with_app(site, surfer)
    assert len(codes) == 10
    for code, status in ((codes[0], 200), (codes[0], 400), (codes[1].upper(), 200)):
        surfer.client.cookies.clear()
        surfer.sign_in(name)
        surfer.send("/login/second", code=code, next="/me")
        assert surfer.page.status == status
    assert surfer.at == "/me"
    assert "8 recovery codes are left" in surfer.page.words("//*[@id='factors']")


def test_the_second_step_needs_the_first(site: Site, surfer: Surfer) -> None:
    """Without a password that was right there is nothing to go on with: back to the beginning."""
    surfer.go("/login/second", next="/me")
    assert surfer.at == "/login?next=%2Fme"
    surfer.client.post("/login/second", data={"code": "123456"})
    surfer.client.cookies.set(WAITING, "A" * 43)
    answer = surfer.client.post("/login/second", data={"code": "123456", "next": "//evil.example"})
    assert answer.url.path == "/login"
    assert "begin again" in answer.text


def test_by_passkey(site: Site, surfer: Surfer) -> None:
    """Made on the page of one's account; then alone, and after the password; another's answer opens nothing."""
    name, key, other = make(site.node), Authenticator(), Authenticator()
    origin = str(surfer.client.base_url).rstrip("/")
    surfer.sign_in(name)
    surfer.go("/me")
    surfer.send("/me/factors/totp", by="/me/factors/passkey", name="key", password=PASSWORD)
    [form] = surfer.page.find("//form[@data-passkey='create']")
    surfer.send(form.get("action"), credential=json.dumps(key.create(json.loads(form.get("data-options")), origin)))
    assert len(surfer.page.find("//ul[@id='codes']//code")) == 10
    surfer.go("/me")
    surfer.send("/logout")
    for at, by in (("/login/passkey", "passkey"), ("/login/second", "password+passkey")):
        if by == "passkey":
            surfer.go(at, next="/me")
        else:
            surfer.sign_in(name)
        [form] = surfer.page.find("//form[@data-passkey='get']")
        options = json.loads(form.get("data-options"))
        other.handle = key.handle
        assert surfer.send(at, credential=other.get(options, origin)).status == 400
        assert surfer.told == "This passkey is not known here, or did not answer rightly."
        surfer.send(at, credential=key.get(options, origin), next="/me")
        assert (surfer.page.status, surfer.at) == (200, "/me")
        assert surfer_sessions(site, name)[0]["grant_type"] == by
        surfer.send("/logout")


def test_under_an_address_there_are_no_passkeys(site: Site) -> None:
    """The page says where there are, and offers the password."""
    page = site.page("/login/passkey", "")
    assert "localhost" in page.words()
    assert page.find("//a[starts-with(@href, '/login')]")
    assert not page.find("//form[@data-passkey]")
