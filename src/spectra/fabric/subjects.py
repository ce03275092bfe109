"""The subjects of the mesh, and who may use which.

NATS separates tokens with `.`, MQTT levels with `/`; the same names serve both, since a node's name is a DNS label.
Each node publishes and hears only what carries its own name, and `spectra.all`. Nothing here lets one node hear
another: what goes between nodes goes through the coordinator.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from spectra.fabric.errors import MeshError
from spectra.model.nodes import Role, Standing, is_node_name

ROOT: Final = "spectra"
ALL: Final = "spectra.all"
"""From the coordinator to every node."""

WAITING: Final = "spectra.waiting"
"""Among coordinators: targets may wait that did not before. No node may say or hear it."""

EVERY_PRESENCE: Final = "spectra.presence.*"
EVERY_REPLY: Final = "spectra.reply.*"
EVERY_WORK: Final = "spectra.work.*"

_PRESENCE: Final = "spectra.presence."
_EVERYTHING: Final = ">"
_TO_TOPIC: Final = str.maketrans({".": "/", "*": "+", ">": "#"})
_TO_SUBJECT: Final = str.maketrans({"/": ".", "+": "*", "#": ">"})


@dataclass(frozen=True)
class Permissions:
    """The subjects somebody may publish on and subscribe to; with neither, nothing."""

    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()


def presence(node: str) -> str:
    """Where a node says that it lives, and its broker that it lost it."""
    return f"spectra.presence.{_named(node)}"


def control(node: str) -> str:
    """From the coordinator to one node."""
    return f"spectra.ctl.{_named(node)}"


def reply(node: str) -> str:
    """A node's answers to what it heard on `control`."""
    return f"spectra.reply.{_named(node)}"


def work(node: str) -> str:
    """A node asks for work, and tells how it goes."""
    return f"spectra.work.{_named(node)}"


def assign(node: str) -> str:
    """The coordinator hands work to a node."""
    return f"spectra.assign.{_named(node)}"


def is_presence(subject: str) -> bool:
    """Whether messages of this subject are replaced by the next one, so that losing an old one loses nothing."""
    return subject.startswith(_PRESENCE)


def node_of(subject: str) -> str:
    """The node in the last token of a subject. Raises `MeshError("malformed_message")` where none stands there."""
    parts = subject.split(".")
    if len(parts) != 3 or parts[0] != ROOT or not is_node_name(parts[2]):
        raise MeshError("the subject names no node.", reason="malformed_message")
    return parts[2]


def speaker(subject: str) -> str:
    """The node that a subject belongs to, or the subject where it is none's."""
    try:
        return node_of(subject)
    except MeshError:
        return subject[:100]


def topic(subject: str) -> str:
    """The MQTT topic (or filter) that a NATS server takes for this subject."""
    return subject.translate(_TO_TOPIC)


def subject_of(topic: str) -> str:
    """The subject of an MQTT topic or filter."""
    return topic.translate(_TO_SUBJECT)


def permissions(role: Role, name: str, standing: Standing) -> Permissions:
    """What the broker lets a node do. Least privilege: a quarantined node may be heard and asked, nothing else."""
    if standing == "quarantined":
        return Permissions(publish=(presence(name), reply(name)), subscribe=(control(name),))
    if standing != "active":
        return Permissions()
    if role == "coordinator":
        return Permissions(publish=(_EVERYTHING,), subscribe=(_EVERYTHING,))
    return Permissions(
        publish=(presence(name), reply(name), work(name)),
        subscribe=(control(name), ALL, assign(name)),
    )


def _named(node: str) -> str:
    """A name that is no label could be a wildcard, and a permission with it."""
    if not is_node_name(node):
        raise MeshError("this is no name of a node.", reason="malformed_message")
    return node
