"""The settings in force on a page."""

from __future__ import annotations

import pytest

from spectra.web.routes.settings import words
from tests.web.site import Site

pytestmark = pytest.mark.engine


def test_settings_are_shown_without_secrets(site: Site) -> None:
    """By section, with where each comes from; the password within the database's URL is on no page."""
    page = site.page("/settings")
    assert "api.body_timeout_s" in page.words()
    assert "20.0 (by itself: 120.0)" in page.words("//tr[th='api.body_timeout_s']")
    assert not page.words("//tr[th='database.url']/td[1]").strip("*")
    assert "spectra_api_" not in page.text  # the name of the database, which the URL ends with
    assert "PostgreSQL" in page.words()


def test_settings_are_looked_for(site: Site) -> None:
    """By key or by what they are for; only those that are no default; or none."""
    assert site.page("/settings", q="argon2id").find("//tbody/tr/th/text()") == ["auth.password_memory_mib"]
    changed = site.page("/settings", changed="true").find("//tbody/tr/th/text()")
    assert "api.body_timeout_s" in changed
    assert "api.port" not in changed
    assert "No such setting." in site.page("/settings", q="zzz").words()


def test_settings_are_the_admins(site: Site) -> None:
    """Nobody else has the page, nor the way to it."""
    assert site.page("/settings", "user").status == 403
    assert site.page("/jobs", "user").find("//nav//a[@href='/settings']") == []


def test_values_as_people_read_them() -> None:
    """Of every type that JSON has."""
    told = [words(value) for value in (None, "", True, False, [], ["a", 1], {}, {"a": 1}, 0, "x")]
    assert told == ["not set", "not set", "yes", "no", "none", "a, 1", "none", "{'a': 1}", "0", "x"]
