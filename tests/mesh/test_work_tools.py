"""Real tools under a real worker: nmap, naabu, and BBOT in the sandbox, as presets say; what they wrote is kept."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest

from tests.mesh.yard import Yard, yard

pytestmark = [pytest.mark.engine, pytest.mark.slow]

TOOLS = Path(__file__).parents[2] / ".tools"
PATH = f"{os.environ['PATH']}:{TOOLS / 'go' / 'bin'}:{TOOLS / 'bbot' / 'bin'}"


@pytest.fixture(scope="module")
def mesh() -> Generator[Yard]:
    """A mesh with one machine that has all tools there are here."""
    with yard() as made:
        made.worker("board", PATH=PATH)
        yield made


@pytest.mark.parametrize(
    ("program", "preset", "tool", "began"),
    [
        ("nmap", "services", "nmap", b"<?xml"),
        ("naabu", "sweep", "naabu", b'{"'),  # masscan comes first there, and no frame reaches loopback
        ("bbot", "bbot-web", "bbot", b'{"type":"SCAN"'),
    ],
)
def test_a_job_is_done_by_the_presets_tool(mesh: Yard, program: str, preset: str, tool: str, began: bytes) -> None:
    """The attempt says which tool it was; its original is what the tool wrote; the port is in the graph."""
    if shutil.which(program, path=PATH) is None:
        pytest.skip(f"{program} is not installed")
    ip = {"nmap": "127.0.0.31", "naabu": "127.0.0.32", "bbot": "127.0.0.33"}[program]
    job = mesh.ask(ip, preset=preset, ports=str(mesh.answering.port))
    mesh.until(job, 1)
    (target,) = mesh.targets(job)
    (attempt,) = mesh.history(target["target"])
    assert (attempt["tool"], attempt["end"]) == (tool, "done")
    assert attempt["tool_version"]
    with mesh.running.client() as client:
        raw = client.get(f"/v0/observations/{attempt['observations'][0]}/raw")
        log = _log(client, job)
    assert raw.content.startswith(began)
    assert f"{tool}: {ip}" in log
    host = mesh.running.get(f"/v0/host/{ip}") if tool != "bbot" else {}
    assert [one["port"] for one in host.get("endpoints", [])] == ([mesh.answering.port] if host else [])


def _log(client: httpx.Client, job: str) -> str:
    """The log of a job's only attempt."""
    found = client.get("/v0/artefacts", params={"job": job}).json()["artefacts"]
    (log,) = [one for one in found if one["kind"] == "log"]
    return client.get(f"/v0/artefacts/{log['id']}/content").text
