"""The trail of privileged acts."""

from __future__ import annotations

import pytest

from tests.api.node import Node, is_problem
from tests.support import samples

pytestmark = pytest.mark.engine


def test_the_trail_is_read_page_by_page(node: Node) -> None:
    """Newest first, without submissions, every act once."""
    account = node.account()
    node.submit(account.seal(samples.scan_of(samples.address(), 80)))
    for _ in range(4):
        node.account("user")
    whole = node.get("/v0/audit", limit=1000).json()["acts"]
    kinds = {act["kind"] for act in whole}
    assert {"key.registered", "credential.added"} <= kinds
    assert not [kind for kind in kinds if kind.startswith("observation.")]
    paged: list[int] = []
    cursor = ""
    for _ in range(4):
        page = node.get("/v0/audit", limit=2, cursor=cursor).json()
        paged += [act["seq"] for act in page["acts"]]
        cursor = page["next_cursor"]
    assert paged == [act["seq"] for act in whole[:8]]


def test_the_trail_of_one_subject(node: Node) -> None:
    """All that was done about a key, and nothing else."""
    account = node.account()
    keyid = account.key.public.keyid
    node.ask("POST", "/v0/keys/revoke", json={"keyid": keyid})
    acts = node.get("/v0/audit", subject=keyid).json()["acts"]
    assert [act["kind"] for act in acts] == ["key.revoked", "key.registered"]
    assert {act["detail"]["contributor"] for act in acts} == {account.name}
    assert acts == node.get("/v0/audit", subject=keyid, kind="key").json()["acts"]
    assert node.get("/v0/audit", subject=keyid, kind="block").json()["acts"] == []


@pytest.mark.parametrize("cursor", ["x", "-1", "1.5", "9" * 20, "٣"])
def test_a_cursor_from_elsewhere_is_refused(node: Node, cursor: str) -> None:
    """By its name."""
    assert is_problem(node.get("/v0/audit", cursor=cursor), 400, "bad_request")["field"] == "cursor"


@pytest.mark.parametrize("role", ["user", "contributor", "read-only"])
def test_only_admins_read_it(node: Node, role: str) -> None:
    """It tells who was blocked, and by whom."""
    is_problem(node.get("/v0/audit", role), 403, "forbidden")


def test_the_chain_holds_with_all_of_it(node: Node) -> None:
    """Blocks and entries are part of the audit of the chain: one changed behind its back is found."""
    record = node.ask("POST", "/v0/blocks", json={"network": "198.18.99.0/24", "reason": "x"}).json()
    lines = node.ask("POST", "/v0/provenance/verify", params={"deep": "false"}).text.splitlines()
    assert '"ok":true' in lines[-1]
    with node.services.database.connection() as connection:
        connection.execute("UPDATE block SET net = '198.18.98.0/24' WHERE id = %s", [record["block_id"]])
    lines = node.ask("POST", "/v0/provenance/verify", params={"deep": "false"}).text.splitlines()
    assert "is not what the chain says" in lines[-1]
    with node.services.database.connection() as connection:
        connection.execute("UPDATE block SET net = '198.18.99.0/24' WHERE id = %s", [record["block_id"]])
    node.ask("DELETE", f"/v0/blocks/{record['block_id']}")
