"""The configuration of nats-server: who may connect and what each may say, as text.

Identity is the URI in the certificate (`verify_and_map`), permissions are per node, and what is not allowed is denied.
https://docs.nats.io/running-a-nats-service/configuration
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from spectra.fabric.errors import MeshError
from spectra.fabric.link import TlsFiles
from spectra.fabric.subjects import Permissions

ACCOUNT: Final = "MESH"
NATS_PORT: Final = "$SPECTRA_NATS_PORT"
MQTT_PORT: Final = "$SPECTRA_MQTT_PORT"
"""Where a port is 0: variables that whoever starts the server puts into its environment."""

# To handshake and say who one is: a busy board takes seconds for it. The server wants more for both than for the first.
# While a handshake goes on, a reload waits for it: who says nothing holds up for so long who is to be thrown out.
_TLS_TIMEOUT_S = 5
_AUTH_TIMEOUT_S = 15


@dataclass(frozen=True)
class Member:
    """Somebody who may connect: the URI in its certificate, and what it may do.

    `key_name` is a DNS name in its certificate that says which key that is for, where its CA writes one: then only this
    key gets in, and no older certificate of the same URI. (`pinned_certs` would say so too, but nats-server 2.15 does
    not reload it for MQTT.)
    """

    uri: str
    permissions: Permissions
    key_name: str = ""

    @property
    def user(self) -> str:
        """What nats-server knows it by: of the names in a certificate it tries the DNS names before the URIs."""
        return self.key_name or self.uri


@dataclass(frozen=True)
class Limits:
    """What one client, and all of them, may take."""

    connections: int = 8192
    payload_bytes: int = 1024 * 1024
    pending_bytes: int = 8 * 1024 * 1024
    """Waiting for one client that reads too slowly, before it is dropped."""

    subscriptions: int = 1000
    """Of one client."""

    write_deadline_s: int = 10
    ping_s: int = 30
    """How often a silent NATS client is asked whether it lives; two missed answers and it is dropped. MQTT clients
    keep alive by themselves."""

    memory_mb: int = 64
    disk_mb: int = 2048
    """Of streams."""


@dataclass(frozen=True)
class NatsConfig:
    """What a server is to be. `server_name` is stable: MQTT's sessions belong to it."""

    server_name: str
    tls: TlsFiles
    store_dir: Path
    coordinators: Sequence[str]
    members: Sequence[Member] = ()
    host: str = "127.0.0.1"
    port: int = 0
    mqtt_host: str = "127.0.0.1"
    mqtt_port: int = 0
    limits: Limits = field(default_factory=Limits)


def render(config: NatsConfig) -> str:
    """The configuration file. The same members in another order give the same text; a coordinator that is a member too
    keeps the permissions of a coordinator.

    Raises `MeshError` where a value cannot be told safely, or two members are one.
    """
    limits = config.limits
    lines = [
        f"server_name: {_quoted(config.server_name)}",
        f"host: {_quoted(config.host)}",
        f"port: {config.port or NATS_PORT}",
        *_tls("tls", config.tls),
        "jetstream {",
        f"  store_dir: {_quoted(str(config.store_dir))}",
        f"  max_memory_store: {limits.memory_mb}MB",
        f"  max_file_store: {limits.disk_mb}MB",
        "}",
        "mqtt {",
        f"  host: {_quoted(config.mqtt_host)}",
        f"  port: {config.mqtt_port or MQTT_PORT}",
        *(f"  {line}" for line in _tls("tls", config.tls)),
        "}",
        f"max_connections: {limits.connections}",
        f"max_payload: {limits.payload_bytes}",
        f"max_pending: {limits.pending_bytes}",
        f"max_subscriptions: {limits.subscriptions}",
        f'write_deadline: "{limits.write_deadline_s}s"',
        f'ping_interval: "{limits.ping_s}s"',
        "ping_max: 2",
        # Which certificate a connection showed stands only here, and refusals have to be told with a name.
        "debug: true",
        "logtime_utc: true",
        f"authorization {{ timeout: {_AUTH_TIMEOUT_S} }}",
        *_accounts(config),
    ]
    return "\n".join(lines) + "\n"


def _tls(name: str, files: TlsFiles) -> list[str]:
    return [
        f"{name} {{",
        f"  cert_file: {_quoted(str(files.cert))}",
        f"  key_file: {_quoted(str(files.key))}",
        f"  ca_file: {_quoted(str(files.roots))}",
        "  verify_and_map: true",
        '  min_version: "1.3"',
        f"  timeout: {_TLS_TIMEOUT_S}",
        "}",
    ]


def _accounts(config: NatsConfig) -> list[str]:
    everything = Permissions(publish=(">",), subscribe=(">",))
    coordinators = set(config.coordinators)
    users = [Member(uri, everything) for uri in coordinators]
    users += [member for member in config.members if member.uri not in coordinators]
    if len({user.uri for user in users}) != len(users) or len({user.user for user in users}) != len(users):
        raise MeshError("two members of the mesh have one name.")
    return [
        "accounts {",
        f"  {ACCOUNT} {{",
        "    jetstream: enabled",
        "    users: [",
        *(f"      {_user(user)}" for user in sorted(users, key=lambda user: user.uri)),
        "    ]",
        "  }",
        "}",
    ]


def _user(member: Member) -> str:
    publish = _subjects(member.permissions.publish)
    subscribe = _subjects(member.permissions.subscribe)
    return f"{{user: {_quoted(member.user)}, permissions: {{publish: {publish}, subscribe: {subscribe}}}}}"


def _subjects(allowed: Sequence[str]) -> str:
    """An empty list of allowed subjects would allow all of them."""
    if not allowed:
        return '{deny: [">"]}'
    return f"{{allow: [{', '.join(_quoted(subject) for subject in sorted(allowed))}]}}"


def _quoted(text: str) -> str:
    """A string of the configuration's language: no part of it may be read as anything else."""
    if not text or not text.isprintable():
        raise MeshError(f"{text!a} cannot stand in the configuration of nats-server.")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
