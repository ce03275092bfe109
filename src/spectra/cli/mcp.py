"""`spectra mcp`: the server's MCP tools on standard input and output, for programs that start their tools so."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import typer

from spectra.cli.help import examples
from spectra.cli.local import Bearer, Machine
from spectra.cli.problems import ApiError, ProblemBody, Unreachable
from spectra.errors import SpectraError

if TYPE_CHECKING:
    import httpx2
    from mcp.client.client import Client
    from mcp.client.session import ClientSession
    from mcp.server.lowlevel import Server

T = TypeVar("T")

MCP_EXAMPLES = examples(
    "spectra mcp", "claude mcp add spectra -- spectra mcp", "spectra --server https://spectra.example.org mcp"
)
_TIMEOUT_S = 60.0


def mcp(context: typer.Context) -> None:
    """Offer this server's tools to a model: the Model Context Protocol on standard input and output.

    A bridge to `/mcp` of the server with this machine's sign-in, until its input ends. Which tools there are, what they
    may read and how often they may be asked is the server's to say.
    """
    import anyio

    url, bearer = Machine.of(context).server_and_token()
    anyio.run(_bridge, _Far(url, bearer))


class _Far(NamedTuple):
    """The server behind the bridge, how to sign in there, and the version of the protocol it speaks."""

    url: str
    bearer: Bearer
    mode: str = "auto"

    @asynccontextmanager
    async def connected(self) -> AsyncGenerator[Client]:
        """A client of it. Each call has its own, so that a server that starts anew in between does not end the bridge.

        Raises `ApiError` for a problem, `Unreachable` where nothing answers.
        """
        from mcp.client.client import Client
        from mcp.client.streamable_http import streamable_http_client

        async with (
            _http(self) as http,
            Client(streamable_http_client(f"{self.url}/mcp", http_client=http), mode=self.mode, cache=None) as client,
        ):
            yield client

    async def ask(self, ask: Callable[[ClientSession], Awaitable[T]]) -> T:
        """The answer to one request. Raises `SpectraError`, and `MCPError` where the server refuses the request."""
        try:
            async with self.connected() as client:
                return await ask(client.session)
        except BaseExceptionGroup as group:
            raise _why(group, self.url) from group


def _http(far: _Far) -> httpx2.AsyncClient:
    import anyio.to_thread
    import httpx2
    import msgspec

    from spectra.cli.client import MIB, is_loopback

    async def signed_in(request: httpx2.Request) -> None:
        token = await anyio.to_thread.run_sync(far.bearer) if callable(far.bearer) else far.bearer
        if token:
            request.headers["authorization"] = f"Bearer {token}"

    async def explained(response: httpx2.Response) -> None:
        if not response.headers.get("content-type", "").startswith("application/problem+json"):
            return
        body = await response.aread()
        try:
            raise ApiError(response.status_code, msgspec.json.decode(body[:MIB], type=ProblemBody))
        except msgspec.DecodeError:
            return

    return httpx2.AsyncClient(
        event_hooks={"request": [signed_in], "response": [explained]},
        timeout=_TIMEOUT_S,
        trust_env=not is_loopback(far.url),
    )


def _why(group: BaseExceptionGroup[BaseException], url: str) -> BaseException:
    """What went wrong, of all that was told of it."""
    import httpx2
    from mcp.shared.exceptions import MCPError

    found = list(_leaves(group))
    for kind in (KeyboardInterrupt, SpectraError, httpx2.HTTPError, MCPError):
        if (error := next((error for error in found if isinstance(error, kind)), None)) is not None:
            if isinstance(error, httpx2.HTTPError):
                return Unreachable(f"no answer from {url}: {error}", hint="Is it running? `spectra status` tells.")
            return error
    return group


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(cast("BaseExceptionGroup[BaseException]", error))
        else:
            yield error


async def _bridge(far: _Far) -> None:
    """Serve what the far server does until the input ends; raises as `_Far.ask` where it cannot be reached at first."""
    from mcp.server.stdio import stdio_server

    async def known(session: ClientSession) -> tuple[str, str]:
        return session.protocol_version or "auto", session.instructions or ""

    version, instructions = await far.ask(known)
    server = _server(far._replace(mode=_mode(version)), instructions)
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


def _mode(version: str) -> str:
    """How to speak to a server of this version of the protocol without asking again."""
    from mcp_types.version import MODERN_PROTOCOL_VERSIONS

    return version if version in MODERN_PROTOCOL_VERSIONS else "legacy"


def _server(far: _Far, instructions: str) -> Server[Any]:
    """What stands at this end: it passes on, and tells why it cannot."""
    import mcp_types as types
    from mcp.server.lowlevel import Server
    from mcp.shared.exceptions import MCPError

    from spectra import __version__

    async def listed(_: object, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        try:
            return await far.ask(lambda session: session.list_tools(params=params))
        except SpectraError as error:
            raise MCPError(types.INTERNAL_ERROR, str(error)) from error

    async def called(_: object, params: types.CallToolRequestParams) -> types.CallToolResult:
        asked = types.CallToolRequest(params=types.CallToolRequestParams(name=params.name, arguments=params.arguments))
        try:
            return await far.ask(lambda session: session.send_request(asked, types.CallToolResult))
        except SpectraError as error:
            text = types.TextContent(type="text", text=f"{error} [{error.reason}]")
            return types.CallToolResult(content=[text], is_error=True)

    return Server("spectra", version=__version__, instructions=instructions, on_list_tools=listed, on_call_tool=called)
