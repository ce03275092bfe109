"""Free and Pro over HTTP: earned by signed submissions, given and taken by admins, and who is on the leaderboard."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from spectra.flow.submission import Ingest
from spectra.ingest.gate import Policy as GatePolicy
from spectra.ingest.rate import RateLimiter
from spectra.model.tiers import Policy
from spectra.store import ledger
from spectra.store.audit_trail import acts
from tests.api.node import Account, Node, is_problem
from tests.api.people import Clock, on_record
from tests.api.routes.weaknesses import settled
from tests.store.weak import Weak
from tests.support import samples
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine

QUESTION = "/v0/search?q=has:finding"
POLICY = Policy("own", threshold=4, window_days=3, daily_cap=0)


@pytest.fixture
def clock() -> Clock:
    """Now, until a test says otherwise."""
    return Clock()


@pytest.fixture
def desk(node: Node, clock: Clock) -> Iterator[Node]:
    """A coordinator where little makes an account Pro, on a clock of the test's own."""
    services = node.services
    ingest = Ingest(
        services.database,
        services.blobs,
        policy=GatePolicy(max_envelope_bytes=4 << 20, max_age_s=86400, max_ahead_s=300, rate_per_minute=0),
        limiter=RateLimiter(0),
        max_output_bytes=64 << 20,
        clock=clock,
    )
    with node.variant(tiers=POLICY, clock=clock, ingest=ingest) as other:
        yield other
    ingest.close()


def scan(clock: Clock, *ports: int, ip: str = "") -> bytes:
    """A scan of now that found these ports open on a host that nobody saw before."""
    return samples.scan_of(ip or samples.address(), *ports, at=clock())


def contribute(desk: Node, account: Account, clock: Clock, *ports: int, ip: str = "") -> httpx.Response:
    """Submit such a scan, signed by the account."""
    response = desk.submit(account.seal(scan(clock, *ports, ip=ip), now=clock()))
    assert response.status_code == 200, response.text
    return response


def as_account(desk: Node, account: Account, method: str, path: str, **options: Any) -> httpx.Response:
    """A request with the token of the account."""
    return desk.ask(method, path, "", headers={"authorization": f"Bearer {account.token}"}, **options)


def standing(desk: Node, account: Account) -> dict[str, Any]:
    """Where the account stands."""
    response = as_account(desk, account, "GET", "/v0/account")
    assert response.status_code == 200, response.text
    return response.json()


def give(desk: Node, name: str, tier: str, until: datetime | None = None, role: str = "admin") -> httpx.Response:
    """Have an account's tier decided by a role."""
    body = {"tier": tier} | ({"until": until.isoformat()} if until else {})
    return desk.ask("PUT", f"/v0/accounts/{name}/tier", role, json=body)


def test_a_contributor_earns_pro(desk: Node, clock: Clock) -> None:
    """402 that says how far it is; each signed submission counts; then 200; and 402 again once the days are over."""
    account, first = desk.account(), clock().date()
    refused = is_problem(as_account(desk, account, "GET", QUESTION), 402, "pro_required")
    assert "0 of the 4 endpoints" in refused["detail"]
    assert f"spectra accounts tier {account.name} pro" in refused["hint"]
    contribute(desk, account, clock, 22, 80)
    clock.now += timedelta(days=1)
    contribute(desk, account, clock, 443)
    assert "3 of the 4" in is_problem(as_account(desk, account, "GET", QUESTION), 402, "pro_required")["detail"]
    contribute(desk, account, clock, 443)
    assert as_account(desk, account, "GET", QUESTION).status_code == 200
    found = standing(desk, account)
    assert (found["tier"], found["why"], found["today"], found["window"], found["total"]) == ("pro", "earned", 2, 4, 4)
    assert found["until"] == (datetime(first.year, first.month, first.day, tzinfo=UTC) + timedelta(days=3)).strftime(
        "%Y-%m-%dT%H:%M:%SZ"
    )
    clock.now = datetime.fromisoformat(found["until"]) - timedelta(seconds=1)
    assert as_account(desk, account, "GET", QUESTION).status_code == 200
    clock.now += timedelta(seconds=1)
    is_problem(as_account(desk, account, "GET", QUESTION), 402, "pro_required")
    found = standing(desk, account)
    assert (found["tier"], found["why"], found["window"], found["total"]) == ("free", "not_earned", 2, 4)


def test_what_needs_no_pro_stays(desk: Node) -> None:
    """Who is Free asks all that does not speak of weaknesses, and nobody who may not search is told of tiers."""
    account = desk.account()
    for path in ("/v0/search?q=port:22&facets=port", "/v0/count?q=port:22", "/v0/coverage?q=port:22", "/v0/stats"):
        assert as_account(desk, account, "GET", path).status_code == 200, path
    is_problem(desk.ask("GET", QUESTION, ""), 401, "unauthenticated")
    is_problem(desk.ask("GET", QUESTION, "module"), 403, "forbidden")


