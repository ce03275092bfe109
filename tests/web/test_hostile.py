"""Text of strangers on our pages: banners, titles, certificates, names and notes that try to be markup or script.

What is stored is looked for on every page of the route table, what is reflected is sent to every parameter and field
there is, and a real Chromium says whether any of it ran.
"""

from __future__ import annotations

import html
import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pyotp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.api.people import PASSWORD, bearing, make, signed_in
from tests.support import samples
from tests.support.browser import chromium, needs_chromium, tab
from tests.web.doors import PAGES, Door
from tests.web.site import Page, Site

pytestmark = pytest.mark.engine

MARK = "zq9"
SCRIPT = f"{MARK}</script></textarea></title><script>window.pwned=1</script>"
IMAGE = f"{MARK}'\"--><img src=x onerror=window.pwned=2>"
DRAWN = f"{MARK}<svg/onload=window.pwned=3><a href=javascript:window.pwned=4>x</a>"
FIELD = f'{MARK}" autofocus onfocus=window.pwned=5 x="'
TEMPLATE = f"{MARK}{{{{7*191}}}}{{% raw %}}"
ADDRESS = "javascript:window.pwned=6//"
EVERYTHING = f"{SCRIPT}{IMAGE}{DRAWN}{FIELD}{TEMPLATE}"
WORDS = (SCRIPT, IMAGE, DRAWN, FIELD, TEMPLATE, ADDRESS)
OWN_REFRESH = r"[0-9]+(;\s*url=/[A-Za-z0-9/?=&_-]*)?"
RAW = ("/raw", "/content", "/files/")


# What strangers say --------------------------------------------------------------------------------------------------


def certificate() -> str:
    """A certificate whose names are hostile, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, IMAGE),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, SCRIPT[:64]),
            x509.NameAttribute(NameOID.LOCALITY_NAME, FIELD),
        ]
    )
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=5))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("<img src=x onerror=window.pwned=7>.example")]), False)
        .sign(key, hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.PEM).decode()


def scan(ip: str, at: datetime) -> bytes:
    """What nmap found on a host that says nothing nice."""

    def q(text: str) -> str:
        return html.escape(text, quote=True)

    pem = q(certificate()).replace("\n", "&#10;")
    when = int(at.timestamp())
    host = (
        f'<host starttime="{when}" endtime="{when}"><status state="up" reason="syn-ack"/>\n'
        f'<address addr="{ip}" addrtype="ipv4"/>\n'
        f'<hostnames><hostname name="{q(IMAGE)}" type="PTR"/><hostname name="{q(DRAWN)}" type="user"/></hostnames>\n'
        '<ports><port protocol="tcp" portid="443"><state state="open" reason="syn-ack" reason_ttl="64"/>\n'
        f'<service name="{q(FIELD)}" product="{q(SCRIPT)}" version="{q(IMAGE)}" extrainfo="{q(TEMPLATE)}"'
        f' ostype="{q(DRAWN)}" devicetype="{q(FIELD)}" hostname="{q(IMAGE)}" tunnel="ssl" method="probed" conf="10"/>\n'
        f'<script id="http-title" output="{q(SCRIPT)}"><elem key="title">{q(SCRIPT)}</elem></script>\n'
        f'<script id="banner" output="{q(EVERYTHING)}"/>\n'
        f'<script id="http-server-header" output="{q(ADDRESS)}"/>\n'
        f'<script id="{q("x" + FIELD)}" output="{q(DRAWN)}"/>\n'
        f'<script id="ssl-cert" output="{q(IMAGE)}"><elem key="pem">{pem}</elem></script>\n'
        "</port></ports>\n</host>\n"
    )
    return samples.nmap(host, at=at)


class Stored:
    """A node into which strangers and colleagues have put what they could."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.ip = samples.address()
        now = datetime.now(UTC).replace(microsecond=0)
        receipts = [site.node.submitted(scan(self.ip, now - timedelta(days=days))) for days in (1, 0)]
        self.observation = receipts[-1]["observation_id"]
        self.account = make(site.node, "admin")
        self.tokens = signed_in(site.node, self.account, client_id=EVERYTHING[:190])
        self.cookie = site.signed_in(self.account)
        self.kept = [self._keep(what) for what in (self._law, self._words, self._watch, self._factor)]

    def _keep(self, what: Callable[[], None]) -> str:
        what()
        return what.__name__

    def ask(self, method: str, path: str, **body: Any) -> httpx.Response:
        """A call as the account; it has to be taken."""
        answer = bearing(self.site.node, self.tokens["access_token"], path, method, json=body)
        assert answer.status_code < 300, (path, answer.text)
        return answer

    def _law(self) -> None:
        """A stranger's request, and what an admin wrote."""
        form = {"network": "203.0.113.0/28", "contact": IMAGE, "reason": EVERYTHING}
        assert self.site.node.ask("POST", "/v0/do-not-scan", "", json=form).status_code < 300
        self.ask(
            "POST", "/v0/do-not-scan/entries", network=f"203.0.113.{secrets.randbelow(100) + 32}/32", reason=EVERYTHING
        )
        self.ask("POST", "/v0/blocks", network="203.0.113.240/32", reason=EVERYTHING)

    def _words(self) -> None:
        """A search that is kept: its name, its query."""
        name = f"{MARK} {secrets.token_hex(3)}"
        self.ask("PUT", f"/v0/searches/{name}", query=f'"{IMAGE.replace(chr(34), "")}"')

    def _watch(self) -> None:
        """A rule of alerts with a note and a query."""
        rule = {"name": f"zq9-{secrets.token_hex(3)}", "on": ["port.opened"], "note": EVERYTHING[:500]}
        self.ask("POST", "/v0/alerts/rules", **rule, query=f'"{DRAWN}"')

    def _factor(self) -> None:
        """A second factor with a name."""
        begun = self.ask("POST", "/v0/accounts/me/factors/totp", password=PASSWORD, name=IMAGE[:60]).json()
        code = pyotp.TOTP(begun["secret"]).now()
        self.ask("POST", f"/v0/accounts/me/factors/totp/{begun['id']}", code=code)

    def samples(self) -> dict[str, str]:
        """What stands in the paths of pages, so that they show it."""
        return {"ip": self.ip, "port": "443", "account": self.account, "observation": self.observation, "role": "user"}

    def visit(self) -> httpx.Client:
        """A browser of the account."""
        client = self.site.visit("", follow_redirects=True)
        client.cookies.update(self.cookie)
        return client


