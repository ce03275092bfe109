"""What a button's answer is: back with words, or a problem."""

from __future__ import annotations

import pytest

from tests.api.people import make
from tests.web.site import Site

pytestmark = pytest.mark.engine


def test_well_and_not_well_are_said_where_the_button_was(site: Site) -> None:
    """303 both ways; the words are on the page that comes next."""
    name = make(site.node)
    path = f"/accounts/{name}"
    for trust, words in (("0.5", "Saved."), ("7", "trust")):
        assert site.sent(path, f"{path}/change", "admin", trust=trust).response.headers["location"] == path
        assert words in site.after(path, f"{path}/change", "admin", trust=trust).words("//*[@role='status']")


def test_what_is_not_there_stays_a_problem(site: Site) -> None:
    """404, as the API says it."""
    token = site.page("/accounts").form("/accounts")["csrf"]
    with site.visit("admin") as client:
        assert client.post("/accounts/nobody-at-all/change", data={"csrf": token, "trust": "1"}).status_code == 404
