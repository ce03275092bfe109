"""Scans that machines do, on pages."""

from __future__ import annotations

import hashlib
import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest

from spectra.model.results import ArtefactClaim
from tests.api.routes.errands import kept, made, toiled
from tests.store import toil
from tests.web.site import Page, Site

pytestmark = pytest.mark.engine


def address() -> str:
    """One that no other test has."""
    octets = secrets.token_bytes(3)
    return f"203.{octets[0] % 100 + 1}.{octets[1]}.{octets[2]}"


def test_a_job_is_asked_for_by_a_form(site: Site) -> None:
    """Its page says what was asked for and who agreed, and the list has it."""
    where = address()
    done = site.after(
        "/jobs/new", "/jobs", targets=where, consent="ticket 4711", ports="22", windows="daily", priority="3"
    )
    words = done.words()
    assert "The job is made: 1 addresses." in words
    assert done.words("//h1") == where
    assert "ticket 4711" in words
    assert "no machine" in words
    link = done.response.url.path
    assert site.page("/jobs", "user").find(f"//th/a[@href='{link}']/text()") == [where]
    assert where not in site.page("/jobs", state="done").words()


def test_a_form_that_is_sent_twice_makes_one_job(site: Site) -> None:
    """A double click, whose two requests come at once, and a reload lead to the same page; filled in otherwise, the
    same page makes another job, and so does the page opened anew.
    """
    with site.visit() as client:
        form = Page(client.get("/jobs/new")).form("/jobs") | {"targets": address(), "consent": "mine"}

        def place(fields: dict[str, str]) -> str:
            answer = client.post("/jobs", data=fields)
            assert answer.status_code == 303
            return answer.headers["location"]

        with ThreadPoolExecutor(2) as pool:
            first, double = pool.map(place, [form, form])
        assert place(form) == first == double
        assert place(form | {"targets": address()}) != first
        anew = Page(client.get("/jobs/new")).form("/jobs")
        assert place(form | {"once": anew["once"]}) != first


def test_what_was_refused_is_sent_again_under_the_same_key(site: Site) -> None:
    """The form that comes back is the same one: where only the answer was lost, nothing is made twice."""
    with site.visit() as client:
        form = Page(client.get("/jobs/new")).form("/jobs")
        back = Page(client.post("/jobs", data=form | {"targets": "10.1.2.3", "consent": "mine"}))
    assert (back.status, back.form("/jobs")["once"]) == (400, form["once"])


def test_what_may_not_be_scanned_is_said_and_the_form_kept(site: Site) -> None:
    """With the status of the API; nothing that was typed is lost."""
    page = site.sent("/jobs/new?targets=10.1.2.3", "/jobs", consent="mine", consent_until="2031-01-01")
    assert page.status == 400
    assert "special-use" in page.words("//p[@role='alert']")
    assert page.words("//textarea[@name='targets']") == "10.1.2.3"
    assert page.find("//input[@name='consent_until']/@value") == ["2031-01-01"]
    for field in ("priority", "consent_until"):
        page = site.sent("/jobs/new?targets=192.0.2.1", "/jobs", consent="mine", **{field: "soon"})
        assert page.status == 400


def test_a_job_is_steered(site: Site) -> None:
    """Paused and resumed, sooner, ended with a reason, and tried again."""
    path = f"/jobs/{made(site.node)['job']}"
    assert "Paused" in site.after(path, f"{path}/pause").words()
    assert "It goes on." in site.after(path, f"{path}/resume").words()
    assert "The priority is 9 now." in site.after(path, f"{path}/priority", priority="9").words()
    over = site.after(path, f"{path}/cancel", reason="no more of it")
    assert "no more of it" in over.words("//section[@id='progress']")
    again = site.after(path, f"{path}/retry")
    assert "1 targets wait again." in again.words()
    assert site.sent(path, f"{path}/priority", priority="1000").response.status_code == 303


def test_a_target_shows_every_attempt_and_its_files(site: Site) -> None:
    """Who tried it, how that ended in words, and the log to be saved."""
    job, (lease,) = toiled(site.node)
    number = kept(site.node, lease, b"a log")
    claim = ArtefactClaim("log", "log.txt", "text/plain", hashlib.sha256(b"a log").hexdigest(), 5)
    toil.submit(
        site.node.services.database,
        lease,
        "failed",
        at=site.node.services.clock(),
        terms=toil.TERMS._replace(attempts=1),
        reason="tool_failed",
        message="nmap: no route to host",
        artefacts=(claim,),
    )
    page = site.page(f"/jobs/{job.job}", state="review")
    (path,) = page.find("//section[@id='targets']//td[2]/a/@href")
    assert path == f"/jobs/{job.job}/targets/{lease.target}"
    target = site.page(path, "user")
    assert "no route to host" in target.words("//section[@id='attempts']")
    assert target.find("//section[@id='files']//a/@href")[0] == f"/files/{number}"
    assert target.find("//button[.='Try again']") == []  # a user may only look
    review = site.page("/jobs/review")
    assert path in review.find("//td/a/@href")
    assert "wait again" in site.after(path, f"/jobs/{job.job}/retry").words()


def test_all_work_is_paused_and_goes_on(site: Site) -> None:
    """On the page that says whether it is handed out."""
    paused = site.after("/jobs", "/handing-out/pause", reason="the move")
    assert "the move" in paused.words("//section[@id='work']")
    assert "Work is handed out again." in site.after("/jobs", "/handing-out/resume").words()


def test_who_may_only_read_sees_no_buttons(site: Site) -> None:
    """And gets no form for a job."""
    job = made(site.node)["job"]
    assert site.page(f"/jobs/{job}", "user").find("//main//button") == []
    assert site.page("/jobs", "user").find("//main//form") == []
    assert site.page("/jobs/new", "user").status == 403


def test_what_is_not_there(site: Site) -> None:
    """A job, a target, and an id that is none."""
    assert site.page(f"/jobs/job-{'0' * 20}").status == 404
    assert site.page(f"/jobs/job-{'0' * 20}/targets/999999").status == 404
    assert site.page("/jobs/rubbish").status == 400
