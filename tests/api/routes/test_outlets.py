"""Outlets and messages over HTTP: who may see what, and what a test message comes to."""

from __future__ import annotations

import secrets

import pytest

from tests.act.notify.test_webhook import Receiver, checked
from tests.api.node import Node, is_problem
from tests.store.outletsamples import note
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine


def test_an_outlet_is_made_changed_and_removed(node: Node) -> None:
    """Its secret is told once; who may not change it sees less of where it leads."""
    name = f"hook-{secrets.token_hex(4)}"
    path = f"/v0/outlets/{name}"
    body = {"kind": "webhook", "target": "https://example.org/hooks/t0ken"}
    made = node.ask("PUT", path, json=body).json()
    assert made["secret"].startswith("whsec_")
    assert made["outlet"] == node.get(path).json()
    assert "secret" not in node.ask("PUT", path, json=body | {"note": "ours"}).json()
    seen = node.get(path, "read-only")
    assert (seen.json()["target"], seen.json()["shortened"]) == ("https://example.org/…", True)
    assert "t0ken" not in node.get("/v0/outlets", "user").text
    is_problem(node.ask("PUT", path, "user", json=body), 403, "forbidden")
    wrong = node.ask("PUT", path, json=body | {"target": "file:///etc/passwd"})
    assert (wrong.status_code, wrong.json()["field"]) == (400, "target")
    assert node.ask("DELETE", path).json()["name"] == name
    is_problem(node.get(path), 404, "unknown_outlet")


def test_a_test_message(node: Node) -> None:
    """Is signed and arrives; where it does not, that is told; without settings there is no mail."""
    name = f"try-{secrets.token_hex(4)}"
    path = f"/v0/outlets/{name}"
    with Receiver() as receiver:
        body = {"kind": "webhook", "target": f"http://127.0.0.1:{receiver.port}/s3cret"}
        secret = node.ask("PUT", path, json=body).json()["secret"]
        told = node.ask("POST", f"{path}/test").json()
        assert (told["delivered"], "error" in told) == (True, False)
        assert checked(secret, receiver.got[0][1], receiver.got[0][2])
        receiver.status = 500
        assert "answered 500" in node.ask("POST", f"{path}/test").json()["error"]
    away = node.get(path).json()
    assert "s3cret" not in away["error"]
    is_problem(node.ask("POST", f"{path}/test", "user"), 403, "forbidden")
    node.ask("PUT", path, json={"kind": "email", "target": "bob@example.org"})
    assert "notify.smtp.host" in node.get(path).json()["ready"]
    assert "notify.smtp.host" in node.ask("POST", f"{path}/test").json()["error"]
    node.ask("DELETE", path)


def test_messages(node: Node) -> None:
    """Are seen with their tries, and sent again by whoever looks after alerts."""
    name = f"later-{secrets.token_hex(4)}"
    services = node.services
    with Receiver() as receiver:
        receiver.status = 500
        node.ask("PUT", f"/v0/outlets/{name}", json={"kind": "webhook", "target": f"http://127.0.0.1:{receiver.port}/"})
        number = secrets.randbelow(10**9)
        note(services.database, number, services.clock(), name)
        assert services.notify is not None
        services.notify.wake()

        def found() -> dict[str, object]:
            return node.get("/v0/deliveries", "read-only", outlet=name).json()["deliveries"][0]

        eventually(lambda: found().get("error"))
        assert (found()["state"], "answered 500" in str(found()["error"])) == ("waiting", True)
        receiver.status = 204
        path = f"/v0/deliveries/note-{number}/{name}/again"
        is_problem(node.ask("POST", path, "read-only"), 403, "forbidden")
        assert node.ask("POST", path, "user").json()["state"] == "waiting"
        eventually(lambda: found()["state"] == "delivered")
        is_problem(node.ask("POST", path, "user"), 409, "delivered")
        is_problem(node.ask("POST", "/v0/deliveries/no/such/again", "user"), 404, "unknown_delivery")
        node.ask("DELETE", f"/v0/outlets/{name}")