@pytest.mark.parametrize(
    "path",
    [
        "/v0/search?q=cvss:>8",
        "/v0/search?vuln=CVE-2024-6387",
        "/v0/search?q=-kev:true",
        "/v0/search?facets=port,severity",
        "/v0/search?limit=0&facets=vuln",
        "/v0/count?q=severity:critical",
        "/v0/coverage?q=epss:>0.5",
        "/v0/diff?from=1d&q=has:finding",
    ],
)
def test_questions_about_weaknesses_belong_to_pro(desk: Node, path: str) -> None:
    """By every field and facet about them, also where it is denied."""
    account = desk.account()
    body = is_problem(as_account(desk, account, "GET", path), 402, "pro_required")
    assert "belong to Pro" in body["detail"]
    assert give(desk, account.name, "pro").status_code == 200
    assert as_account(desk, account, "GET", path).status_code == 200


def test_plans_about_weaknesses_belong_to_pro(desk: Node) -> None:
    """Making one, and reading one that somebody else made."""
    account = desk.account()
    wanted = {"q": "has:finding"}
    is_problem(as_account(desk, account, "POST", "/v0/plan", json=wanted), 402, "pro_required")
    made = desk.ask("POST", "/v0/plan", json=wanted)
    assert made.status_code == 201, made.text
    path = f"/v0/plan/{made.json()['plan_id']}"
    is_problem(as_account(desk, account, "GET", path), 402, "pro_required")
    assert desk.get(path).status_code == 200
    plain = desk.ask("POST", "/v0/plan", json={"q": "port:22"}).json()["plan_id"]
    assert as_account(desk, account, "GET", f"/v0/plan/{plain}").status_code == 200


def weak(node: Node, product: str) -> None:
    """Give what runs as this product a critical weakness, once the evaluation that runs by itself has named it."""
    database = node.services.database
    settled(database)
    with database.connection() as connection:
        rows = connection.execute("SELECT version FROM service WHERE product = %s", [product]).fetchall()
    tables = Weak(database)
    cve = f"CVE-2097-{secrets.randbelow(10**6) + 10**6}"
    tables.affected(tables.software(product, rows[0][0]), tables.vuln(cve, severity="critical"), samples.T0)


def test_matches_keep_findings_to_themselves(desk: Node, clock: Clock) -> None:
    """A search by who is Free finds the endpoint, and tells that something is left out."""
    account, ip, product = desk.account(), samples.address(), f"thing-{secrets.token_hex(4)}"
    scanned = samples.scan_of(ip, 80, at=clock(), product=product)
    assert desk.submit(account.seal(scanned, now=clock())).status_code == 200
    weak(desk, product)
    for path in (f"/v0/search?ip={ip}", f"/v0/search?ip={ip}&total=true"):
        page = as_account(desk, account, "GET", path).json()
        assert [match["ip"] for match in page["matches"]] == [ip]
        assert page["findings_hidden"]
        assert not {"findings", "worst"} & page["matches"][0].keys()
        page = desk.ask("GET", path, "user").json()
        assert "findings_hidden" not in page
        assert (page["matches"][0]["findings"], page["matches"][0]["worst"]) == (1, "critical")
    page = as_account(desk, account, "GET", f"/v0/host/{ip}").json()
    assert page["findings_hidden"]
    assert not {"findings", "findings_total"} & page.keys()
    page = desk.ask("GET", f"/v0/host/{ip}", "user").json()
    assert "findings_hidden" not in page
    assert page["findings_total"] == 1
    path = f"/v0/diff?from=2020-01-01&q=ip:{ip}"
    page = as_account(desk, account, "GET", path).json()
    assert page["findings_hidden"]
    assert "CVE-2097" not in str(page)
    page = desk.ask("GET", path, "user").json()
    assert "findings_hidden" not in page
    assert "CVE-2097" in str(page)


def test_findings_are_for_who_may_read_them(desk: Node, node: Node) -> None:
    """A role without that scope asks no questions by them and is told none, Pro or not."""
    role = f"looker-{secrets.token_hex(3)}"
    assert node.ask("PUT", f"/v0/roles/{role}", json={"scopes": ["search:read"]}).status_code == 200
    looker = desk.account(role)
    assert standing(desk, looker)["tier"] == "pro"
    is_problem(as_account(desk, looker, "GET", QUESTION), 403, "forbidden")
    assert as_account(desk, looker, "GET", "/v0/search?limit=1").json()["findings_hidden"]


