"""Blocking networks and autonomous systems."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.api.node import Node, is_problem

pytestmark = pytest.mark.engine


class Known:
    """Feeds that know one AS."""

    def prefixes(self, asn: int) -> Sequence[str]:
        """Of AS 64500."""
        return ("203.0.113.0/25", "2001:db8:9::/48") if asn == 64500 else ()


def add(node: Node, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
    """Ask for a block."""
    return node.ask("POST", "/v0/blocks", headers=headers, json={"reason": "flood"} | fields)


def remove(node: Node, block_id: str) -> httpx.Response:
    """Take one away."""
    return node.ask("DELETE", f"/v0/blocks/{block_id}")


def test_a_block_is_listed_until_it_is_removed(node: Node) -> None:
    """With who, why and until when; and each change is an act in the audit trail."""
    until = datetime.now(UTC) + timedelta(days=30)
    made = add(node, network="198.18.7.0/24", until=until.isoformat(), targets=True)
    assert made.status_code == 201
    record = made.json()
    assert (record["network"], record["reason"], record["targets"]) == ("198.18.7.0/24", "flood", True)
    assert record["added_by"] == node.of("admin").name
    assert record in node.get("/v0/blocks").json()["blocks"]
    assert remove(node, record["block_id"]).json() == record
    assert record not in node.get("/v0/blocks").json()["blocks"]
    is_problem(remove(node, record["block_id"]), 404, "not_found")
    acts = node.get("/v0/audit", subject=UUID(record["block_id"]).hex).json()["acts"]
    assert [act["kind"] for act in acts] == ["block.removed", "block.added"]
    assert acts[0]["detail"]["removed_by"] == node.of("admin").name


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "network"),
        ({"network": "192.0.2.0/24", "asn": 1}, "network"),
        ({"network": "192.0.2.7/24"}, "network"),
        ({"network": "example.org"}, "network"),
        ({"network": "127.0.0.0/8"}, "network"),
        ({"network": "::1"}, "network"),
        ({"network": "192.0.2.0/24", "until": "2001-01-01T00:00:00Z"}, "until"),
        ({"network": "192.0.2.0/24", "until": "2051-01-01T00:00:00"}, "until"),
        ({"network": "192.0.2.0/24", "reason": "  "}, "reason"),
        ({"network": "192.0.2.0/24", "reason": "a\nb"}, "reason"),
        ({"network": "192.0.2.0/24", "why": "x"}, "body"),
        ({"asn": 0}, "asn"),
        ({"asn": 64999}, "asn"),
    ],
)
def test_what_cannot_be_blocked_is_refused(node: Node, fields: dict[str, Any], field: str) -> None:
    """By the field that is wrong; an AS that no feed knows would be a block without effect."""
    assert is_problem(add(node, **fields), 400, "bad_request")["field"] == field


def test_the_same_block_twice_is_a_conflict(node: Node) -> None:
    """Naming what to do."""
    block_id = add(node, network="198.18.8.0/24").json()["block_id"]
    is_problem(add(node, network="198.18.8.0/24"), 409, "block_exists")
    remove(node, block_id)


def test_an_as_is_its_networks(node: Node) -> None:
    """As the feeds know them, of either family; and they are on the public list if targets are meant."""
    proxies = (ipaddress.ip_network("127.0.0.0/8"),)
    with node.variant(networks=Known(), trusted_proxies=proxies) as other:
        block_id = add(other, asn=64500, targets=True).json()["block_id"]
        for client, status in (("203.0.113.1", 403), ("2001:db8:9::1", 403), ("203.0.113.129", 200)):
            headers = {"x-forwarded-for": client}
            assert other.ask("GET", "/health/live", "", headers=headers).status_code == status
        assert {"203.0.113.0/25", "2001:db8:9::/48"} <= set(other.get("/v0/do-not-scan", "").json()["networks"])
        remove(other, block_id)
        assert not {"203.0.113.0/25"} & set(other.get("/v0/do-not-scan", "").json()["networks"])


def test_an_admin_cannot_lock_themselves_out(node: Node) -> None:
    """By the network they ask from, nor by its AS; from the machine itself they may."""
    proxies = (ipaddress.ip_network("127.0.0.0/8"),)
    with node.variant(networks=Known(), trusted_proxies=proxies) as other:
        for what in ({"network": "203.0.0.0/8"}, {"asn": 64500}):
            response = add(other, {"x-forwarded-for": "203.0.113.1"}, **what)
            is_problem(response, 400, "own_network")
        made = add(other, network="203.0.0.0/8")
        assert made.status_code == 201
        remove(other, made.json()["block_id"])
