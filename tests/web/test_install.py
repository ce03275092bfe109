"""The dashboard in the app of the API: whose errors are told how."""

from __future__ import annotations

import httpx

from spectra.web.page import POLICY
from tests.web.site import Site


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
