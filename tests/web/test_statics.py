"""Styles and scripts: kept for good by browsers, and nothing else of the package is served."""

from __future__ import annotations

import gzip

import httpx
import pytest

from spectra.web import statics
from tests.web.site import Site


def _raw(client: httpx.Client, path: str) -> bytes:
    with client.stream("GET", path) as response:
        return b"".join(response.iter_raw())


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


def test_a_template_that_names_no_file_fails() -> None:
    """At once, and not in a browser."""
    with pytest.raises(KeyError):
        statics.path("nothing.js")
