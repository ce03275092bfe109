"""What machines send for their leases, over real TLS: answered, counted where it is refused, and read by a workflow."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from spectra.identity import results
from spectra.model.lawbook import LawBook
from spectra.model.work import Constraints
from spectra.store import do_not_scan, jobs, leases
from spectra.store.accounts import Act
from spectra.store.jobs import NewJob, NewTarget
from spectra.store.leases import Asker, Leased
from tests.api.meshnode import Machine, MeshNode
from tests.api.node import is_problem
from tests.flow.harvest import id_of
from tests.store import toil
from tests.support import samples
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine

AGREED = msgspec.structs.replace(toil.AGREED, allow=("198.18.0.0/15",))  # where the tests' addresses are from


def given(mesh: MeshNode, machine: Machine, ip: str) -> Leased:
    """A lease of this machine on this address."""
    database, now = mesh.node.services.database, datetime.now(UTC)
    asked = NewJob(
        account="root",
        what=ip,
        preset=toil.WAYS,
        ports="80",
        scan_id="scan-1",
        permission=AGREED,
        priority=100,
        constraints=Constraints(node=machine.name),
    )
    job = jobs.create(database, asked, [NewTarget((ip,), "", 1)], Act("root", now), max_waiting=100_000)
    (leased,) = leases.lease(database, Asker(machine.name, toil.NMAP), toil.TERMS, now)
    assert leased.job == job.job
    return leased


def bundle(machine: Machine, leased: Leased, ip: str, **said: Any) -> bytes:
    """What it sends: one host with an open port, and a log."""
    observation = samples.sealed(machine.signing, f"node-{machine.name}", samples.scan_of(ip, 80))
    claim, file = results.artefact("log", "scan.log", "text/plain", b"line\n")
    fields: dict[str, Any] = {
        "lease": leased.lease,
        "target": leased.target,
        "attempt": leased.attempt,
        "node": machine.name,
        "outcome": "done",
        "now": datetime.now(UTC),
        "tool": "nmap",
        "observations": [id_of(observation)],
        "artefacts": [claim],
    }
    result = results.build(**(fields | said))
    return results.bundle(results.sign(machine.signing, result), [observation], [file])


def test_a_result_is_answered_and_read(mesh: MeshNode) -> None:
    """Stored when it is answered, in search once its workflow is done; the same again has the same receipt."""
    machine, ip = mesh.joined(), samples.address()
    leased = given(mesh, machine, ip)
    sent = bundle(machine, leased, ip)
    answers = [mesh.ask("POST", "/v0/mesh/results", machine, content=sent) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 200], answers[0].text
    first, again = (answer.json() for answer in answers)
    assert (first["status"], first["lease"], again["duplicate"]) == ("accepted", leased.lease, True)
    database = mesh.node.services.database
    eventually(lambda: jobs.target(database, leased.target).state == "done")
    done = jobs.target(database, leased.target)
    assert (done.found, done.node) == (1, machine.name)
    assert len(mesh.node.found(f"ip:{ip}")) == 1
    told = mesh.node.ask("GET", f"/v0/workflows/{done.workflow_id}", "admin").json()
    assert [step["name"] for step in told["steps"]] == ["plan", "lease", "result", "ingest", "findings", "settle"]


def test_a_lie_is_refused_and_counted(mesh: MeshNode) -> None:
    """Where everybody who looks after machines sees it; its attempt has ended."""
    machine, ip = mesh.joined(), samples.address()
    leased = given(mesh, machine, ip)
    beyond = bundle(machine, leased, samples.address())
    is_problem(mesh.ask("POST", "/v0/mesh/results", machine, content=beyond), 403, "out_of_scope")
    assert mesh.refused("out_of_scope", machine.name).count == 1
    target = jobs.target(mesh.node.services.database, leased.target)
    assert (target.state, target.history[0].end, target.history[0].reason) == ("waiting", "rejected", "out_of_scope")
    other = mesh.joined()
    stolen = bundle(machine, leased, ip)
    is_problem(mesh.ask("POST", "/v0/mesh/results", other, content=stolen), 403, "impostor")
    assert mesh.refused("impostor", other.name).count == 1


def test_only_machines_send_results(mesh: MeshNode) -> None:
    """By certificate, on this listener; what they may not scan is told to nobody else either."""
    for method, path in (("POST", "/v0/mesh/results"), ("GET", "/v0/mesh/law")):
        is_problem(mesh.ask(method, path), 401, "unauthenticated")
        assert mesh.node.ask(method, path, "admin").status_code == 404


def test_a_body_that_is_none_is_refused(mesh: MeshNode) -> None:
    """Counted like every other."""
    machine = mesh.joined()
    is_problem(mesh.ask("POST", "/v0/mesh/results", machine, content=b"{}"), 400, "malformed_bundle")
    assert mesh.refused("malformed_bundle", machine.name).count == 1


def test_machines_read_the_law(mesh: MeshNode) -> None:
    """All of it, and a newer version after each change."""
    machine, services = mesh.joined(), mesh.node.services

    def law() -> LawBook:
        answer = mesh.ask("GET", "/v0/mesh/law", machine)
        assert answer.status_code == 200, answer.text
        return msgspec.json.decode(answer.content, type=LawBook)

    before, network = law(), f"100.64.{secrets.randbelow(256)}.0/24"
    do_not_scan.add(services.database, network=network, reason="asked", by="test", now=services.clock())
    after = law()
    assert after.version > before.version
    assert set(after.rules) - set(before.rules) == {network}
