"""One's own account: what it shows, the password, and where one is signed in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from spectra.api import browser
from tests.api.people import PASSWORD, make
from tests.web.site import Site
from tests.web.surfing import Surfer, surfing

pytestmark = pytest.mark.engine

NEW = "another sentence, quite long"


@pytest.fixture
def surfer(site: Site) -> Iterator[Surfer]:
    """A browser in which a new account is signed in, on its own page."""
    with surfing(site.node.url) as found:
        found.sign_in(make(site.node))
        found.go("/me")
        yield found


def name_of(surfer: Surfer) -> str:
    """Whose page it is."""
    return surfer.page.words("//dl[1]//dd[1]")


def test_the_password_is_changed(site: Site, surfer: Surfer) -> None:
    """The current one is asked for; other browsers are put out, this one goes on."""
    name = name_of(surfer)
    with surfing(site.node.url) as other:
        other.sign_in(name)
        for current, new, again in (("wrong", NEW, NEW), (PASSWORD, "short", "short"), (PASSWORD, NEW, "differs")):
            surfer.send("/me/password", current=current, password=new, again=again)
            assert "bad" in surfer.page.find("//*[@role='status']/@class")[0]
        surfer.send("/me/password", current=PASSWORD, password=NEW, again=NEW)
        assert "is changed" in surfer.told
        assert surfer.go("/me").status == 200
        assert other.go("/me").response.url.path == "/login"
        other.sign_in(name, NEW)
        assert other.go("/me").response.url.path == "/me"


def test_a_message_is_said_once(surfer: Surfer) -> None:
    """On the page that comes after, not on the next."""
    surfer.send("/me/password", current="x", password=NEW, again="y")
    assert "differ" in surfer.told
    surfer.go("/me")
    assert surfer.told == ""


def test_another_session_is_ended(site: Site, surfer: Surfer) -> None:
    """And this one: by its own button."""
    with surfing(site.node.url) as other:
        other.sign_in(name_of(surfer))
        surfer.go("/me")
        ends = surfer.page.find("//*[@id='sessions']//tr[not(.//*[@class='badge st-good'])]//form/@action")
        surfer.send(str(ends[0]))
        assert surfer.told == "The session has ended."
        assert other.go("/me").response.url.path == "/login"
    [own] = surfer.page.find("//*[@id='sessions']//form/@action")
    surfer.send(str(own))
    assert surfer.page.response.url.path == "/login"


def test_who_has_only_a_token_sets_a_first_password(site: Site) -> None:
    """There is none to ask for; second factors come after."""
    account = site.node.account("user")
    with surfing(site.node.url) as surfer:
        surfer.client.cookies.set(browser.NAME, site.signed_in(account.name)[browser.NAME])
        surfer.go("/me")
        assert account.key.public.keyid[:16] in surfer.page.words("//*[@id='keys']")
        assert "Set a password first" in surfer.page.words("//*[@id='factors']")
        assert "current" not in surfer.page.form("/me/password")
        surfer.send("/me/password", password=NEW, again=NEW)
        assert "is changed" in surfer.told
        assert surfer.page.form("/me/factors/totp")
