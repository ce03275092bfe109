"""The NVD's API, spoken with a real server on loopback that answers as it does with real CVEs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from spectra.flow.jobs import stopping
from spectra.flow.nvdapi import OVERLAP, Api, ApiError, Window, windows
from tests.flow.test_download import BOUNDS as SMALL
from tests.flow.test_download import say, site
from tests.flow.vulndesk import BOUNDS, Nvd, cve, real


@pytest.fixture(autouse=True)
def alive() -> None:
    """An engine that ended in this process left word of it."""
    stopping.clear()


NOW = datetime(2026, 8, 1, tzinfo=UTC)
KEY = "0f5e7c1a-secret"


@given(st.timedeltas(timedelta(seconds=1), timedelta(days=9000)))
def test_windows_leave_no_gap(ago: timedelta) -> None:
    """From before the last time until now, each at most 120 days long and beginning where the one before ends."""
    since = NOW - ago
    found = list(windows(since, NOW))
    assert found[0].start == since - OVERLAP
    assert found[-1].end == NOW
    assert [w.end for w in found[:-1]] == [w.start for w in found[1:]]
    assert all(w.start and w.end and timedelta() < w.end - w.start <= timedelta(days=120) for w in found)


def test_the_first_time_all_is_asked_for() -> None:
    """Without a window."""
    assert list(windows(None, NOW)) == [Window()]


def test_pages_of_real_cves(shared_data: Path, tmp_path: Path) -> None:
    """In the order of the API, with how many there are; a window asks for those that changed in it."""
    cves = real(shared_data, 12)
    with Nvd(cves).serving() as server:
        api, to = Api(BOUNDS, pause_s=0), tmp_path / "page"
        seen: list[str] = []
        for first in (0, 5, 10):
            assert api.page(server.url, Window(), first, to) == 12
            seen += [v["cve"]["id"] for v in json.loads(to.read_bytes())["vulnerabilities"]]
        assert seen == [c["id"] for c in cves]
        times = sorted(datetime.fromisoformat(f"{c['lastModified']}+00:00") for c in cves)
        total = api.page(server.url, Window(times[4], times[-1]), 0, to)
        assert total == sum(at >= times[4] for at in times)
        assert server.asked[-1]["lastModStartDate"].endswith("+00:00")
        assert server.asked[0] == {"resultsPerPage": "2000", "startIndex": "0"}


def test_the_key_is_in_the_header_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Not in the address, nor in what is said when it fails, nor in the log; nor does it go where a redirect leads."""
    caplog.set_level("DEBUG")
    with Nvd([cve(1)]).serving() as server:
        api = Api(BOUNDS, SecretStr(KEY))
        api.page(server.url, Window(), 0, tmp_path / "page")
        server.failing = [403]
        with pytest.raises(ApiError) as caught:
            api.page(server.url, Window(), 0, tmp_path / "page")
        assert server.keys == [KEY, KEY]
        assert not any(KEY in str(asked) for asked in server.asked)
        assert KEY not in f"{caught.value!r} {caught.value} {caplog.text} {api._key!r}"
        elsewhere = f"{server.url}?startIndex=0&resultsPerPage=5"
        with site(lambda handler: say(handler, 302, Location=elsewhere)) as url:
            api.page(url, Window(), 0, tmp_path / "page")
        assert server.keys == [KEY, KEY, None]


@pytest.mark.parametrize(
    ("status", "passing"), [(403, True), (429, True), (503, True), (500, True), (404, False), (400, False)]
)
def test_what_passes(tmp_path: Path, status: int, passing: bool) -> None:
    """Who asks too often is told 403, 429 or 503; what was asked for wrongly is wrong the next time, too."""
    with Nvd([cve(1)]).serving() as server:
        server.failing = [status]
        with pytest.raises(ApiError, match=str(status)) as caught:
            Api(BOUNDS).page(server.url, Window(), 0, tmp_path / "page")
    assert caught.value.passing == passing


def test_what_is_no_page(tmp_path: Path) -> None:
    """A web page with status 200, another page than was asked for, a server that is not there, or one not allowed."""
    api = Api(BOUNDS)
    with site(lambda handler: say(handler, 200, b"<html>")) as url, pytest.raises(ApiError, match="no page of CVEs"):
        api.page(url, Window(), 0, tmp_path / "page")
    head = b'{"resultsPerPage":1,"startIndex":0,"totalResults":9,"vulnerabilities":[]}'
    with site(lambda handler: say(handler, 200, head)) as url, pytest.raises(ApiError, match="another page"):
        api.page(url, Window(), 5, tmp_path / "page")
    with pytest.raises(ApiError, match="cannot be reached") as caught:
        api.page(url, Window(), 0, tmp_path / "page")
    assert caught.value.passing
    with pytest.raises(ApiError, match="plain http") as caught:
        Api(SMALL._replace(allow=())).page(url, Window(), 0, tmp_path / "page")
    assert not caught.value.passing


def test_it_is_asked_politely() -> None:
    """Six seconds apart, less with a key; longer after each failure, and in the end not any more."""
    assert Api(BOUNDS).pause_s() == 6.0
    assert Api(BOUNDS, SecretStr(KEY)).pause_s() == 0.6
    api = Api(BOUNDS)
    pauses = [api.pause_s(failures) for failures in range(9)]
    assert pauses == [6, 12, 24, 48, 96, 192, 300, 300, None]
