"""Letting a device in by the page: the code it shows, a question, yes or no."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from spectra.api.devices import GRANT
from tests.api.people import bearing, make, refusal, token_request
from tests.web.site import Site
from tests.web.surfing import Surfer, surfing

pytestmark = pytest.mark.engine


@pytest.fixture
def surfer(site: Site) -> Iterator[Surfer]:
    """A browser in which a new account is signed in."""
    with surfing(site.node.url) as found:
        found.sign_in(make(site.node))
        yield found


def waiting(site: Site) -> dict[str, str]:
    """A device that waits to be let in."""
    answer = site.node.ask("POST", "/v0/auth/device", "", data={"client_id": "a laptop"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_device_is_let_in(site: Site, surfer: Surfer) -> None:
    """By typing its code, however that is written, or by its link; then it speaks for the account."""
    asked = waiting(site)
    surfer.go("/device")
    surfer.go("/device", code=asked["user_code"].lower().replace("-", " "))
    assert "a laptop" in surfer.page.words()
    surfer.send("/device", allow="yes")
    assert surfer.at == "/me"
    tokens = token_request(site.node, grant_type=GRANT, device_code=asked["device_code"], client_id="a laptop")
    token = tokens.json()["access_token"]
    surfer.go("/me")
    assert bearing(site.node, token).json()["account"]["name"] in surfer.page.words()
    assert "a laptop" in surfer.page.words("//*[@id='sessions']")


def test_a_device_is_refused(site: Site, surfer: Surfer) -> None:
    """And stays so."""
    asked = waiting(site)
    surfer.go("/device", code=asked["user_code"])
    surfer.send("/device", allow="no")
    assert "refused" in surfer.told
    late = token_request(site.node, grant_type=GRANT, device_code=asked["device_code"], client_id="a laptop")
    refusal(late, 400, "access_denied")


@pytest.mark.parametrize("code", ["BCDF-GHJK", "x", "../../v0/accounts", "%", "é"])
def test_a_code_that_is_none_is_asked_for_again(surfer: Surfer, code: str) -> None:
    """Nothing waits under it."""
    page = surfer.go("/device", code=code)
    assert page.status == 404
    assert page.form("/device") == {"code": ""}
    token = page.form("/theme")["csrf"]
    assert surfer.client.post("/device", data={"csrf": token, "code": code, "allow": "yes"}).status_code == 404
