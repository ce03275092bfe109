"""`spectra mesh plan` and `spectra plan`: what is asked of the server, and how plans are shown."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from spectra.cli.plan import words_of
from spectra.errors import BadRequest
from tests.cli.conftest import Run
from tests.cli.standin import RECEIVED, StandIn, problem

ID = "plan-0123456789abcdef0123"


def target(number: int) -> dict[str, Any]:
    """The target with this number; the first is the oldest."""
    seen = RECEIVED - timedelta(days=30 - number)
    stale = seen + timedelta(hours=6)
    return {
        "ip": f"192.0.2.{number}",
        "port": 443,
        "protocol": "tcp",
        "service": "https",
        "last_seen": seen.isoformat(),
        "stale_since": stale.isoformat(),
    }


def answer(*numbers: int, cursor: str = "", **fields: Any) -> dict[str, Any]:
    """A plan with these targets."""
    summary = {
        "plan_id": ID,
        "account": "alice",
        "created": RECEIVED.isoformat(),
        "at": RECEIVED.isoformat(),
        "expires": (RECEIVED + timedelta(days=7)).isoformat(),
        "selectors": {"city": "Paris"},
        "min_age_s": None,
        "stale_total": 5,
        "exact": True,
    }
    return {**summary, "left": 5, "targets": [target(n) for n in numbers], "next_cursor": cursor, **fields}


def asked(server: StandIn) -> dict[str, Any]:
    """The body of the one plan that was asked for."""
    (request,) = server.asked("/v0/plan")
    return json.loads(request.body)


# What is asked -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "query"),
    [
        ([], ""),
        (["city", "Paris"], "city:Paris"),
        (["city", "New York", "Paris"], 'city:"New York",Paris'),
        (["city", "Paris", "service", "ssh", "http"], "city:Paris service:ssh,http"),
        (["city", "port", "port", "22"], "city:port port:22"),
        (["common-port", "6379"], "common_port:6379"),
        (["port:22", "nginx"], "port:22 nginx"),
        (["\0-service:http", "net:10.0.0.0/8"], "-service:http net:10.0.0.0/8"),
        (["nginx", "city", "Paris"], "nginx city Paris"),
    ],
)
def test_words_are_selectors_or_a_query(words: list[str], query: str) -> None:
    """The form of appendix B, several values and selectors, and the language of search as it is."""
    assert words_of(words) == query


def test_a_selector_needs_a_value() -> None:
    """And is told what one looks like."""
    with pytest.raises(BadRequest, match=r"a value for service is missing Example: service:ssh"):
        words_of(["city", "Paris", "service"])


def test_options_are_selectors(run: Run, server: StandIn) -> None:
    """Every one of them, beside words."""
    server.say("POST", "/v0/plan", answer(1))
    options = {"city": "Paris", "country": "FR", "region": "Corsica", "asn": "3215", "cloud": "aws", "service": "redis"}
    options |= {"port": "22,80", "common-port": "redis", "net": "10.0.0.0/8", "min-age": "5m"}
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    result = run("mesh", "plan", "product", "nginx", *words, "--limit", "3")
    assert result.code == 0, result.err
    expected = {name.replace("-", "_"): value for name, value in options.items()}
    assert asked(server) == {**expected, "q": "product:nginx", "limit": 3}


def test_a_term_may_exclude(run: Run, server: StandIn) -> None:
    """A word that begins with a minus sign is no option."""
    server.say("POST", "/v0/plan", answer())
    run("mesh", "plan", "port:22", "-service:ssh", "--min-age", "1h")
    assert asked(server)["q"] == "port:22 -service:ssh"


# How it is shown -----------------------------------------------------------------------------------------------------


def test_a_new_plan(run: Run, server: StandIn) -> None:
    """Its id and size, the oldest targets, and the command that goes on."""
    server.say("POST", "/v0/plan", answer(1, 2))
    result = run("mesh", "plan", "city", "Paris", "--limit", "2")
    assert result.err.splitlines() == [
        f"{ID} of 2025-11-01 12:00: 5 stale by service",
        "2 of 5 shown, the oldest; --all prints all.",
        f"Next: spectra scan --plan {ID} --submit",
    ]
    assert result.lines[0].split() == ["ADDRESS", "PORT", "SERVICE", "SEEN", "STALE"]
    assert result.lines[1].split()[:3] == ["192.0.2.1", "443/tcp", "https"]


def test_an_estimate_is_said_to_be_one(run: Run, server: StandIn) -> None:
    """Numbers that were not counted are about right."""
    server.say("POST", "/v0/plan", answer(1, stale_total=1_234_567, left=1_234_567, exact=False, min_age_s=300))
    result = run("mesh", "plan", "--min-age", "5m")
    assert f"{ID} of 2025-11-01 12:00: about 1,234,567 stale by age" in result.err
    assert "1 of about 1,234,567 shown" in result.err


def test_nothing_is_stale(run: Run, server: StandIn) -> None:
    """Then there is nothing to do next."""
    server.say("POST", "/v0/plan", answer(stale_total=0, left=0))
    result = run("mesh", "plan", "city", "Paris")
    assert (result.code, result.out) == (0, "")
    assert "0 stale" in result.err
    assert "Next" not in result.err


def test_json_is_the_plan_and_its_targets(run: Run, server: StandIn) -> None:
    """The plan first, so that a script has its id; then as many targets as asked for, over all pages."""
    server.say("POST", "/v0/plan", answer(1, 2, cursor="c1"))
    server.say("GET", f"/v0/plan/{ID}", answer(3, 4, cursor="c2"), answer(5))
    result = run("mesh", "plan", "city", "Paris", "--all", "--json")
    first, *rest = (json.loads(line) for line in result.lines)
    assert (first["plan_id"], first["stale_total"]) == (ID, 5)
    assert "targets" not in first
    assert [t["ip"] for t in rest] == [f"192.0.2.{n}" for n in range(1, 6)]
    assert [r.params.get("cursor") for r in server.asked(f"/v0/plan/{ID}")] == ["c1", "c2"]


def test_csv_into_a_file(run: Run, server: StandIn, tmp_path: Path) -> None:
    """Chosen fields, for another tool to read."""
    server.say("POST", "/v0/plan", answer(1, 2, 3))
    file = tmp_path / "stale.csv"
    result = run("mesh", "plan", "city", "Paris", "--limit", "2", "-o", file, "--fields", "ip,port")
    assert file.read_text().split() == ["ip,port", "192.0.2.1,443", "192.0.2.2,443"]
    assert "2 targets written" in result.err


def test_showing_a_plan(run: Run, server: StandIn) -> None:
    """As it is now: what is done is told, what is left is listed."""
    server.say("GET", f"/v0/plan/{ID}", answer(4, 5, left=2))
    result = run("plan", "show", ID)
    assert result.code == 0
    assert "5 stale by service, 2 left" in result.err
    assert len(result.lines) == 3
    server.say("GET", f"/v0/plan/{ID}", problem(404, "There is no plan.", reason="not_found"))
    assert run("plan", "show", ID).code == 4


def test_listing_plans(run: Run, server: StandIn) -> None:
    """What each selects, and a hint where there is none."""
    plain = {name: value for name, value in answer().items() if name not in ("targets", "next_cursor", "left")}
    every = {**plain, "selectors": {}, "plan_id": "plan-2"}
    common = {**plain, "selectors": {"q": "port:1", "common_port": 6379}, "plan_id": "plan-3"}
    server.say("GET", "/v0/plan", {"plans": [plain, every, common]}, {"plans": []})
    result = run("plan", "list")
    assert "city:Paris" in result.lines[1]
    assert "everything" in result.lines[2]
    assert "port:1 common_port:6379" in result.lines[3]
    assert "Make one: spectra mesh plan" in run("plan", "list").err