@pytest.fixture(scope="module")
def stored(site: Site) -> Stored:
    """All of it, once."""
    return Stored(site)


# Whether a page is harmless ------------------------------------------------------------------------------------------


def wrongs(answer: httpx.Response) -> list[str]:
    """What of a page is not ours, or would run: handlers, scripts, styles, frames, addresses of scripts or others."""
    if not answer.headers.get("content-type", "").startswith("text/html") or not answer.text:
        return []
    found: list[str] = []
    if "1337" in answer.text and TEMPLATE not in html.unescape(answer.text) and f"{MARK}1337" in answer.text:
        found.append("a template ran")
    for element in Page(answer).root.iter():
        if not isinstance(element.tag, str):
            if "pwned" in (element.text or ""):
                found.append("a comment")
            continue
        found += [f"{element.tag} {fault}" for fault in _faults(element.tag.lower(), dict(element.attrib))]
    return found


def _faults(tag: str, attributes: dict[str, str]) -> list[str]:
    found = [name for name in attributes if name.lower().startswith("on") or name.lower() in ("style", "srcdoc")]
    if tag in ("iframe", "object", "embed", "base", "style", "img", "marquee", "foreignobject", "math"):
        found.append("is not ours")
    if tag == "script" and not attributes.get("src", "").startswith("/static/"):
        found.append("without a file of ours")
    if tag == "meta" and "http-equiv" in attributes and not re.fullmatch(OWN_REFRESH, attributes.get("content", "")):
        found.append("http-equiv")
    for name in ("href", "src", "action", "formaction", "xlink:href", "data-poll", "data-lazy", "data-complete"):
        value = re.sub(r"[\s\x00-\x1f]", "", attributes.get(name, "")).lower()
        outside = value.startswith(("http:", "https:"))
        rel = set(attributes.get("rel", "").split())
        if outside and not (tag == "a" and {"noreferrer", "noopener", "nofollow"} <= rel):
            found.append(f"leads outside: {value[:80]}")
        if not outside and (":" in value.split("/")[0].split("?")[0].split("#")[0] or value.startswith("//")):
            found.append(f"{name}={value[:80]}")
    return found


def test_the_check_sees_what_would_run() -> None:
    """Each of the texts, put into a page as it is, is found: the tests below would not pass by accident."""
    for word in (SCRIPT, IMAGE, DRAWN):
        page = httpx.Response(200, html=f"<html><body><p>{word}</p></body></html>")
        assert wrongs(page), word
    assert wrongs(httpx.Response(200, html=f'<html><body><input value="{FIELD}"></body></html>'))
    assert wrongs(httpx.Response(200, html=f'<html><body><a href="{ADDRESS}">x</a></body></html>'))
    assert wrongs(httpx.Response(200, html='<html><body><a href=" //evil.example">x</a></body></html>'))
    safe = html.escape(EVERYTHING)
    assert not wrongs(httpx.Response(200, html=f'<html><body><a href="/search?q={safe}">{safe}</a></body></html>'))


