"""The page of search: results, facets that add terms, completion, and what is said where nothing is found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from spectra.api.metrics import Metrics
from spectra.model.tiers import Policy
from spectra.web import install
from tests.api.node import Node, serving
from tests.api.routes.weaknesses import flawed
from tests.support import samples
from tests.web.site import Site

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def net(site: Site) -> str:
    """The network of four hosts, each with a product of its own, one with two ports."""
    hosts = [
        samples.nmap_host(f"100.90.1.{n}", *([22, 80] if n == 1 else [80]), product=f"Ware {n}") for n in range(1, 5)
    ]
    site.node.submitted(samples.nmap(*hosts))
    return "100.90.1.0/24"


def test_what_matches_is_listed_and_counted(site: Site, net: str) -> None:
    """With links to its host and its port; the whole number above."""
    page = site.page("/search", "read-only", q=f"net:{net}")
    assert page.status == 200
    assert "5 open endpoints match." in page.words()
    assert len(page.find("//section[@id='results']//tbody/tr")) == 5
    assert page.find("//tbody/tr//a/@href")[:2] == ["/hosts/100.90.1.1", "/hosts/100.90.1.1/22/tcp"]
    assert page.find("//input[@id='q']/@value")[0] == f"net:{net}"


def test_a_bar_adds_its_term_and_takes_it_away(site: Site, net: str) -> None:
    """A facet is a chart of links, with the same links in its table; a term is a chip that can be taken away too."""
    page = site.page("/search", q=f"net:{net}")
    (path,) = set(page.find("//aside//a[starts-with(@aria-label, 'Only 22:')]/@href"))
    assert path in page.find("//aside//table//a/@href")
    with site.visit() as client:
        narrowed = client.get(path).text
    assert "1</strong> open endpoint matches" in narrowed
    chosen = site.page("/search", q=f"net:{net} port:22")
    assert chosen.find("//aside//a[starts-with(@aria-label, 'Without 22:')]/@href")[0].startswith("/search?q=net")
    assert [chip.text_content().split()[0] for chip in chosen.find("//ul[contains(@class, 'chips')]/li")] == [
        f"net:{net}",
        "port:22",
    ]


def test_a_bar_of_severity_counts_what_it_leads_to(site: Site) -> None:
    """Also where a host's finding was settled for itself; beside a severity that is asked for there is no other one."""
    hosts = [flawed(site.node), flawed(site.node)]
    q = f"ip:{hosts[0].ip},{hosts[1].ip}"
    severe = [one for one in hosts[0].ids if one.endswith(hosts[0].cves[0])]
    site.after("/findings", "/findings/triage", "user", id=severe, status="accepted", note="known", until="90d")
    (bar,) = set(site.page("/search", q=q).find("//aside//a[starts-with(@aria-label, 'Only critical:')]"))
    assert bar.get("aria-label") == "Only critical: 2 endpoints"
    chosen = site.page(bar.get("href"))
    assert set(chosen.find("//section[@id='results']//tbody/tr/th/a/@href")) == {f"/hosts/{hosts[1].ip}"}
    assert "2 open endpoints match." in chosen.words()
    words = ("critical", "high", "medium", "low", "none")
    bars = chosen.find("//aside//a/@aria-label")
    assert [one for one in bars if any(word in one for word in words)] == ["Without critical: 2 endpoints"]


def test_pages_follow_one_another(site: Site, net: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order that was asked for, each endpoint once."""
    monkeypatch.setattr("spectra.web.routes.search.SHOWN", 2)
    seen: list[str] = []
    page = site.page("/search", q=f"net:{net}", sort="ip")
    while True:
        seen += page.find("//section[@id='results']//tbody/tr/td[1]/a/@href")
        following = page.find("//a[@rel='next']/@href")
        if not following:
            break
        page = site.page(following[0])
    assert len(seen) == len(set(seen)) == 5
    assert page.find("//nav[@class='pager']/a[.='First page']")


def test_what_cannot_be_read_is_said(site: Site, net: str) -> None:
    """Where it is wrong and what is meant, above what was typed; with the status of a bad request."""
    page = site.page("/search", q="prot:80 <b>")
    assert page.status == 400
    assert page.find("//*[@role='alert']")[0].text_content().startswith("Column 1: there is no field")
    assert page.find("//input[@id='q']/@value")[0] == "prot:80 <b>"
    assert site.page("/search", q=f"net:{net}", sort="size").status == 400


def test_nothing_says_what_to_do_next(site: Site, net: str) -> None:
    """Where nothing matches."""
    page = site.page("/search", q="product:nonesuch")
    assert page.status == 200
    assert "Nothing matches." in page.words()


def test_one_more_facet_is_counted_by(site: Site, net: str) -> None:
    """Of a list; anything else is passed over."""
    page = site.page("/search", q=f"net:{net}", by="version")
    assert "Version" in [caption.text for caption in page.find("//figcaption")]
    assert site.page("/search", q=f"net:{net}", by="<script>").status == 200


def test_findings_belong_to_pro(site: Site, net: str) -> None:
    """Who is Free sees the rest; who asks by findings is told why not."""
    services = replace(site.node.services, metrics=Metrics(), tiers=Policy(mode="earned", threshold=10))
    with serving(services, extend=install.install) as url:
        strict = Site(Node(url, services, site.node.accounts), site.cookies)
        free = strict.page("/search", "user", q=f"net:{net}")
        assert (free.status, free.find("//th[.='Findings']")) == (200, [])
        refused = strict.page("/search", "user", q="kev:true")
        assert (refused.status, "belong to Pro" in refused.words()) == (402, True)
    page = site.page("/search", "read-only", q="kev:true")
    assert page.status == 200


@pytest.mark.parametrize(
    ("word", "offered"),
    [
        ("po", "port:"),
        ("-coun", "-country:"),
        ("protocol:u", "protocol:udp"),
        ("product:ware", 'product:"Ware 1"'),
        ("port:22,8", "port:22,80"),
        ("since:7", "since:7d"),
        ("kev:t", "kev:true"),
        ("domain", "hostname:"),
    ],
)
def test_words_are_completed(site: Site, net: str, word: str, offered: str) -> None:
    """From the fields, from what they may be, and from what is in the graph."""
    with site.visit("read-only") as client:
        answer = client.get("/complete", params={"word": word, "q": word})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    assert offered in [line.partition("\t")[0] for line in answer.text.splitlines()]


def test_nobody_searches_without_signing_in(site: Site) -> None:
    """They are sent to do so, and come back."""
    page = site.page("/search", "", q="port:22")
    assert page.status == 303
    assert page.response.headers["location"] == "/login?next=%2Fsearch%3Fq%3Dport%253A22"