def test_whom_the_node_takes_for_its_own(desk: Node) -> None:
    """By default everybody but who submits from outside; only who earns it where that is set; or everyone."""
    people = [desk.account(role) for role in ("read-only", "user", "automation", "contributor", "admin")]

    def pro(mode: str) -> list[bool]:
        with desk.variant(tiers=POLICY._replace(mode=mode)) as other:
            return [as_account(other, one, "GET", QUESTION).status_code == 200 for one in people]

    assert pro("own") == [True, True, True, False, True]
    assert pro("earned") == [False, False, False, False, True]
    assert pro("everyone") == [True] * 5
    assert standing(desk, desk.of("user"))["why"] == "own"
    assert standing(desk, desk.of("admin"))["why"] == "admin"


def test_replays_and_looking_again_do_not_count(desk: Node, node: Node, clock: Clock) -> None:
    """The same envelope, to two coordinators at once; the same output again; the same host a moment later."""
    account, ip = desk.account(), samples.address()
    envelope = account.seal(scan(clock, 22, 80, ip=ip), now=clock())
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(Node.submit, [node, desk] * 4, [envelope] * 8))
    assert {response.status_code for response in answers} == {200}
    assert (standing(desk, account)["total"], standing(desk, account)["observations"]) == (2, 1)
    for _ in range(2):
        clock.now += timedelta(minutes=1)
        contribute(desk, account, clock, 22, 80, ip=ip)
    assert standing(desk, account)["total"] == 2
    clock.now += timedelta(hours=6)
    contribute(desk, account, clock, 22, 80, ip=ip)  # http was stale again
    assert standing(desk, account)["total"] == 4


def test_old_output_does_not_count(desk: Node, clock: Clock) -> None:
    """What was stale when it came made nothing fresh."""
    account = desk.account()
    old = samples.scan_of(samples.address(), 22, 80, at=clock() - timedelta(days=40))
    assert desk.submit(account.seal(old, now=clock())).status_code == 200
    assert standing(desk, account)["total"] == 0


def test_concurrent_submissions_all_count(desk: Node, clock: Clock) -> None:
    """Each once, whatever the order."""
    account = desk.account()
    envelopes = [account.seal(scan(clock, 22, 80), now=clock()) for _ in range(12)]
    with ThreadPoolExecutor(6) as pool:
        assert {r.status_code for r in pool.map(desk.submit, envelopes)} == {200}
    found = standing(desk, account)
    assert (found["total"], found["observations"]) == (24, 12)
    assert ledger.altered(desk.services.database) == ""


def test_the_durable_path_counts_as_well(node: Node) -> None:
    """Once, when its workflow is done; sent again it changes nothing."""
    account = node.account()
    envelope = account.seal(samples.scan_of(samples.address(), 22, 80, at=datetime.now(UTC)))
    receipt = node.submit(envelope, "/v0/ingest").json()
    path = f"/v0/observations/{receipt['observation_id']}"
    eventually(lambda: node.get(path).json()["status"] == "merged")
    assert standing(node, account)["total"] == 2
    assert node.submit(envelope, "/v0/ingest").json()["duplicate"]
    assert node.submit(envelope).json()["duplicate"]
    assert (standing(node, account)["total"], standing(node, account)["observations"]) == (2, 1)


def test_a_day_counts_up_to_its_bound(desk: Node, clock: Clock) -> None:
    """However much is sent in one go."""
    account = desk.account()
    contribute(desk, account, clock, *range(1000, 1020))
    assert standing(desk, account)["tier"] == "pro"
    with desk.variant(tiers=POLICY._replace(daily_cap=3), clock=clock) as bounded:
        found = standing(bounded, account)
        assert (found["tier"], found["window"], found["total"], found["daily_cap"]) == ("free", 3, 3, 3)


def test_admins_give_and_take(desk: Node, clock: Clock) -> None:
    """Until a moment or for ever, from the next request on; taken from who is Pro by its role, too; all on record."""
    account, user = desk.account(), desk.account("user")
    until = clock() + timedelta(days=1)
    given = give(desk, account.name, "pro", until).json()
    assert (given["tier"], given["why"]) == ("pro", "granted")
    assert datetime.fromisoformat(given["until"]) == until
    assert as_account(desk, account, "GET", QUESTION).status_code == 200
    clock.now = until
    is_problem(as_account(desk, account, "GET", QUESTION), 402, "pro_required")
    assert give(desk, account.name, "pro").json()["until"] is None
    assert give(desk, account.name, "auto").json()["tier"] == "free"
    assert give(desk, account.name, "auto").json()["why"] == "not_earned"
    taken = give(desk, user.name, "free").json()
    assert (taken["tier"], taken["why"]) == ("free", "withheld")
    body = is_problem(as_account(desk, user, "GET", QUESTION), 402, "pro_required")
    assert f"An admin has set {user.name} to Free." in body["detail"]
    assert desk.get(f"/v0/accounts/{user.name}/tier").json() == taken
    kinds = [act.kind for act in acts(desk.services.database, subject=f"tier:{account.name}")]
    assert kinds == ["tier.reset", "tier.granted", "tier.granted"]
    assert on_record(desk)


