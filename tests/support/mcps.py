"""The official client of the Model Context Protocol, for tests: over HTTP, or by a command's input and output."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
import httpx2
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult

T = TypeVar("T")
Talk = Callable[[Client], Awaitable[T]]


def over_http(url: str, token: str, talk: Talk[T], mode: str = "auto") -> T:
    """What `talk` returns, said with the client of a server's `/mcp`."""

    async def connected() -> T:
        headers = {"authorization": f"Bearer {token}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=30, trust_env=False) as http,
            Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=mode) as client,
        ):
            return await talk(client)

    return anyio.run(connected)


def over_stdio(command: list[str], environment: dict[str, str], talk: Talk[T], mode: str = "auto") -> T:
    """The same with a command that is started for it, and ended."""

    async def connected() -> T:
        started = StdioServerParameters(command=command[0], args=command[1:], env=environment)
        async with Client(started, mode=mode) as client:
            return await talk(client)

    return anyio.run(connected)


def calling(name: str, **arguments: object) -> Talk[CallToolResult]:
    """One call of a tool."""

    async def talk(client: Client) -> CallToolResult:
        return await client.call_tool(name, dict(arguments))

    return talk


async def names(client: Client) -> list[str]:
    """The tools that there are."""
    return [tool.name for tool in (await client.list_tools()).tools]


def text_of(result: CallToolResult) -> str:
    """What a tool answered, in words."""
    return "".join(getattr(block, "text", "") for block in result.content)
