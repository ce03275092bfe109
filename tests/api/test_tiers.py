"""What belongs to Pro, and how the document and a 402 say so. How an account gets there is in routes/test_tiers.py."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from fastapi import FastAPI, Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from spectra.api.app import ROUTERS, routed_app
from spectra.api.auth import scope, scope_of
from spectra.api.tiers import is_pro, needs_pro, pro
from spectra.model.tiers import Policy
from spectra.store import tiers
from spectra.store.accounts import Act
from tests.api.node import Node, is_problem, serving

# Ways to the weaknesses: whatever is below these, and whatever may be asked in the language of search.
PRO = ("/v0/vulns", "/v0/findings")
# What tells nothing of any weakness: how far a node is with its work, and what sets it to work.
STATUS = {"/v0/vulns/vectors", "/v0/vulns/vectorize"}


def routes() -> list[APIRoute]:
    """Every route of the API."""
    return [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]


def test_every_way_to_weaknesses_belongs_to_pro() -> None:
    """No route about them is open to Free, and none that takes the language of search."""
    for route in routes():
        scoped = scope_of(list(route.dependencies))
        weaknesses = route.path.startswith(PRO) or scoped.startswith(("vulns:", "findings:"))
        asks = any(p.name == "q" for p in route.dependant.query_params) and scoped.startswith(
            ("search", "hosts", "cov")
        )
        told = (weaknesses or asks) and route.path not in STATUS
        assert needs_pro(list(route.dependencies)) or not told, route.path


def test_the_document_says_so() -> None:
    """402 stands at the routes that may answer it, and at no other."""
    document = routed_app().openapi()
    for route in routes():
        for method in route.methods or ():
            told = "402" in document["paths"][route.path_format][method.lower()]["responses"]
            assert told is needs_pro(list(route.dependencies)), route.path


@pytest.mark.engine
def test_a_route_of_pro(node: Node) -> None:
    """Who holds its scope is asked for Pro then; one that has more to say asks whether its caller is."""

    def extend(app: FastAPI) -> None:
        app.add_api_route("/only", lambda: Response("yes"), dependencies=[scope("search:read"), pro()])
        app.add_api_route("/both", both, dependencies=[scope("search:read")])

    def both(request: Request) -> Response:
        return Response(str(is_pro(request)))

    with serving(node.services, extend) as url:
        other = Node(url, node.services)
        free, own = other.account(), other.account("user")
        other.accounts |= {"contributor": free, "user": own}
        is_problem(other.get("/only", "module"), 403, "forbidden")
        is_problem(other.ask("GET", "/only", ""), 401, "unauthenticated")
        assert other.get("/only", "user").text == "yes"
        body = is_problem(other.get("/only", "contributor"), 402, "pro_required")
        assert body["detail"].startswith(
            "Vulnerability answers belong to Pro, and " + free.name + " is Free: 0 of the 1,0"
        )
        assert "Contribute 1,000 more" in body["hint"]
        assert [other.get("/both", role).text for role in ("user", "contributor", "admin")] == ["True", "False", "True"]
        until = datetime.now(UTC) + timedelta(days=1)
        tiers.give(node.services.database, own.name, "free", until, Act("admin", datetime.now(UTC)))
        body = is_problem(other.get("/only", "user"), 402, "pro_required")
        assert f"An admin has set {own.name} to Free until {until:%Y-%m-%d %H:%M} UTC." in body["detail"]
        assert other.get("/only", "admin").text == "yes"


@pytest.mark.engine
def test_a_node_of_everyone_reads_no_ledger(node: Node) -> None:
    """The gate of such a node lets everybody through, whoever they are."""
    assert tiers.is_pro(node.services.database, "nobody", "contributor", Policy("everyone"), datetime.now(UTC))
