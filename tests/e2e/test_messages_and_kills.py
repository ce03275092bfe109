"""Messages of alerts and a node that is killed: each of them arrives, and a repetition can be told by its id."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.support import samples
from tests.support.hooks import Receiver
from tests.support.running import Running, spectra
from tests.support.waiting import eventually
from tests.support.xmpp import Prosody, Reader, prosody

pytestmark = [pytest.mark.e2e, pytest.mark.engine, pytest.mark.fault, pytest.mark.slow]

SECRET = "geheim"
Delivery = dict[str, Any]


class Post(NamedTuple):
    """A node that tells a webhook and an account, ana's, of new hosts."""

    node: Running
    hook: Receiver
    server: Prosody
    ana: str

    def see(self, ip: str) -> None:
        """Somebody saw a host; the node has acknowledged that."""
        response = self.node.submit(self.node.seal(samples.scan_of(ip, 22)))
        assert response.status_code == 200, response.text

    def deliveries(self, ip: str) -> dict[str, Delivery]:
        """The messages about a host, by outlet; of each outlet one."""
        found = [one for one in self.node.get("/v0/deliveries")["deliveries"] if ip in one["title"]]
        by_outlet = {one["outlet"]: one for one in found}
        assert len(by_outlet) == len(found)
        return by_outlet

    def delivered(self, ip: str) -> str:
        """The id of the message about a host, once it has arrived by both outlets."""
        eventually(lambda: [one["state"] for one in self.deliveries(ip).values()] == ["delivered"] * 2)
        alerts = [one for one in self.node.get("/v0/alerts")["alerts"] if ip in one["title"]]
        assert [(one["rule"], one["count"]) for one in alerts] == [("hosts", 1)]
        (number,) = {one["notification"] for one in self.deliveries(ip).values()}
        return number

    def heard_by_hook(self, ip: str) -> list[str]:
        """The ids of the requests about a host that the receiver was sent."""
        return [fields["webhook-id"] for _, fields, raw in self.hook.got if ip in json.loads(raw)["data"]["title"]]


@pytest.fixture(scope="module")
def post(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Post]:
    """All of it, running."""
    with prosody(tmp_path_factory.mktemp("prosody")) as server, Receiver() as hook:
        ana = server.account("ana", SECRET)
        settings = {
            "JID": server.account("spectra", SECRET),
            "PASSWORD": SECRET,
            "HOST": "127.0.0.1",
            "PORT": str(server.port),
            "CA_FILE": str(server.roots),
        }
        variables = {f"SPECTRA_NOTIFY__XMPP__{name}": value for name, value in settings.items()}
        with spectra(None, SPECTRA_NOTIFY__TIMEOUT_S="120", **variables) as node:
            node.start()
            with node.client() as client:
                for path, body in {
                    "outlets/hook": {"kind": "webhook", "target": f"http://127.0.0.1:{hook.port}/"},
                    "outlets/ana": {"kind": "xmpp", "target": ana},
                    "alerts/rules/hosts": {"name": "hosts", "on": ["host.new"], "outlets": ["hook", "ana"]},
                }.items():
                    response = client.put(f"/v0/{path}", json=body)
                    assert response.status_code == 200, response.text
            yield Post(node, hook, server, ana)


def test_killed_in_the_middle_of_messages(post: Post) -> None:
    """One message the receiver has and has not answered, and the XMPP server is down; of another host nobody was told
    yet. All of it arrives after the start: the first again under its id, the others once.
    """
    (told, untold), node = (samples.address(), samples.address()), post.node
    post.hook.stalls = True
    post.server.kill()
    post.see(told)
    eventually(lambda: post.heard_by_hook(told) and post.deliveries(told)["ana"].get("attempts"))
    assert {one["state"] for one in post.deliveries(told).values()} == {"waiting"}
    post.see(untold)
    node.end(signal.SIGKILL)
    post.hook.stalls = False
    post.server.start()
    node.start()
    first, second = post.delivered(told), post.delivered(untold)
    assert (post.heard_by_hook(told), post.heard_by_hook(untold)) == ([first, first], [second])
    with Reader(post.server, post.ana, SECRET) as reader:
        assert sorted(one.id for one in reader.wait(2)) == sorted([first, second])
