"""A scan as a process of its own, told and telling by JSON."""

from __future__ import annotations

import asyncio
import sys

import msgspec

from spectra.bench.labscan import Task, Told, request_of
from spectra.bench.quality import read
from spectra.model.work import Endpoint
from tests.collect.scanners.conftest import greets, serve


def test_a_task_becomes_a_lawful_request() -> None:
    """Consent for its own targets, relays and known endpoints as given."""
    task = Task(targets=["127.0.0.1"], ports="22", relays=["direct"], known=[Endpoint("127.0.0.1", 22, "tcp")])
    request = request_of(task)
    assert request.targets.addresses.size == 1
    assert request.relays is not None
    assert [(str(ip), port) for ip, port in request.known] == [("127.0.0.1", 22)]


def test_a_process_scans_and_tells() -> None:
    """Standard input to standard output."""

    async def main() -> Told:
        async with serve(greets(b"SSH-2.0-OpenSSH_9.2p1\r\n")) as port:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "spectra.bench.labscan", "connect"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
            task = Task(targets=["127.0.0.1"], ports=str(port))
            told, _ = await asyncio.wait_for(process.communicate(msgspec.json.encode(task)), 60)
        return msgspec.json.decode(told, type=Told)

    (output,) = asyncio.run(main()).outputs
    (service,) = read(output.data).values()
    assert service.product == "OpenSSH"
    assert output.probes == 1
