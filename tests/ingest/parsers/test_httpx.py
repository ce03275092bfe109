"""httpx's JSON lines."""

from __future__ import annotations

from pathlib import Path

from spectra.model.observation import Banner, Evidence, Hostname, HostSeen, NameSeen, Problem, Service
from tests.ingest.parsers.reading import host, lines, of, read

LINE = {
    "timestamp": "2024-01-01T00:00:00Z",
    "url": "https://a.example:8443/",
    "input": "a.example",
    "host": "a.example",
    "host_ip": "192.0.2.1",
    "port": "8443",
    "webserver": "nginx/1.2",
    "title": "Home",
    "status_code": 200,
    "content_type": "text/html",
    "failed": False,
}


def test_a_real_file(shared_data: Path) -> None:
    """Five pages of one server: one endpoint, the front page's title, each page as evidence."""
    (path,) = (shared_data / "scans" / "httpx").iterdir()
    found = host(path.read_bytes())
    (seen,) = found.endpoints
    nginx = Service("http", "nginx", "1.31.3", cpe=("cpe:/a:f5:nginx:1.31.3",))
    assert (found.ip, seen.port, seen.service) == ("172.29.0.2", 80, nginx)
    assert seen.banner == Banner(title="generic-app")
    assert [item.kind for item in seen.evidence] == ["httpx:tech"] + ["httpx:url"] * 5


def test_a_redirect_to_https(shared_data: Path) -> None:
    """Real answers on port 80 that came from 443: certificate, server and title belong to 443."""
    hosts = of(HostSeen, read((shared_data / "scans/osmedeus/http-data.jsonl").read_bytes()))
    assert [h.ip for h in hosts][:2] == ["3.165.75.18", "172.64.151.42"]
    http, https = hosts[0].endpoints
    assert (http.port, http.service, http.certificate, http.banner) == (80, Service("http"), None, None)
    assert https.certificate
    assert https.certificate.subject_cn == "gslink.hackerone.com"
    assert https.certificate.serial == "35496e4f56d953f190d6cecf4f8c26f"
    assert (https.service, https.banner) == (
        Service("http", "nginx", tunnel="tls", cpe=("cpe:/a:f5:nginx",)),
        Banner(title="404 Not Found"),
    )


def test_one_answer() -> None:
    """Every field in its place."""
    extra = {"tech": ["Nginx:1.2", "React"], "cpe": [{"cpe": "cpe:2.3:a:f5:nginx:1.2:*:*:*:*:*:*:*"}]}
    found = host(lines(LINE | extra | {"raw_header": "HTTP/1.1 200 OK\r\nServer: nginx/1.2"}))
    assert found.hostnames == (Hostname("a.example", "user"),)
    (seen,) = found.endpoints
    assert seen.service == Service("http", "nginx", "1.2", tunnel="tls", cpe=("cpe:2.3:a:f5:nginx:1.2:*:*:*:*:*:*:*",))
    assert seen.banner == Banner("HTTP/1.1 200 OK\nServer: nginx/1.2", "Home")
    assert seen.evidence == (
        Evidence("httpx:tech", "Nginx:1.2\nReact"),
        Evidence("httpx:url", "200 text/html Home", "https://a.example:8443/"),
    )


def test_the_front_page_gives_the_title_whenever_it_comes() -> None:
    """Another page's title is used until then."""
    login = LINE | {"url": "https://a.example:8443/login", "title": "Login"}
    assert host(lines(login)).endpoints[0].banner == Banner(title="Login")
    assert host(lines(login, LINE)).endpoints[0].banner == Banner(title="Home")
    assert host(lines(LINE, login)).endpoints[0].banner == Banner(title="Home")


def test_an_answer_of_another_host_says_nothing_of_this_one() -> None:
    """After a redirect away, neither server nor title nor certificate is this host's."""
    tls = {"host": "b.example", "port": "443", "fingerprint_hash": {"sha256": "ab" * 32}}
    (seen,) = host(lines(LINE | {"final_url": "https://b.example/", "tls": tls})).endpoints
    assert (seen.service, seen.banner, seen.certificate) == (Service("http", tunnel="tls"), None, None)
    assert seen.evidence[0].kind == "httpx:url"


def test_where_the_address_comes_from() -> None:
    """`host_ip`, then `host` as versions before 1.6.10 had it, then the first A and AAAA record, then the URL."""
    bare = {key: value for key, value in LINE.items() if key != "host_ip"}
    assert host(lines(bare | {"host": "192.0.2.7"})).ip == "192.0.2.7"
    assert host(lines(bare | {"a": ["192.0.2.8", "192.0.2.9"]})).ip == "192.0.2.8"
    assert host(lines(bare | {"aaaa": ["2001:db8::1"]})).ip == "2001:db8::1"
    assert host(lines(bare | {"url": "http://192.0.2.5:8443/", "host": None, "port": None})).ip == "192.0.2.5"
    (name,) = of(NameSeen, read(lines(bare)))
    assert (name.name, name.evidence[0].kind) == ("a.example", "httpx:url")


def test_what_is_no_answer() -> None:
    """A failed request is nothing; a line without URL or port is a problem; a hash of the wrong kind no certificate."""
    tls = {"fingerprint_hash": {"sha256": "short"}}
    records = read(
        lines(
            LINE | {"failed": True},
            LINE | {"url": "nonsense://"},
            LINE | {"port": "many"},
            LINE | {"tls": tls},
            LINE | {"tls": {}},
        )
    )
    assert [(p.line, p.field) for p in of(Problem, records)] == [(2, "url"), (3, "port")]
    assert of(HostSeen, records)[0].endpoints[0].certificate is None


def test_the_fields_of_version_1_0() -> None:
    """Hyphens in names, and `technologies`."""
    line = {"url": "http://192.0.2.1", "status-code": 301, "technologies": ["PHP"], "title": "Moved"}
    (seen,) = host(lines(line)).endpoints
    assert [item.data for item in seen.evidence] == ["PHP", "301 Moved"]
