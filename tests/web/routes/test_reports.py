"""Reports: asked for, read in the page and as files, and finished by hand."""

from __future__ import annotations

import pytest

from spectra.ai.reports.reporter import Outcome
from spectra.model.summaries import Target
from spectra.store import reports
from spectra.store.accounts import Act
from tests.api.routes.weaknesses import Flawed, flawed
from tests.support.waiting import eventually
from tests.web.site import Page, Site

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def host(site: Site) -> Flawed:
    """A host with weaknesses."""
    return flawed(site.node)


@pytest.fixture(scope="module")
def made(site: Site, host: Flawed) -> str:
    """The path of a report on it, which was asked for by the form."""
    answer = site.sent("/reports", "/reports", "user", target=host.ip, pattern="full", rules="1")
    path = answer.response.headers["location"]
    eventually(lambda: "data-poll" not in site.page(path).text)
    return path


def test_a_report_is_made_and_read(site: Site, host: Flawed, made: str) -> None:
    """Its sections with numbers that lead to the sources, its tables with the findings."""
    page = site.page(made)
    assert "no language model wrote any of it" in page.words("//section[@id='report']")
    assert page.find("//section[@id='report']//a[@href='#s1']")
    assert page.find(f"//details[@id='sources']//a[@href='/hosts/{host.ip}']")
    assert host.cves[0] in page.words("//main")
    assert len(page.text) < 150_000
    assert made in {link.get("href") for link in site.page("/reports", "admin", ip=host.ip).find("//tbody//th/a")}
    assert "There is no report like that" in site.page("/reports", "admin", ip=host.ip, state="failed").words()


def test_a_form_that_is_sent_twice_asks_for_one_report(site: Site, host: Flawed) -> None:
    """From the list of reports, and by the button of a host's page."""
    for where in ("/reports", f"/hosts/{host.ip}"):
        with site.visit("user") as client:
            form = Page(client.get(where)).form("/reports") | {"target": host.ip, "pattern": "full", "rules": "1"}
            first, again = (client.post("/reports", data=form).headers["location"] for _ in range(2))
        assert first == again


@pytest.mark.parametrize(("form", "start"), [("md", b"# "), ("html", b"<!doctype html>"), ("json", b'{"format"')])
def test_as_a_file(site: Site, made: str, form: str, start: bytes) -> None:
    """To be saved, and with a policy under which nothing in it runs."""
    with site.visit("read-only") as client:
        answer = client.get(f"{made}/content", params={"format": form})
    assert (answer.status_code, answer.content[: len(start)]) == (200, start)
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert "sandbox" in answer.headers["content-security-policy"]


def test_what_cannot_be_asked_is_said_beside_the_form(site: Site) -> None:
    """With what was typed; who may not ask has no form."""
    page = site.sent("/reports", "/reports", "user", target="a:b:c d", pattern="")
    assert (page.status, page.find("//input[@name='target']")[0].get("value")) == (400, "a:b:c d")
    assert not site.page("/reports", "read-only").find("//form[@method='post' and @action='/reports']")
    assert site.page(f"/reports/report-{'0' * 20}").status == 404
    assert site.page("/reports/x").status == 400


def incomplete(site: Site, host: Flawed) -> str:
    """A report of which no model's answer held; its path."""
    job = site.node.services.reports
    assert job is not None
    act = Act(site.node.of("user").name, site.node.services.clock())
    report = reports.ask(site.node.services.database, Target("ip", host.ip), "web", "", act).id
    reasons = ("`summary` is missing.",)
    job.reporter.write(report, job.reporter.gather(report), [Outcome(kind="wrong", reasons=reasons)])
    return f"/reports/{report}"


def test_what_no_model_could_write_is_finished_by_hand(site: Site, host: Flawed) -> None:
    """From the queue: the sections as text, the facts beside them; a wrong citation is told and nothing is lost."""
    path = incomplete(site, host)
    queued = {link.get("href") for link in site.page("/reports/review").find("//tbody//th/a")}
    assert f"{path}/review" in queued
    page = site.page(f"{path}/review")
    assert "F1" in page.words("//section[@id='facts']")
    assert "summary" in page.words("//section[last()]")
    wrong = site.sent(f"{path}/review", f"{path}/finish", **{"section-summary": "All is well. [F999]"})
    assert wrong.status == 400
    assert wrong.find("//textarea[@name='section-summary']")[0].text.strip() == "All is well. [F999]"
    done = site.after(f"{path}/review", f"{path}/finish", **{"section-summary": "One odd service. [F1]"})
    assert "One odd service." in done.words("//section[@id='report']")
    assert "completed by" in done.words("//section[@id='report']")
    assert not site.page(f"{path}/review").find(f"//form[@action='{path}/finish']")
    assert not site.page(f"{path}/review", "read-only").find("//textarea")
