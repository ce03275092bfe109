"""What every page has: who may see it, its headers, and words that are said once."""

from __future__ import annotations

from tests.web.site import Site


def test_who_is_not_signed_in_is_sent_to_do_so(site: Site) -> None:
    """And back to what was asked for, with its query."""
    answer = site.page("/search", "", q="port:22 product:nginx")
    assert answer.status == 303
    assert answer.response.headers["location"].startswith("/login?next=%2Fsearch%3Fq%3D")


def test_pages_are_packed_for_who_takes_that(site: Site) -> None:
    """And not for others."""
    with site.visit("admin") as client:
        packed = client.get("/keyboard")
        plain = client.get("/keyboard", headers={"accept-encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.num_bytes_downloaded < plain.num_bytes_downloaded / 2


def test_what_is_said_is_said_once(site: Site) -> None:
    """After a form was taken the next page tells so, and the one after it does not; markup in it stays text."""
    with site.visit("admin", follow_redirects=True) as client:
        page = client.get("/keyboard")
        assert 'role="status"' not in page.text
        client.cookies.set("told", "WyI8Yj5TYXZlZC48L2I-IixmYWxzZV0=", domain="127.0.0.1", path="/")
        told = client.get("/keyboard")
        assert "&lt;b&gt;Saved.&lt;/b&gt;" in told.text
        assert 'role="status"' not in client.get("/keyboard").text
        client.cookies.set("told", "nonsense", domain="127.0.0.1", path="/")
        assert client.get("/keyboard").status_code == 200


def test_a_scope_that_is_not_held_is_refused_by_the_page(site: Site) -> None:
    """Before anything is asked: a reader sees no accounts."""
    refused = site.page("/accounts", "read-only")
    assert (refused.status, refused.words("//h1")) == (403, "You may not do this")
