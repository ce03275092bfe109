"""Schedules on pages."""

from __future__ import annotations

import secrets

import pytest

from spectra.web.routes.schedules import often
from tests.web.site import Site

pytestmark = pytest.mark.engine


def test_the_life_of_a_schedule(site: Site) -> None:
    """Made, shown, changed by the form that shows it as it is, run, let rest and removed."""
    name = f"s-{secrets.token_hex(4)}"
    query = "net:203.0.113.0/24"
    made = site.after(
        "/schedules", "/schedules", name=name, query=query, every="12h", consent="we agreed", min_age="3d", allow=""
    )
    assert f"The schedule {name} stands." in made.words()
    path = f"/schedules/{name}"
    form = made.form("/schedules")
    assert (form["every"], form["min_age"], form["query"], form["priority"]) == ("12h", "3d", query, "-10")
    changed = site.after(path, "/schedules", windows="daily\nmon-fri 22:00-06:00", paused="1")
    assert changed.form("/schedules")["windows"].split("\n") == ["daily", "mon-fri 22:00-06:00"]
    assert "paused" in changed.words("//section[@id='how']")
    assert "It goes on." in site.after(path, f"{path}/resume").words()
    assert "It rests" in site.after(path, f"{path}/pause").words()
    assert "It runs now" in site.after(path, f"{path}/run").words()
    assert name in site.page("/schedules", "user").words("//table")
    gone = site.after(path, f"{path}/remove")
    assert gone.response.url.path == "/schedules"
    assert name not in gone.words("//section[@id='schedules']")
    assert site.page(path).status == 404


@pytest.mark.parametrize("wrong", [{"every": "soon"}, {"query": "nonsense:1"}, {"name": "../x"}, {"consent": ""}])
def test_what_is_refused_is_said_and_the_form_kept(site: Site, wrong: dict[str, str]) -> None:
    """In whichever field it is."""
    fields = {"name": "kept", "query": "port:22", "every": "1d", "consent": "mine", **wrong}
    page = site.sent("/schedules", "/schedules", **fields)
    assert page.status >= 400
    assert page.words("//p[@role='alert']")
    assert page.form("/schedules")["query"] == fields["query"]


def test_who_may_only_read_gets_no_form(site: Site) -> None:
    """Nor a way to send one."""
    assert site.page("/schedules", "user").find("//main//form") == []
    with site.visit("user") as client:
        assert client.post("/schedules", data={}).status_code == 403


def test_how_often_is_written_as_the_form_takes_it() -> None:
    """In the largest unit that divides it."""
    assert [often(seconds) for seconds in (60, 5400, 7200, 86400, 7 * 86400)] == ["1m", "90m", "2h", "1d", "7d"]
