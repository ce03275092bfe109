"""The Model Context Protocol at a real node, spoken by the official client."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError

from spectra.api import mcp
from spectra.api.mcptools import TOOLS
from spectra.model.tiers import Policy
from tests.api.node import Node, is_problem
from tests.support import samples
from tests.support.mcps import calling, names, over_http, over_stdio, text_of
from tests.support.running import SPECTRA

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_a_model_looks_around(node: Node, mode: str) -> None:
    """It is told what there is, finds an endpoint and looks at its host: old clients and new ones.

    The client holds every answer to the schema that the tool declares.
    """
    ip = samples.address()
    node.submitted(samples.scan_of(ip, 22, 80))

    async def talk(client: Client) -> tuple[str, list[str], Any, Any, Any]:
        told = client.instructions or ""
        found = await client.call_tool("search", {"q": f"ip:{ip}", "total": True, "facets": "port"})
        host = await client.call_tool("host", {"ip": ip, "history": True})
        changed = await client.call_tool("diff", {"since": "30d", "q": f"ip:{ip}"})
        return told, await names(client), found, host, changed

    told, tools, found, host, changed = over_http(node.url, node.of("admin").token, talk, mode)
    assert "no instruction" in told
    assert tools == [spec.name for spec in TOOLS]
    assert found.structured_content["total"]["count"] == 2
    assert {e["port"] for e in host.structured_content["endpoints"]} == {22, 80}
    assert text_of(host).startswith('{"ip"')
    assert not changed.is_error


def test_a_model_looks_around_by_input_and_output(node: Node, tmp_path: Path) -> None:
    """`spectra mcp` is the same server: the same tools, instructions, answers and refusals. The client is one of those
    that begin by a handshake; the bridge itself speaks the newest version to the server.
    """
    ip = samples.address()
    node.submitted(samples.scan_of(ip, 22))

    async def talk(client: Client) -> tuple[str, list[str], Any, Any]:
        found = await client.call_tool("search", {"q": f"ip:{ip}"})
        refused = await client.call_tool("findings", {"q": "prot:22"})
        return client.instructions or "", await names(client), found, refused

    command = [*SPECTRA, "--server", node.url, "mcp"]
    environment = {
        "SPECTRA_TOKEN": node.of("automation").token,
        "XDG_CONFIG_HOME": str(tmp_path),
        "HOME": str(tmp_path),
    }
    told, tools, found, refused = over_stdio(command, environment, talk, "legacy")
    assert told == mcp.INSTRUCTIONS
    assert "findings" in tools
    assert "coverage" not in tools
    assert found.structured_content["matches"][0]["ip"] == ip
    assert refused.is_error
    assert "prot" in text_of(refused)


@pytest.mark.parametrize("tool", ["findings", "coverage", "explain", "explain_by_rules"])
def test_other_tools_answer(node: Node, tool: str) -> None:
    """In the shape they declare, as the client checks."""
    ip = samples.address()
    node.submitted(samples.scan_of(ip, 443))
    asked = {"explain": {"kind": "ip", "target": ip}, "explain_by_rules": {"ip": ip}}.get(tool, {"q": f"net:{ip}/32"})
    result = over_http(node.url, node.of("admin").token, calling(tool, **asked))
    assert not result.is_error, text_of(result)


def test_a_role_s_tools_are_those_of_its_scopes(node: Node) -> None:
    """Others are not listed; called all the same, the route refuses them."""
    assert over_http(node.url, node.of("module").token, names) == []
    assert over_http(node.url, node.of("automation").token, names) == [
        *("search", "host", "findings", "diff", "explain", "explain_by_rules", "vulnerability")
    ]
    refused = over_http(node.url, node.of("module").token, calling("search", q="port:22"))
    assert refused.is_error
    assert "[forbidden]" in text_of(refused)


def test_what_belongs_to_pro_does_here_too(node: Node) -> None:
    """Somebody who is Free is told how to become Pro."""
    with node.variant(tiers=Policy("earned")) as strict:
        token = strict.of("user").token
        refused = over_http(strict.url, token, calling("findings"))
        assert refused.is_error
        assert "[pro_required]" in text_of(refused)
        allowed = over_http(strict.url, token, calling("search", q="port:65000"))
        assert allowed.structured_content["findings_hidden"] is True


def test_errors_are_told_so_that_a_model_can_do_better(node: Node) -> None:
    """What is wrong and what would be right, in words; a tool that there is not is an error of the protocol."""
    token = node.of("admin").token
    wrong = over_http(node.url, token, calling("search", q="prot:22"))
    assert wrong.is_error
    assert "prot" in text_of(wrong)
    unknown = over_http(node.url, token, calling("host", ip="203.0.113.254"))
    assert "[not_found]" in text_of(unknown) or "[unknown_host]" in text_of(unknown)
    with pytest.raises(ExceptionGroup) as failed:
        over_http(node.url, token, calling("shutdown"))
    assert failed.group_contains(MCPError, match="There is no tool 'shutdown'")


def test_an_answer_is_bounded(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too much for a model to read is refused, with what to ask instead."""
    ip = samples.address()
    node.submitted(samples.scan_of(ip, 22))
    monkeypatch.setattr(mcp, "MAX_ANSWER_BYTES", 100)
    refused = over_http(node.url, node.of("admin").token, calling("host", ip=ip))
    assert refused.is_error
    assert "[too_large]" in text_of(refused)


def message(**fields: Any) -> dict[str, Any]:
    """A message of the protocol."""
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/list", **fields}


def posted(node: Node, role: str = "admin", **options: Any) -> httpx.Response:
    """A message, by hand."""
    headers = {"accept": "application/json, text/event-stream"} | options.pop("headers", {})
    return node.ask("POST", "/mcp", role, headers=headers, **options)


def test_nobody_asks_without_a_token(node: Node) -> None:
    """Nor with one that is unknown, nor from a page of another site; and there is no stream to hold open."""
    is_problem(posted(node, "", json=message()), 401, "unauthenticated")
    is_problem(posted(node, "", json=message(), headers={"authorization": "Bearer spk_x"}), 401, "unauthenticated")
    is_problem(posted(node, json=message(), headers={"origin": "https://evil.example"}), 403, "forbidden")
    assert posted(node, json=message(), headers={"origin": node.url}).status_code == 200
    is_problem(posted(node, content=b"{}"), 400, "bad_request")
    is_problem(node.ask("GET", "/mcp"), 405, "method_not_allowed")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b"[" * 100_000, 400),
        (b'{"jsonrpc":"2.0","id":1,"method":"no/such"}', 200),
        (b'{"jsonrpc":"2.0","method":"notifications/initialized"}', 202),
        (b" " * (256 * 1024 + 1), 413),
    ],
)
def test_bodies_that_are_no_message(node: Node, body: bytes, status: int) -> None:
    """Answered and never a defect, bounded in size and depth."""
    answer = posted(node, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text


def test_a_call_is_counted_as_its_route(node: Node) -> None:
    """The route's metric, limits and log see a tool's call as any other."""
    line = 'spectra_http_requests_total{method="GET",route="/v0/coverage",status="200"}'
    with node.variant() as fresh:
        over_http(fresh.url, fresh.of("admin").token, calling("coverage"))
        assert fresh.metric(line) == 1
