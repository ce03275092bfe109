"""Pages of alerts: found, looked after and left out, one by one and together."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from tests.support.waiting import eventually
from tests.web.site import Site

pytestmark = pytest.mark.engine

IP = "10.0.90.7"
HOSTILE = "&lt;script&gt;alert(1)&lt;/script&gt;"


def scan(*ports: int) -> bytes:
    """An nmap scan of our host, whose services are called something that would run."""
    listed = "".join(
        f'<port protocol="tcp" portid="{port}"><state state="open"/><service name="http" product="{HOSTILE}"/></port>'
        for port in ports
    )
    return (
        '<?xml version="1.0"?><nmaprun scanner="nmap" start="1780000000" version="7.94">'
        f'<host starttime="1780000000" endtime="1780000001"><status state="up"/><address addr="{IP}" addrtype="ipv4"/>'
        f"<ports>{listed}</ports></host></nmaprun>"
    ).encode()


@pytest.fixture(scope="module")
def rule(site: Site) -> Iterator[str]:
    """A rule that finds two alerts on our host."""
    name = f"pages-{secrets.token_hex(4)}"
    body = {"name": name, "on": ["port.opened"], "query": f"ip:{IP}", "severity": "high", "group": "each"}
    assert site.node.ask("POST", "/v0/alerts/rules", json=body).status_code == 201
    site.node.submitted(scan(80, 81))
    eventually(lambda: len(site.page("/alerts", "read-only", rule=name).find("//tbody/tr")) == 2)
    yield name
    site.node.ask("DELETE", f"/v0/alerts/rules/{name}")


def test_alerts_are_listed_and_one_is_read(site: Site, rule: str) -> None:
    """What a scan says is text; who only reads has nothing to press."""
    page = site.page("/alerts", "read-only", rule=rule)
    assert (len(page.find("//tbody/tr")), len(page.find("//input[@name='id']"))) == (2, 0)
    link = page.find("//tbody//th/a/@href")[0]
    one = site.page(link, "read-only")
    assert (one.status, one.find(f"//section[@id='things']//a[@href='/hosts/{IP}']") != []) == (200, True)
    assert "<script>alert" not in page.text + one.text
    assert not one.find("//main//form[@method='post']")
    assert len(page.text) < 150_000
    assert "Nothing was sent" in one.words("//section[@id='sent']")
    assert "No alert is like that" in site.page("/alerts", "user", rule=rule, severity="critical").words()
    assert site.page("/alerts/alert-none").status == 404


def test_somebody_looks_after_several(site: Site, rule: str) -> None:
    """Those that are ticked, with a line about it; nothing ticked is said."""
    ids = site.page("/alerts", "user", rule=rule).find("//input[@name='id']/@value")
    assert "Tick the alerts first" in site.after("/alerts", "/alerts", "user", id="", ack="1").words("//body")
    done = site.after("/alerts", "/alerts", "user", id=ids, comment="ours", ack="1", next=f"/alerts?rule={rule}")
    assert "2 looked after" in done.words("//body")
    assert "rule=" in str(done.response.url)
    assert "looked after" in done.words("//tbody/tr[1]")
    elsewhere = site.sent("/alerts", "/alerts", "user", id=ids, ack="1", next="https://eve.example/")
    assert elsewhere.response.headers["location"] == "/alerts"


def test_what_one_tells_of_is_left_out(site: Site, rule: str) -> None:
    """For a while; the page of what is left out takes it back, and takes more."""
    link = site.page("/alerts", "user", rule=rule).find("//tbody//th/a/@href")[0]
    muted = site.after(link, f"{link}/mute", "user", comment="known", **{"for": "7d"})
    assert "left out from now on" in muted.words("//body")
    page = site.page("/alerts/mutes", "user")
    assert IP in page.words("//tbody")
    remove = page.find("//tbody//form/@action")[0]
    assert "told again" in site.after("/alerts/mutes", remove, "user").words("//body")
    more = site.after("/alerts/mutes", "/alerts/mutes", "user", ip="10.0.90.9", reason="a camera", cve="cve-2024-6387")
    assert "CVE-2024-6387" in more.words("//tbody")
    more = site.after("/alerts/mutes", "/alerts/mutes", "user", ip="10.0.90.9", reason="a printer", cve="CVE-2024-6387")
    assert "a printer" in more.words("//tbody")
    assert "a camera" not in more.words("//tbody")
    assert "left out" not in site.after("/alerts/mutes", "/alerts/mutes", "user").words("//*[@role='status']")
    assert not site.page("/alerts/mutes", "read-only").find("//main//form[@method='post']")