# Stored --------------------------------------------------------------------------------------------------------------


def shown_with(stored: Stored) -> dict[Door, httpx.Response]:
    """Every page that the account can look at."""
    with stored.visit() as client:
        return {door: client.get(door.filled(stored.samples())) for door in PAGES if door.shows}


def test_what_strangers_said_is_text_on_every_page(stored: Stored) -> None:
    """And it is there: pages that show it would not be tested by leaving it out."""
    showing: list[str] = []
    for door, answer in shown_with(stored).items():
        assert not (found := wrongs(answer)), (door.name, found)
        if MARK in answer.text:
            showing.append(door.path)
    must = {"/hosts/{ip}", "/hosts/{ip}/{port}/{protocol}", "/me", "/accounts/{account}", "/exclusions", "/search"}
    assert must <= set(showing)


def test_originals_are_downloads(stored: Stored) -> None:
    """The bytes of a submission or a file are never opened as a page of ours."""
    with stored.visit() as client:
        raw = [door for door in PAGES if door.shows and any(part in door.path for part in RAW)]
        assert raw
        taken = 0
        for door in raw:
            answer = client.get(door.filled(stored.samples()))
            if answer.status_code != 200:
                continue
            taken += 1
            assert answer.headers["content-disposition"].startswith("attachment"), door.name
            assert "nosniff" in answer.headers["x-content-type-options"], door.name
            assert MARK in answer.text or door.path.startswith("/files/"), door.name
    assert taken


# Reflected -----------------------------------------------------------------------------------------------------------


def test_what_a_link_says_is_text(stored: Stored) -> None:
    """Every parameter of every page, every name in a path, and a parameter that nobody asked for."""
    with stored.visit() as client:
        for number, door in enumerate(door for door in PAGES if door.shows):
            word = WORDS[number % len(WORDS)]
            params = dict.fromkeys((*door.queries, "x"), word if number % 2 else EVERYTHING)
            in_path = dict.fromkeys(door.samples, quote(word, safe=""))
            for answer in (
                client.get(door.filled(stored.samples()), params=params),
                *([client.get(door.filled(in_path))] if in_path else []),
            ):
                assert answer.status_code < 500, (door.name, answer.text)
                assert not (found := wrongs(answer)), (door.name, found)


def test_what_a_form_brings_back_is_text(stored: Stored) -> None:
    """Every field of every form that takes text, on the page that is answered."""
    sent = 0
    with stored.visit() as client:
        token = Page(client.get("/keyboard")).form("/theme")["csrf"]
        for door in PAGES:
            if door.method != "POST" or door.path == "/logout":
                continue
            fields = dict.fromkeys(FIELDS, EVERYTHING) | {"csrf": token}
            answer = client.post(door.filled(stored.samples() | {"account": "nothing-here"}), data=fields)
            assert answer.status_code < 500, (door.name, answer.text)
            assert not (found := wrongs(answer)), (door.name, found)
            sent += 1
    assert sent > 40


FIELDS = (
    *("name", "query", "q", "reason", "note", "network", "next", "code", "credential", "uri", "secret", "factor"),
    *("targets", "title", "text", "url", "role", "scope", "trust", "kind", "id", "ip", "target", "preset", "severity"),
    *("on", "outlets", "password", "again", "current", "username", "token", "user_code", "sort", "contact", "until"),
)


# In a real browser ---------------------------------------------------------------------------------------------------


@needs_chromium
def test_nothing_runs_in_a_browser(stored: Stored) -> None:
    """No script of theirs, no refusal of the policy, no dialog, and no request to anywhere but here."""
    url, said = stored.site.node.url, quote(EVERYTHING)
    paths = [
        f"/hosts/{stored.ip}",
        f"/hosts/{stored.ip}/443/tcp",
        f"/hosts/{stored.ip}/around",
        f"/search?q={said}",
        f"/search?q=ip:{stored.ip}",
        "/",
        "/exclusions",
        "/me",
        f"/accounts/{stored.account}",
        f"/nowhere/{said}",
    ]
    with chromium() as browser, tab(browser, cookies=stored.cookie, url=url) as shown:
        for path in paths:
            assert shown.went(url + path) < 500, path
            shown.page.wait_for_load_state("load")
            assert shown.page.evaluate("() => typeof window.pwned") == "undefined", path
            assert shown.faults == [], path
        assert all(asked.startswith(url) for asked in shown.asked)
