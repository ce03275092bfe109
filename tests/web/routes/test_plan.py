"""Plans on pages."""

from __future__ import annotations

import pytest

from tests.support import samples
from tests.web.site import Site

pytestmark = pytest.mark.engine


def test_a_plan_is_made_and_handed_to_machines(site: Site) -> None:
    """What is stale of a selection; the form of a job takes the plan from there."""
    where = samples.address()
    site.node.submitted(samples.scan_of(where, 22))
    made = site.after("/plan", "/plan", net=f"{where}/32", min_age="1m")
    assert made.response.url.path.startswith("/plan/plan-")
    assert f"net:{where}/32" in made.words()
    form = site.page(f"/jobs/new?plan={made.response.url.path.rpartition('/')[2]}")
    assert form.form("/jobs")["plan"] in made.text
    assert made.response.url.path in site.page("/plan").find("//td/a/@href")
    assert made.response.url.path not in site.page("/plan", "user").find("//td/a/@href")  # one's own


def test_what_is_no_selection_is_said(site: Site) -> None:
    """The form keeps it."""
    page = site.sent("/plan", "/plan", q="nonsense:1", min_age="3d")
    assert page.status == 400
    assert "nonsense" in page.words("//p[@role='alert']")
    assert (page.form("/plan")["q"], page.form("/plan")["min_age"]) == ("nonsense:1", "3d")
    assert site.page("/plan/plan-00000000").status == 404
