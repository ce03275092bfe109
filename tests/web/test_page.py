"""What every page has: its headers, its sign-in, its errors, and words that are said once."""

from __future__ import annotations

import gzip

import httpx

from spectra.web.page import POLICY
from tests.web.site import Site


def test_who_is_not_signed_in_is_sent_to_do_so(site: Site) -> None:
    """And back to what was asked for, with its query."""
    answer = site.page("/search", "", q="port:22 product:nginx")
    assert answer.status == 303
    assert answer.response.headers["location"].startswith("/login?next=%2Fsearch%3Fq%3D")


def test_an_error_is_a_page_for_a_browser_and_a_problem_for_others(site: Site) -> None:
    """With the status, the id of the request, and headers as on any page."""
    found = site.page("/nowhere")
    assert (found.status, found.words("//h1")) == (404, "There is nothing here")
    assert found.response.headers["content-security-policy"] == POLICY
    assert found.response.headers["x-request-id"] in found.text
    raw = httpx.get(f"{site.node.url}/nowhere", trust_env=False)
    assert raw.headers["content-type"] == "application/problem+json"


def test_the_api_answers_browsers_with_problems_too(site: Site) -> None:
    """A link into the API shows what a program would see."""
    assert site.page("/v0/nowhere").response.headers["content-type"] == "application/problem+json"


def test_pages_are_packed_for_who_takes_that(site: Site) -> None:
    """And not for others."""
    with site.visit("admin") as client:
        packed = client.get("/keyboard")
        plain = client.get("/keyboard", headers={"accept-encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.num_bytes_downloaded < plain.num_bytes_downloaded / 2


def test_files_are_kept_for_good_under_the_name_of_their_content(site: Site) -> None:
    """A page names them so; the one of now is also there under an old name, not to be kept."""
    [path] = site.page("/keyboard", "").find("//link[@rel='stylesheet']/@href")
    with site.visit("") as client:
        kept, old = client.get(str(path)), client.get("/static/000000000000/app.css")
        assert "immutable" in kept.headers["cache-control"]
        assert kept.headers.get_list("cache-control") == [kept.headers["cache-control"]]
        assert old.headers["cache-control"] == "no-cache"
        assert old.text == kept.text
        assert gzip.decompress(_raw(client, str(path))) == kept.content
        for wrong in ("/static/000000000000/page.py", "/static/000000000000/..%2fpage.py", "/static/x/../page.py"):
            assert client.get(wrong).status_code == 404


def _raw(client: httpx.Client, path: str) -> bytes:
    with client.stream("GET", path) as response:
        return b"".join(response.iter_raw())


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


def test_a_form_that_is_none_is_refused(site: Site) -> None:
    """Another media type, too many fields, a NUL: told as a page."""
    with site.visit("admin") as client:
        assert client.post("/theme", json={"theme": "dark"}).status_code == 400
        assert client.post("/theme", data={f"f{n}": "" for n in range(5001)}).status_code == 400
        assert client.post("/theme", data={"theme": "a\0b"}).status_code == 400
        assert client.post("/theme", data={"theme": "x" * (1 << 20)}).status_code == 413
