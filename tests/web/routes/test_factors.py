"""Second factors on one's own page: setting up, wrong codes, new recovery codes, taking away."""

from __future__ import annotations

from collections.abc import Iterator

import pyotp
import pytest

from spectra.web.routes.factors import qr
from tests.api.people import PASSWORD, make
from tests.web.site import Site
from tests.web.surfing import Surfer, surfing

pytestmark = pytest.mark.engine


@pytest.fixture
def surfer(site: Site) -> Iterator[Surfer]:
    """A browser in which a new account is signed in, on its own page."""
    with surfing(site.node.url) as found:
        found.sign_in(make(site.node))
        found.go("/me")
        yield found


def add_app(surfer: Surfer, name: str = "phone") -> str:
    """Set an app up; its secret. The page shows what came of it."""
    surfer.send("/me/factors/totp", name=name, password=PASSWORD)
    secret = surfer.page.words("//*[@id='secret']")
    surfer.send(finishing(surfer), code=pyotp.TOTP(secret).now())
    return secret


def finishing(surfer: Surfer) -> str:
    """Where the code of the app that is being set up goes."""
    return str(surfer.page.find("//form[starts-with(@action, '/me/factors/totp/')]/@action")[0])


def test_an_app_is_set_up(surfer: Surfer) -> None:
    """A wrong code shows the same once more; a right one gives recovery codes, the first time."""
    surfer.send("/me/factors/totp", name="phone", password=PASSWORD)
    before = surfer.page.words("//*[@id='secret']"), surfer.page.find("//svg[@class='qr']/path/@d")
    assert surfer.send(finishing(surfer), code="12345x").status == 400
    assert (surfer.page.words("//*[@id='secret']"), surfer.page.find("//svg[@class='qr']/path/@d")) == before
    surfer.send(finishing(surfer), code=pyotp.TOTP(before[0]).now())
    assert len(surfer.page.find("//ul[@id='codes']//code")) == 10
    surfer.go("/me")
    assert "phone" in surfer.page.words("//*[@id='factors']")
    add_app(surfer, "tablet")
    assert surfer.told == "tablet is asked for from the next sign-in on."


def test_the_password_is_asked_for_each_time(surfer: Surfer) -> None:
    """Whoever finds an open browser changes nothing."""
    surfer.send("/me/factors/totp", name="phone", password="not the one")
    assert "not the password" in surfer.told
    surfer.go("/me")
    add_app(surfer)
    surfer.go("/me")
    surfer.send("/me/factors/recovery", password="not the one")
    assert "not the password" in surfer.told
    [action] = surfer.page.find("//*[@id='factors']//form[contains(@action, '/remove')]/@action")
    surfer.send(str(action), password="not the one")
    assert "not the password" in surfer.told


def test_new_codes_and_none(surfer: Surfer) -> None:
    """New recovery codes in the place of the old; with the last factor they go."""
    add_app(surfer)
    old = surfer.page.words("//ul[@id='codes']")
    surfer.go("/me")
    surfer.send("/me/factors/recovery", password=PASSWORD)
    new = surfer.page.words("//ul[@id='codes']")
    assert new
    assert new != old
    surfer.go("/me")
    [action] = surfer.page.find("//*[@id='factors']//form[contains(@action, '/remove')]/@action")
    surfer.send(str(action), password=PASSWORD)
    assert "None yet" in surfer.page.words("//*[@id='factors']")


def test_a_form_that_was_bent_is_refused(surfer: Surfer) -> None:
    """What the page brings back to be shown again is only ever what it showed."""
    surfer.send("/me/factors/totp", name="phone", password=PASSWORD)
    for uri in ("", "https://evil.example/", "otpauth://totp/" + "x" * 1000):
        answer = surfer.client.post(
            finishing(surfer), data=surfer.page.form(finishing(surfer)) | {"uri": uri, "code": "1"}
        )
        assert answer.status_code == 400
    token = surfer.page.form("/theme")["csrf"]
    for text in ("", "{", "[]", '"x"', "null", "[" * 5000):
        answer = surfer.client.post("/me/factors/passkey/nothing", data={"csrf": token, "credential": text})
        assert answer.status_code in (200, 400), text
        assert answer.status_code == 400 or "told bad" in answer.text


@pytest.mark.parametrize("text", ["", "a", "otpauth://totp/Spectra:root?secret=ABC&issuer=Spectra", "é" * 40])
def test_the_drawing_of_a_code_is_the_code(text: str) -> None:
    """Every dark module of it, and none beside; four light ones around."""
    import re

    import segno

    code = qr(text or "x")
    wanted = segno.make(text or "x", error="m", micro=False)
    dark: set[tuple[int, int]] = set()
    for x, y, length in re.findall(r"M(\d+) (\d+)\.5h(\d+)", code.path):
        dark |= {(int(x) + n - 4, int(y) - 4) for n in range(int(length))}
    assert dark == {(x, y) for y, row in enumerate(wanted.matrix) for x, bit in enumerate(row) if bit}
    assert code.width == len(list(wanted.matrix)) + 8
