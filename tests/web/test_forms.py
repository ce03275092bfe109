"""Forms are read whole, bounded, and as browsers send them."""

from __future__ import annotations

import pytest

from spectra.errors import BadRequest
from spectra.web.forms import Form, fresh
from tests.web.site import Site


def test_fields_are_found_by_name() -> None:
    """The first value, or all; white space around it goes, but not around a password."""
    form = Form([("id", "1"), ("id", " 2 "), ("id", ""), ("name", " "), ("password", " x ")])
    assert (form.one("id"), form.all("id"), form.one("name", "nobody")) == ("1", ["1", "2"], "nobody")
    assert (form.exact("password"), form.exact("other")) == (" x ", "")
    assert form.has("name")
    assert form.names() == ["id", "name", "password"]


def test_a_number_is_one_or_named() -> None:
    """What is no whole number names its field."""
    form = Form([("days", "7"), ("hours", "many"), ("none", "")])
    assert (form.number("days"), form.number("none"), form.number("none", 3)) == (7, None, 3)
    with pytest.raises(BadRequest, match="hours has to be a whole number"):
        form.number("hours")


def test_a_form_that_is_sent_twice_has_one_key() -> None:
    """Whatever order its fields come in, and whoever's page it was; filled in otherwise, or anew, it has another."""
    sent = [("csrf", "a"), ("once", fresh()), ("targets", "192.0.2.1"), ("skip", "1")]
    key = Form(sent).key
    assert Form([("csrf", "b"), *sent[:0:-1]]).key == key
    others = ([*sent[:2], ("targets", "192.0.2.2"), sent[3]], sent[:3], [sent[0], ("once", fresh()), *sent[2:]])
    assert len({key, *(Form(other).key for other in others)}) == 4
    assert Form(sent[2:]).key == Form([("once", ""), *sent[2:]]).key == ""


def test_a_form_that_is_none_is_refused(site: Site) -> None:
    """Another media type, too many fields, a NUL: told as a page."""
    with site.visit("admin") as client:
        assert client.post("/theme", json={"theme": "dark"}).status_code == 400
        assert client.post("/theme", data={f"f{n}": "" for n in range(5001)}).status_code == 400
        assert client.post("/theme", data={"theme": "a\0b"}).status_code == 400
        assert client.post("/theme", data={"theme": "x" * (1 << 20)}).status_code == 413
