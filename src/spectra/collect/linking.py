"""From a node's folder to its link: which library, and where to."""

from __future__ import annotations

from urllib.parse import urlsplit

from spectra.collect.agent import Hooks, place_of
from spectra.fabric import messages, subjects
from spectra.fabric.errors import MeshError
from spectra.fabric.link import Link
from spectra.fabric.messages import Lost
from spectra.fabric.nodefolder import NodeFolder, NodeState
from spectra.model.nodes import Transport

MQTT_PORT = 8883


def connect(folder: NodeFolder, state: NodeState, transport: Transport, will: Lost, hooks: Hooks) -> Link | None:
    """The link of a node by its transport; None where the mesh has no fabric for it.

    Only the library that is needed is loaded. Raises `MeshError` for a place that cannot be.
    """
    place = place_of(state.fabric, transport)
    if not place:
        return None
    if transport == "nats":
        from spectra.fabric.natslink import NatsLink

        return NatsLink(place.split(","), folder.tls, state.name, on_error=hooks.failed, on_change=hooks.changed)
    from spectra.fabric.mqttlink import MqttLink

    host, port = host_and_port(place)
    last = (subjects.presence(state.name), messages.encode(will))
    return MqttLink(host, port, folder.tls, state.name, will=last, on_error=hooks.failed, on_change=hooks.changed)


def host_and_port(place: str) -> tuple[str, int]:
    """Of `mqtts://host:port`."""
    try:
        parts = urlsplit(place)
        host, port = parts.hostname, parts.port or MQTT_PORT
    except ValueError:
        host, port = None, 0
    if not host or not place.startswith("mqtts://"):
        raise MeshError(f"{place[:200]!r} is no place of the fabric.", hint="Expected is mqtts://host:port.")
    return host, port
