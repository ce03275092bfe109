"""Submissions and files: what is known of them, and their bytes, which no browser shows as a page."""

from __future__ import annotations

import hashlib

import pytest

from tests.api.routes.errands import kept, toiled
from tests.support import samples
from tests.web.site import Site

pytestmark = pytest.mark.engine


def test_a_submission_and_its_original(site: Site) -> None:
    """Listed, shown with its counts, saved byte by byte as a file."""
    ip = samples.address()
    output = samples.scan_of(ip, 80)
    site.node.submitted(output)
    seen = site.node.get(f"/v0/host/{ip}", history=True).json()["sightings"][0]["observation_id"]
    assert f"/observations/{seen}" in {link.get("href") for link in site.page("/observations").find("//th/a")}
    page = site.page(f"/observations/{seen}")
    assert hashlib.sha256(output).hexdigest() in page.words()
    with site.visit() as client:
        raw = client.get(f"/observations/{seen}/raw")
    assert (raw.status_code, raw.content) == (200, output)
    assert raw.headers["content-type"] == "application/octet-stream"
    assert raw.headers["content-disposition"].startswith("attachment;")
    assert "sandbox" in raw.headers["content-security-policy"]
    assert site.page(f"/observations/{'0' * 64}").status == 404
    assert site.page(f"/observations/{'0' * 64}/raw").status == 404


def test_a_file_of_an_attempt(site: Site) -> None:
    """Whatever it claims to be, it is bytes to be saved under a plain name."""
    _, (lease,) = toiled(site.node)
    number = kept(site.node, lease, b"<script>alert(1)</script>\n", "nmap.log", media_type="text/html")
    with site.visit() as client:
        answer = client.get(f"/files/{number}")
        assert (answer.status_code, answer.content) == (200, b"<script>alert(1)</script>\n")
        assert answer.headers["content-disposition"] == 'attachment; filename="nmap.log"'
        assert answer.headers["content-type"] == "application/octet-stream"
        assert client.get("/files/999999999").status_code == 404
