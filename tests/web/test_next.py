"""Open redirects: what a link to the sign-in page may lead to afterwards."""

from __future__ import annotations

from urllib.parse import parse_qs, unquote, urljoin, urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spectra.web.next import HOME, LOGIN, login_path, own_path

BASE = "https://spectra.example"

OURS = [
    "/",
    "/hosts/192.0.2.7",
    "/hosts/2001:db8::7",
    "/search?q=port:22%20country:FR&sort=-seen",
    "/search?next=//evil.example/",
    "/vulns/CVE-2024-6387",
    "/feeds/a%20b",
    "/jobs/",
    "/.well/x",
]
OTHERS = [
    "",
    "evil.example",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "\t//evil.example",
    " //evil.example",
    "/ /evil.example",
    "https://evil.example/",
    "https:evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "/hosts//evil.example",
    "/./evil",
    "/.//evil.example",
    "/../evil",
    "/hosts/..",
    "/hosts/%2e%2e/login",
    "/%2f/evil.example",
    "/%5cevil.example",
    "/%09/evil.example",
    "/a%0d%0aSet-Cookie:x=y",
    "/a%zz",
    "/a\r\nLocation: //evil.example",
    "/a\0b",
    "/ä",
    "/#//evil.example",
    "/?q=<script>",
    "/login?next=/",
    "/logout",
    "/setup",
    "/v0/hosts/192.0.2.7",
    "/static/app.css",
    "/" + "a" * 2000,
]


@pytest.mark.parametrize("path", OURS)
def test_a_path_of_ours_is_followed(path: str) -> None:
    """As it is, query and all."""
    assert own_path(path) == path


@pytest.mark.parametrize("path", OTHERS)
def test_everything_else_leads_home(path: str) -> None:
    """Other hosts, other schemes, what browsers would read otherwise, and pages nobody comes back to."""
    assert own_path(path) == HOME
    assert own_path(path, "/me") == "/me"


def as_a_browser(text: str) -> str:
    """The host a browser goes to: WHATWG URL 4.4 strips tabs and line breaks and takes a backslash for a slash."""
    read = "".join(c for c in text if c not in "\t\n\r").strip().replace("\\", "/")
    return urlsplit(urljoin(BASE + LOGIN, read)).netloc


@settings(max_examples=200)
@given(st.text(st.sampled_from("/\\.\t\n?#@:%25cfevil ä"), max_size=12))
@example("/\\/\\evil.example")
def test_nothing_leads_to_another_host(text: str) -> None:
    """However it is written."""
    assert as_a_browser(own_path(text)) == urlsplit(BASE).netloc


@settings(max_examples=100)
@given(st.text(max_size=30), st.text(max_size=30))
def test_the_way_back_is_the_page_that_was_asked_for(name: str, query: str) -> None:
    """Or it is left out, where it cannot be one; never is anything else named."""
    made = urlsplit(login_path(f"/hosts/{name}", query.replace("%", "%25")))
    assert (made.scheme, made.netloc, made.path) == ("", "", LOGIN)
    if wanted := parse_qs(made.query).get("next"):
        back = urlsplit(wanted[0])
        assert own_path(wanted[0]) == wanted[0]
        assert (unquote(back.path), unquote(back.query)) == (f"/hosts/{name}", query)


def test_the_way_back_of_a_search() -> None:
    """An address with a query survives the trip through the form."""
    made = login_path("/search", "q=port%3A22+os%3A%22a%20b%22")
    assert parse_qs(urlsplit(made).query) == {"next": ["/search?q=port%3A22+os%3A%22a%20b%22"]}
    assert login_path("/") == LOGIN