def test_nobody_gives_what_is_not_theirs(desk: Node, node: Node) -> None:
    """Not oneself, not without the scope, not over who holds more, not Pro by who is Free."""
    account = desk.account()
    is_problem(give(desk, account.name, "pro", role="user"), 403, "forbidden")
    is_problem(give(desk, desk.of("admin").name, "free"), 400, "own_account")
    is_problem(give(desk, "nobody-" + secrets.token_hex(4), "pro"), 404, "unknown_account")
    role = f"clerk-{secrets.token_hex(3)}"
    assert node.ask("PUT", f"/v0/roles/{role}", json={"scopes": ["accounts:write", "self:read"]}).status_code == 200
    clerk = desk.account(role)
    assert (
        as_account(desk, clerk, "PUT", f"/v0/accounts/{desk.of('admin').name}/tier", json={"tier": "free"}).status_code
        == 403
    )
    with desk.variant(tiers=POLICY._replace(mode="earned")) as other:
        under = desk.account(role)
        path = f"/v0/accounts/{under.name}/tier"
        is_problem(as_account(other, clerk, "PUT", path, json={"tier": "pro"}), 403, "forbidden")
        assert as_account(other, clerk, "PUT", path, json={"tier": "free"}).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"tier": "gold"},
        {"tier": "pro", "until": "2020-01-01T00:00:00Z"},
        {"tier": "pro", "until": "2030-01-01"},
        {"tier": "auto", "until": "2099-01-01T00:00:00Z"},
        {"tier": "pro", "for": "ever"},
    ],
    ids=str,
)
def test_what_cannot_be_given(desk: Node, body: dict[str, Any]) -> None:
    """No such tier, a time that is over or that nobody can place, a time for nothing."""
    account = desk.account()
    response = desk.ask("PUT", f"/v0/accounts/{account.name}/tier", json=body)
    is_problem(response, 400, response.json()["reason"])
    assert standing(desk, account)["why"] == "not_earned"


def test_the_leaderboard(desk: Node, clock: Clock) -> None:
    """The most first, page by page, of the window or of ever; names are for who is signed in."""
    clock.now += timedelta(days=400)  # days of this test's own
    most, some, old = desk.account(), desk.account(), desk.account()
    contribute(desk, old, clock, 22, 80, 443, 8080)
    clock.now += timedelta(days=10)
    contribute(desk, most, clock, 22, 80, 443)
    contribute(desk, some, clock, 22)

    def board(**params: Any) -> dict[str, Any]:
        response = desk.get("/v0/leaderboard", "contributor", **params)
        assert response.status_code == 200, response.text
        return response.json()

    def names(found: dict[str, Any]) -> list[tuple[int, str, int]]:
        return [(line["rank"], line["account"], line["fresh"]) for line in found["contributors"]]

    first = board(limit=1)
    assert names(first) == [(1, most.name, 3)]
    rest = board(limit=1, cursor=first["next_cursor"])
    assert names(rest) == [(2, some.name, 1)]
    assert rest["next_cursor"] == ""
    every = [name for _, name, _ in names(board(span="all", limit=1000))]
    assert {old.name, most.name, some.name} <= set(every)
    is_problem(desk.ask("GET", "/v0/leaderboard", ""), 401, "unauthenticated")
    is_problem(desk.get("/v0/leaderboard", cursor="x"), 400, "bad_request")
    is_problem(desk.get("/v0/leaderboard", span="year"), 400, "bad_request")


def test_who_opts_out_is_not_on_it(desk: Node, clock: Clock) -> None:
    """The contributions count on; and one may come back. An account that was disabled is not on it either."""
    clock.now += timedelta(days=800)
    shy, gone = desk.account(), desk.account()
    for account in (shy, gone):
        contribute(desk, account, clock, 22, 80)

    def shown() -> set[str]:
        return {line["account"] for line in desk.get("/v0/leaderboard", limit=1000).json()["contributors"]}

    assert shown() == {shy.name, gone.name}
    changed = as_account(desk, shy, "PUT", "/v0/account", json={"listed": False})
    assert (changed.status_code, changed.json()["listed"], changed.json()["total"]) == (200, False, 2)
    assert desk.ask("PATCH", f"/v0/accounts/{gone.name}", json={"disabled": True}).status_code == 200
    assert shown() == set()
    assert as_account(desk, shy, "PUT", "/v0/account", json={"listed": True}).json()["listed"]
    assert shown() == {shy.name}
    is_problem(as_account(desk, shy, "PUT", "/v0/account", json={"listed": "no"}), 400, "bad_request")
    assert [act.kind for act in acts(desk.services.database, subject=f"tier:{shy.name}")] == [
        "tier.listed",
        "tier.unlisted",
    ]
