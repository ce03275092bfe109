"""Cookies, and the origin that a browser sees us at."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

import pytest

from spectra.api import cookies
from spectra.settings import WebSettings
from tests.api.asking import Browser
from tests.api.node import Node

pytestmark = pytest.mark.engine
SECRET = cookies.new_secret()


def served(node: Node, origin: str = "", *proxies: str) -> Node:
    """The node with these settings; nothing is served."""
    networks = tuple(ip_network(text) for text in proxies)
    return replace(node, services=replace(node.services, web=WebSettings(origin=origin), trusted_proxies=networks))


def test_a_cookie_comes_back(node: Node) -> None:
    """To us alone: no script reads it, no other site's form brings it along; and it can be taken away."""
    browser = Browser(served(node))
    browser.take(lambda response: cookies.put_cookie(browser.request(), response, "spectra", SECRET, 600))
    assert browser.set == [f"spectra={SECRET}; HttpOnly; Max-Age=600; Path=/; SameSite=lax"]
    assert cookies.secret_cookie(browser.request(), "spectra") == SECRET
    browser.take(lambda response: cookies.drop_cookie(browser.request(), response, "spectra"))
    assert cookies.secret_cookie(browser.request(), "spectra") == ""


def test_over_https_no_other_host_can_set_it(node: Node) -> None:
    """By its name, which browsers take only with Secure, a path of / and no domain; one without is not looked at."""
    browser = Browser(served(node))
    asked = browser.request(scheme="https")
    browser.take(lambda response: cookies.put_cookie(asked, response, "spectra", SECRET, 600))
    assert browser.set == [f"__Host-spectra={SECRET}; HttpOnly; Max-Age=600; Path=/; SameSite=lax; Secure"]
    assert cookies.secret_cookie(browser.request(scheme="https"), "spectra") == SECRET
    browser.cookies = {"spectra": SECRET}
    assert cookies.secret_cookie(browser.request(scheme="https"), "spectra") == ""


@pytest.mark.parametrize("value", ["", "x", "x" * 44, "é" * 43])
def test_what_we_cannot_have_set_is_none(node: Node, value: str) -> None:
    """It is not looked up."""
    browser = Browser(served(node))
    browser.cookies["spectra"] = value
    assert cookies.secret_cookie(browser.request(), "spectra") == ""


def test_the_origin_is_what_the_browser_asked_for(node: Node) -> None:
    """In lower case; whoever ends TLS for us is in the settings, or is a proxy that they trust."""
    assert cookies.origin_of(Browser(served(node), host="LocalHost:8765").request()) == "http://localhost:8765"
    public = Browser(served(node, "https://s.example.org"), host="s.example.org")
    assert cookies.origin_of(public.request()) == "https://s.example.org"
    public.host = "other.example.org"
    assert cookies.origin_of(public.request()) == "http://other.example.org"
    proxied = Browser(served(node, "", "192.0.2.1/32"), host="s.example.org")
    said = proxied.request(peer="192.0.2.1", x_forwarded_proto="https")
    assert cookies.origin_of(said) == "https://s.example.org"
    strangers = proxied.request(peer="192.0.2.2", x_forwarded_proto="https")
    assert cookies.origin_of(strangers) == "http://s.example.org"
    assert cookies.origin_of(proxied.request(peer="192.0.2.1", x_forwarded_proto="gopher")) == "http://s.example.org"


def test_a_browser_is_known_by_a_cookie(node: Node) -> None:
    """As its digest; one without is not."""
    browser = Browser(served(node))
    assert cookies.known_browser(browser.request()) == b""
    browser.cookies[cookies.BROWSER] = SECRET
    assert cookies.known_browser(browser.request()) == cookies.digest(SECRET)
    assert len(cookies.digest(SECRET)) == 32
