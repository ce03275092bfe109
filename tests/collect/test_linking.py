"""From a node's folder to its link: which one, and what is no place to link to."""

from __future__ import annotations

from pathlib import Path

import pytest

from spectra.collect.agent import Hooks
from spectra.collect.linking import MQTT_PORT, connect, host_and_port
from spectra.fabric.errors import MeshError
from spectra.fabric.messages import Lost
from spectra.fabric.mqttlink import MqttLink
from spectra.fabric.natslink import NatsLink
from spectra.fabric.nodefolder import NodeFolder, NodeState
from spectra.model.nodes import FabricPlace, Transport
from tests.cli.test_client import closed_port
from tests.support.fabrics import Heard

WILL = Lost(1, "board-1", 7)


def state(fabric: FabricPlace) -> NodeState:
    """A node of a mesh with this fabric."""
    uri = "spiffe://lab/node/board-1"
    return NodeState("lab", "board-1", "worker", uri, "https://x", "https://x", fabric=fabric)


@pytest.mark.parametrize(("transport", "kind"), [("mqtt", MqttLink), ("nats", NatsLink)])
def test_a_link_by_transport(tmp_path: Path, transport: Transport, kind: type) -> None:
    """It begins by itself, and says what keeps it: here, that there are no certificates in the folder."""
    port = closed_port()
    fabric = FabricPlace(nats=f"tls://127.0.0.1:{port}", mqtt=f"mqtts://127.0.0.1:{port}")
    failed = Heard()
    hooks = Hooks(changed=Heard(), failed=failed, heard=Heard())
    link = connect(NodeFolder(tmp_path), state(fabric), transport, WILL, hooks)
    assert link is not None
    try:
        assert isinstance(link, kind)
        failed.wait_until(lambda told: isinstance(told[0], MeshError) and "tls.crt" in told[0].message)
        assert not link.connected
    finally:
        link.close()


def test_no_fabric_no_link(tmp_path: Path) -> None:
    """A mesh without a fabric is no error."""
    hooks = Hooks(changed=Heard(), failed=Heard(), heard=Heard())
    for transport in ("mqtt", "nats"):
        assert connect(NodeFolder(tmp_path), state(FabricPlace()), transport, WILL, hooks) is None


def test_places() -> None:
    """Host and port, as an IPv6 address too; anything else is refused with what is expected."""
    assert host_and_port("mqtts://mesh.example.org:1884") == ("mesh.example.org", 1884)
    assert host_and_port("mqtts://[2001:db8::1]") == ("2001:db8::1", MQTT_PORT)
    for wrong in ("mqtt://x:1", "mqtts://", "mqtts://x:99999", "", "tls://x:1"):
        with pytest.raises(MeshError, match="mqtts://host:port"):
            host_and_port(wrong)
