"""What a hostile site, link or neighbour could try against a browser that is signed in; made from the route table."""

from __future__ import annotations

import base64
import logging
import re
import secrets
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import httpx
import pytest

from spectra.api import browser
from spectra.settings.web import WebSettings
from spectra.web import install
from spectra.web.page import POLICY
from tests.api.node import Node, serving
from tests.api.people import PASSWORD, make
from tests.web.doors import PAGES, Door
from tests.web.site import Page, Site

pytestmark = pytest.mark.engine

SOURCE = Path(install.__file__).parent
POSTS = [door for door in PAGES if door.method != "GET"]
FORGED = ({"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "https://evil.example"})
KINDS = ("application/json", "text/plain", "multipart/form-data; boundary=x")


@pytest.fixture(scope="module")
def admin(site: Site) -> Iterator[httpx.Client]:
    """A browser in which an admin is signed in."""
    with site.visit("admin") as client:
        yield client


@pytest.fixture(scope="module")
def shown(site: Site, admin: httpx.Client) -> dict[Door, httpx.Response]:
    """Every page as an admin sees it."""
    samples = {"account": site.node.of("admin").name, "role": "user"}
    return {door: admin.get(door.filled(samples)) for door in PAGES if door.shows}


def cookies_of(answer: httpx.Response) -> dict[str, str]:
    """The attributes of each cookie that an answer sets, in lower case, by its name."""
    found = answer.headers.get_list("set-cookie")
    return {text.partition("=")[0]: text.partition(";")[2].lower() for text in found}


def sign_in(client: httpx.Client, name: str, password: str = PASSWORD, **fields: str) -> httpx.Response:
    """Send the form of the sign-in page."""
    return client.post("/login", data={"name": name, "password": password, **fields})


# Headers -------------------------------------------------------------------------------------------------------------


def test_every_page_has_the_headers_that_keep_others_out(site: Site, shown: dict[Door, httpx.Response]) -> None:
    """Its errors and redirects too: a strict policy, no framing, no sniffing, nothing kept, no address told."""
    with site.visit("") as client:
        redirects = {door: client.get(door.filled()) for door in shown}
    for door, answer in [*shown.items(), *redirects.items()]:
        headers = answer.headers
        policy = "default-src 'none'; sandbox" if "content-disposition" in headers else POLICY
        assert headers.get("content-security-policy") in (policy, POLICY), door.name
        assert set(headers.get_list("x-content-type-options")) == {"nosniff"}, door.name
        assert headers["x-frame-options"] == "DENY", door.name
        assert headers["referrer-policy"] == "same-origin", door.name
        assert headers["cross-origin-opener-policy"] == "same-origin", door.name
        assert headers["cross-origin-resource-policy"] == "same-origin", door.name
        assert "no-store" in headers["cache-control"], door.name
        assert "access-control-allow-origin" not in headers, door.name


def test_the_policy_allows_nothing_but_files_of_ours() -> None:
    """No inline script or style, no other host, no form that goes elsewhere, no frame around us."""
    rules = {rule.split()[0]: " ".join(rule.split()[1:]) for rule in POLICY.split(";")}
    assert rules["default-src"] == rules["base-uri"] == rules["frame-ancestors"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["form-action"] == rules["connect-src"] == "'self'"
    assert not re.search(r"unsafe|nonce|\*|http", POLICY)


def test_templates_hold_nothing_that_the_policy_forbids() -> None:
    """No text that is put in as it is, no script or style in a page, no handler, no address of a script."""
    found = [*SOURCE.glob("templates/*.html")]
    assert len(found) > 5
    wrong = re.compile(
        r"<style|<[^>]*\s(style|on[a-z]+)\s*=|<script(?![^>]*\bsrc=)|javascript:|<iframe|<base\b",
        re.IGNORECASE,
    )
    for path in found:
        text = path.read_text()
        assert not re.search(r"\|\s*safe\b|autoescape", text), path.name
        markup = re.sub(r"\{[%{#].*?[%}#]\}", "", text, flags=re.DOTALL)
        assert not (hit := wrong.search(markup)), (path.name, hit and hit.group())


def test_only_our_drawings_are_markup() -> None:
    """`Markup` is made by filters and the form's token of what stands there; of text only by charts, which escape."""
    for path in SOURCE.rglob("*.py"):
        for call in re.findall(r"Markup\(\s*([^\s)])", path.read_text()):
            assert call in "'\")" or path.parent.name == "charts", path.name
        assert not re.search(r"Markup\(f[\"']", path.read_text()), path.name


# Forgery -------------------------------------------------------------------------------------------------------------


def forms() -> list[Door]:
    """What a form of a page is sent to."""
    assert len(POSTS) > 10
    return POSTS


def test_no_page_changes_anything_without_a_form() -> None:
    """Every route of a page is a GET that shows or a POST that acts."""
    assert {door.method for door in PAGES} == {"GET", "POST"}


def test_a_form_of_another_site_is_refused(site: Site) -> None:
    """Whatever it is sent to, by what browsers say of where it comes from: even with the right token."""
    token = site.page("/keyboard").form("/theme")["csrf"]
    with site.visit("admin") as client:
        del client.headers["sec-fetch-site"]
        for number, door in enumerate(forms()):
            headers = FORGED[number % len(FORGED)]
            answer = client.post(door.filled(), data={"csrf": token}, headers=headers)
            assert answer.status_code == 403, (door.name, headers)
            assert "was not sent by a page" in answer.text, door.name


def test_a_form_without_its_token_is_refused(site: Site, admin: httpx.Client) -> None:
    """None, another account's, the one of another browser of the same account, one cut short, one of another length."""
    right = site.page("/keyboard").form("/theme")["csrf"]
    with site.visit("") as client:
        client.cookies.update(site.signed_in(site.node.of("admin").name))
        of_another_browser = Page(client.get("/keyboard")).form("/theme")["csrf"]
    of_another = site.page("/keyboard", "user").form("/theme")["csrf"]
    wrong = ("", of_another_browser, of_another, right[:-4], f"{right}AAAA", "é", "%")
    for number, door in enumerate(forms()):
        token = wrong[number % len(wrong)]
        answer = admin.post(door.filled(), data={"csrf": token})
        assert answer.status_code == 403, (door.name, token)
        assert "was not sent by a page" in answer.text, door.name


def test_a_form_of_another_media_type_is_refused(admin: httpx.Client) -> None:
    """A page of another site can send text and files without asking first; neither is taken."""
    for number, door in enumerate(forms()):
        media_type = KINDS[number % len(KINDS)]
        answer = admin.post(door.filled(), content=b'{"csrf":"x"}', headers={"content-type": media_type})
        assert answer.status_code == 400, (door.name, media_type)


def test_a_token_is_another_each_time_and_holds_each_time(site: Site) -> None:
    """Pages are compressed: what is secret in them must not stand still (BREACH)."""
    shown = {site.page("/me").form("/theme")["csrf"] for _ in range(4)}
    assert len(shown) == 4
    halves = {base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))[32:] for text in shown}
    assert len(halves) == 4
    for token in shown:
        with site.visit("admin") as client:
            assert client.post("/theme", data={"csrf": token, "theme": "auto"}).status_code == 303


def test_every_form_that_acts_brings_its_token(shown: dict[Door, httpx.Response]) -> None:
    """On every page that can be shown: a form with method post has a token; one with method get has none to leak."""
    seen = 0
    for door, answer in shown.items():
        if answer.status_code != 200 or not answer.headers["content-type"].startswith("text/html") or not answer.text:
            continue
        for form in Page(answer).root.forms:
            fields = dict(form.fields)
            posts = (form.get("method") or "get").lower() == "post"
            assert bool(fields.get("csrf")) is posts, (door.name, form.get("action"))
            assert re.match(r"/(?!/)", form.get("action") or "/"), (door.name, form.get("action"))
            assert posts or not any(i.get("type") == "password" for i in form.inputs), door.name
            seen += 1
    assert seen > 20


# Fixation and cookies ------------------------------------------------------------------------------------------------


def test_signing_in_makes_a_new_secret_and_ends_the_old_session(site: Site) -> None:
    """A cookie that somebody planted is worth nothing afterwards, a session that stood before has ended."""
    name, planted = make(site.node), secrets.token_urlsafe(32)
    with site.visit("") as client:
        client.cookies.set(browser.NAME, planted)
        first = sign_in(client, name)
        assert first.status_code == 303
        given = first.cookies[browser.NAME]
        assert given != planted
        client.cookies = httpx.Cookies({browser.NAME: given})
        token = Page(client.get("/me")).form("/theme")["csrf"]
        again = sign_in(client, name, csrf=token).cookies[browser.NAME]
    statuses = {value: visited(site, value).status_code for value in (planted, given, again)}
    assert statuses == {planted: 303, given: 303, again: 200}


def visited(site: Site, cookie: str, path: str = "/me") -> httpx.Response:
    """A page as a browser with this cookie gets it."""
    with site.visit("") as client:
        client.cookies.set(browser.NAME, cookie)
        return client.get(path)


def test_signing_out_ends_the_session_at_the_server(site: Site) -> None:
    """A copy of the cookie is worth nothing afterwards; and it is taken from the browser."""
    cookie = site.signed_in(make(site.node))[browser.NAME]
    token = Page(visited(site, cookie)).form("/logout")["csrf"]
    with site.visit("") as client:
        client.cookies.set(browser.NAME, cookie)
        gone = client.post("/logout", data={"csrf": token})
    assert gone.status_code == 303
    assert "max-age=0" in cookies_of(gone)[browser.NAME]
    assert visited(site, cookie).status_code == 303


def test_cookies_are_for_us_alone(site: Site) -> None:
    """No script reads them, no form of another site brings them, no other host or path gets them."""
    with site.visit("") as client:
        set_by = [client.post("/theme", data={"theme": "dark"}), sign_in(client, make(site.node))]
    named = {name: text for answer in set_by for name, text in cookies_of(answer).items()}
    assert {browser.NAME, "theme"} <= named.keys()
    for name, attributes in named.items():
        assert "httponly" in attributes, name
        assert "samesite=lax" in attributes, name
        assert "path=/" in attributes, name
        assert "domain" not in attributes, name


def test_over_https_they_are_secure_and_bound_to_the_host(site: Site) -> None:
    """As a proxy that we trust says it is; another's word does not count."""
    name = make(site.node)
    services = replace(
        site.node.services, trusted_proxies=(ip_network("127.0.0.1/32"),), web=WebSettings(origin="https://s.example")
    )
    with serving(services, extend=install.install) as url:
        told = {"x-forwarded-proto": "https", "x-forwarded-for": "192.0.2.9", "host": "s.example"}
        with Site(Node(url, services)).visit("") as client:
            secure = cookies_of(sign_in_by(client, name, told))
    assert "secure" in secure[f"__Host-{browser.NAME}"]
    assert browser.NAME not in secure
    with site.visit("") as client:
        plain = cookies_of(sign_in_by(client, name, {"x-forwarded-proto": "https"}))
    assert browser.NAME in plain


def sign_in_by(client: httpx.Client, name: str, headers: dict[str, str]) -> httpx.Response:
    """Sign in with further header fields."""
    return client.post("/login", data={"name": name, "password": PASSWORD}, headers=headers)


def test_a_cookie_is_no_token_and_a_token_no_cookie(site: Site) -> None:
    """The API takes no cookie, so that no form of another site can call it; a page takes no token."""
    with site.visit("admin") as client:
        assert client.get("/v0/accounts/me").status_code == 401
    with site.node.client("admin") as program:
        answer = program.get("/me", headers={"accept": "text/html"})
        assert (answer.status_code, answer.headers["location"][:6]) == (303, "/login")


# Where signing in leads ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", ["//evil.example/", "https://evil.example", "/\\evil.example", "/\t/evil.example"])
def test_signing_in_leads_to_no_other_site(wanted: str, site: Site) -> None:
    """By the form, by the link to it, or where somebody is signed in already."""
    name = make(site.node)
    assert site.page("/login", "", next=wanted).form("/login").get("next", "") == ""
    with site.visit("") as client:
        assert sign_in(client, name, next=wanted).headers["location"] == "/"
    assert site.page("/login", "admin", next=wanted).response.headers["location"] == "/"


def test_signing_in_leads_back(site: Site) -> None:
    """To the page that was asked for, with its query."""
    asked = site.page("/accounts", "", after="b c").response.headers["location"]
    with site.visit("") as client:
        wanted = Page(client.get(asked)).form("/login")["next"]
        answer = sign_in(client, make(site.node, "admin"), next=wanted)
    assert answer.headers["location"] == wanted == "/accounts?after=b+c"


# Secrets -------------------------------------------------------------------------------------------------------------


def test_no_secret_is_logged(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Neither what is typed into forms, nor what stands behind a question mark, nor a cookie."""
    caplog.set_level(logging.DEBUG, logger="spectra")
    name = make(site.node)
    with site.visit("") as client:
        sign_in(client, name, "a wrong one, but secret")
        cookie = sign_in(client, name).cookies[browser.NAME]
        client.get("/setup", params={"token": "a-token-in-the-address"})
    told = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert "/login" in told
    for secret in (PASSWORD, "a wrong one", "a-token-in-the-address", cookie):
        assert secret not in told
