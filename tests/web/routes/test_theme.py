"""Colours, and the page of keys."""

from __future__ import annotations

from tests.web.site import Site


def test_colours_are_remembered_and_lead_back(site: Site) -> None:
    """Without JavaScript: a form, a cookie, the page it was sent from."""
    with site.visit("admin", follow_redirects=True) as client:
        page = client.get("/keyboard")
        assert 'data-theme="auto"' in page.text
        token = page.text.partition('name="csrf" value="')[2].partition('"')[0]
        after = client.post("/theme", data={"csrf": token, "theme": "dark", "next": "/keyboard"})
        assert after.url.path == "/keyboard"
        assert 'data-theme="dark"' in after.text
        strange = client.post("/theme", data={"csrf": token, "theme": "<b>", "next": "//evil.example/"})
        assert strange.url.host == "127.0.0.1"
        assert 'data-theme="dark"' in strange.text
