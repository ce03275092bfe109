"""How many clients can listen at once and still hear what happens."""

from __future__ import annotations

import asyncio
import secrets
from typing import Final

import httpx

from spectra.bench import load
from spectra.bench.server import BenchServer

_WITHIN_S: Final = 60.0
_EACH: Final = 30
"""Clients of one account: less than a node lets one have."""
_AT_ONCE: Final = 50
_WHAT: Final = "block.added"


def clients_held(server: BenchServer, wanted: int) -> int:
    """How many of `wanted` clients were connected at once and each heard something that happened afterwards."""
    return asyncio.run(_held(server, _tokens(server, -(-wanted // _EACH)), wanted))


def _tokens(server: BenchServer, number: int) -> list[str]:
    """Access tokens of so many new accounts."""
    tokens: list[str] = []
    with load.client_of(server) as admin:
        for _ in range(number):
            name, password = f"listener-{secrets.token_hex(4)}", secrets.token_urlsafe(24)
            load.checked(admin.post("/v0/accounts", json={"name": name, "role": "admin", "password": password}))
            form = {"grant_type": "password", "username": name, "password": password, "client_id": "spectra-cli"}
            tokens.append(load.checked(admin.post("/v0/auth/token", data=form)).json()["access_token"])
    return tokens


async def _held(server: BenchServer, tokens: list[str], wanted: int) -> int:
    gate, ready = asyncio.Semaphore(_AT_ONCE), asyncio.Semaphore(0)
    limits = httpx.Limits(max_connections=wanted)
    async with httpx.AsyncClient(base_url=server.url, timeout=_WITHIN_S, limits=limits, trust_env=False) as client:

        async def listen(token: str) -> bool:
            try:
                async with asyncio.timeout(3 * _WITHIN_S):
                    return await _heard(client, token, gate, ready)
            except (httpx.HTTPError, TimeoutError):
                return False

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(listen(tokens[number % len(tokens)])) for number in range(wanted)]
            for _ in range(wanted):
                await ready.acquire()
            await asyncio.to_thread(_happen, server)
        return sum(task.result() for task in tasks)


async def _heard(client: httpx.AsyncClient, token: str, gate: asyncio.Semaphore, ready: asyncio.Semaphore) -> bool:
    """Listen until something happened; whether that was heard. `ready` once it listens, or has failed to."""
    headers, params = {"authorization": f"Bearer {token}"}, {"kinds": _WHAT}
    await gate.acquire()
    connecting = True
    try:
        async with client.stream("GET", "/v0/stream", headers=headers, params=params) as response:
            async for line in response.aiter_lines():
                if connecting:
                    connecting = False
                    gate.release()
                    ready.release()
                if line.startswith("data:") and _WHAT in line:
                    return True
    finally:
        if connecting:
            gate.release()
            ready.release()
    return False


def _happen(server: BenchServer) -> None:
    """Something everybody is told of, and nothing that stays."""
    with load.client_of(server) as admin:
        made = load.checked(admin.post("/v0/blocks", json={"network": "198.51.100.1/32", "reason": "benchmark"})).json()
        load.checked(admin.delete(f"/v0/blocks/{made['block_id']}"))
