"""A machine of the mesh that is given work and lies about it: refused, counted, visible, and the target ends well."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

import httpx
import pytest

from spectra.fabric import subjects, workmessages
from spectra.fabric.workmessages import Assign, Ready
from spectra.identity import dsse, payload, results
from spectra.identity.keys import SigningKey
from spectra.model.work import Order
from tests.mesh.liars import Liar, now
from tests.mesh.yard import Yard, yard
from tests.support.fabrics import Heard
from tests.support.waiting import eventually

pytestmark = [pytest.mark.engine, pytest.mark.fault]


@pytest.fixture(scope="module")
def ground() -> Generator[Yard]:
    """A coordinator whose only machine is a liar, who gets a new attempt as soon as one was refused."""
    with yard(SPECTRA_WORK__ATTEMPTS="20") as made:
        yield made


class LyingWorker(Liar):
    """Asks for work as a worker does, and answers as it likes."""

    def __init__(self, ground: Yard, name: str) -> None:
        super().__init__(ground, name)
        self.open = self.link()
        self.heard = Heard()
        self._had: set[str] = set()
        self.open.subscribe(subjects.assign(name), self.heard)
        self.is_heard(self.open)

    def order(self) -> Order:
        """The next order that it did not have yet."""

        def asked() -> Order | None:
            ready = Ready(node=self.name, incarnation=self.incarnation, slots=1, free=1)
            self.open.publish(subjects.work(self.name), workmessages.encode(ready))
            told = [workmessages.to_node(data) for _, data in self.heard.told]
            orders = [one.order for one in told if isinstance(one, Assign)]
            return next((order for order in orders if order.lease not in self._had), None)

        found = eventually(asked, every_s=0.5)
        assert found is not None
        self._had.add(found.lease)
        return found

    def observed(self, ip: str, key: SigningKey | None = None, **fields: Any) -> tuple[str, bytes]:
        """The id and the envelope of an observation of one open port."""
        line = json.dumps({"ip": ip, "port": 80, "protocol": "tcp"}).encode() + b"\n"
        built = payload.build(output=line, tool="naabu", contributor=f"node-{self.name}", now=now(), **fields)
        raw = payload.encode(built)
        return payload.observation_id(raw), dsse.sign(key or self.folder.signing_key, raw)

    def result(self, order: Order, *observed: tuple[str, bytes], key: SigningKey | None = None, **but: Any) -> bytes:
        """The bundle of an order that went well."""
        fields: dict[str, Any] = {"node": self.name, "lease": order.lease, "attempt": order.attempt, **but}
        built = results.build(
            target=order.target, outcome="done", now=now(), observations=[name for name, _ in observed], **fields
        )
        signed = results.sign(key or self.folder.signing_key, built)
        return results.bundle(signed, [envelope for _, envelope in observed])

    def bring(self, bundle: bytes) -> httpx.Response:
        """Post it, with its certificate."""
        return self.ask("POST", "/v0/mesh/results", content=bundle, headers={"content-type": "application/json"})


@pytest.fixture(scope="module")
def liar(ground: Yard) -> Generator[LyingWorker]:
    """It joined, and has a good certificate."""
    made = LyingWorker(ground, "fox")
    yield made
    made.close()


def _refused(ground: Yard, answer: httpx.Response, reason: str, before: int) -> None:
    """As a problem, in the counts, and not stored."""
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.json()["reason"] == reason, answer.text
    eventually(lambda: ground.refused(reason) > before)


def test_hosts_that_it_was_not_sent_to(ground: Yard, liar: LyingWorker) -> None:
    """It tells of another's machine: nothing of that is kept, and the attempt is over."""
    job = ground.ask("127.9.4.1")
    order, before = liar.order(), ground.refused("out_of_scope")
    answer = liar.bring(liar.result(order, liar.observed("127.9.4.1"), liar.observed("127.9.99.1")))
    _refused(ground, answer, "out_of_scope", before)
    (target,) = ground.targets(job)
    history = ground.history(target["target"])
    assert history[-1]["end"] == "rejected"
    assert "127.9.99.1" in history[-1]["message"]
    assert not ground.running.found("ip:127.9.99.1")
    again = liar.order()
    assert liar.bring(liar.result(again, liar.observed("127.9.4.1"))).is_success
    ground.until(job, 1)


def test_what_another_key_signed(ground: Yard, liar: LyingWorker) -> None:
    """A result by a key that is not the machine's, and one in the name of another machine."""
    with ground.asked("127.9.4.2"):
        before = ground.refused("unknown_key")
        forged = liar.result(liar.order(), liar.observed("127.9.4.2"), key=SigningKey.generate())
        _refused(ground, liar.bring(forged), "unknown_key", before)
    with ground.asked("127.9.4.3"):
        before = ground.refused("impostor")
        _refused(ground, liar.bring(liar.result(liar.order(), node="attic")), "impostor", before)


def test_what_was_told_before(ground: Yard, liar: LyingWorker) -> None:
    """The same bundle again is answered as the first time; its observation under another lease is a replay."""
    observed = liar.observed("127.9.4.4")
    with ground.asked("127.9.4.4") as job:
        bundle = liar.result(liar.order(), observed)
        assert liar.bring(bundle).is_success
        same = liar.bring(bundle)
        assert same.is_success
        assert same.json()["duplicate"] is True
        ground.until(job, 1)
    with ground.asked("127.9.4.4"):
        before = ground.refused("nonce_replayed")
        _refused(ground, liar.bring(liar.result(liar.order(), observed)), "nonce_replayed", before)


def test_a_lease_that_is_not_there(ground: Yard, liar: LyingWorker) -> None:
    """Made up, it is nobody's."""
    job = ground.ask("127.9.4.4")
    order, before = liar.order(), ground.refused("unknown_lease")
    made_up = liar.result(order, liar.observed("127.9.4.4"), lease="f" * 32)
    _refused(ground, liar.bring(made_up), "unknown_lease", before)
    assert liar.bring(liar.result(order, liar.observed("127.9.4.4"))).is_success
    ground.until(job, 1)


def test_an_operator_sees_who_lied(ground: Yard) -> None:
    """By name, with what was wrong."""
    shown = ground.running.cli("node", "refusals")
    for reason in ("out_of_scope", "unknown_key", "impostor", "nonce_replayed", "unknown_lease"):
        assert reason in shown
    assert "fox" in shown
