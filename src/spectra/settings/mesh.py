"""The mesh of this node's machines, and this machine as a node of somebody's mesh."""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, field_validator, model_validator

from spectra.settings.section import Section

_LABEL = r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?$"  # a DNS label, or nothing; `$` is the end in this dialect
_DNS_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*\Z")


class MeshPorts(NamedTuple):
    """TCP ports of the mesh's listener, of NATS and of MQTT; 0: any free one."""

    listener: int
    nats: int
    mqtt: int


MESH_PORTS = MeshPorts(listener=8766, nats=4222, mqtt=8883)
NO_PORTS = MeshPorts(0, 0, 0)


class AttestationSettings(Section):
    """How machines show the state they are in, by role. Without a TPM a machine only gives its word."""

    worker: Literal["required", "preferred", "off"] = Field(
        default="preferred",
        description="`required`: a worker without a TPM stays quarantined; `preferred`: its word will do; `off`: not"
        " asked.",
    )
    full: Literal["required", "preferred", "off"] = Field(default="preferred", description="The same for full nodes.")
    every_s: float = Field(default=3600.0, ge=10, le=7 * 86400, description="How often each shows its state.")
    pcrs: list[Annotated[int, Field(ge=0, le=23)]] = Field(
        default=list(range(8)),
        min_length=1,
        max_length=24,
        description="PCRs of a TPM that make up the state: 0 to 7 are firmware, boot loader and Secure Boot.",
    )
    tpm_makers: Path | None = Field(
        default=None,
        description="PEM file of the authorities whose TPMs count, as their makers publish them; unset: any TPM, also"
        " one that is a program.",
    )


class MeshSettings(Section):
    """The mesh of this node's machines: its CA, where they reach it, and the fabric between them."""

    enabled: bool = Field(default=True, description="Whether other machines can join this node.")
    host: str = Field(
        default="127.0.0.1",
        description="Address that machines reach this node by, over TLS: listener and fabric; loopback unless you"
        " change it.",
    )
    port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="TCP port of the mesh's listener (CA and API of machines); 0 picks a free one; unset: 8766, and a"
        " free one where `api.port` is 0. So for the other two.",
    )
    addresses: list[str] = Field(
        default_factory=list,
        description="DNS names and addresses of this node, for its certificate; the first is the one machines are sent"
        " to. Empty: `mesh.host`, or where that is every address, this machine's own.",
    )
    name: str = Field(
        default="", pattern=_LABEL, description="Name of the mesh, fixed by the first start; empty: one made up."
    )
    node: str = Field(
        default="", pattern=_LABEL, description="This node's own name in the mesh, fixed by the first start."
    )
    lifetime_s: int = Field(
        default=24 * 3600, ge=10, le=90 * 86400, description="How long the certificate of a machine holds."
    )
    renew_grace_s: int = Field(
        default=7 * 86400, ge=0, description="How long after its end a certificate may still be renewed."
    )
    ca: Literal["built-in", "external"] = Field(
        default="built-in",
        description="Who issues certificates to machines: this node, or a step-ca that runs elsewhere.",
    )
    ca_url: str = Field(default="", description="`https://host:port` of an external step-ca.")
    ca_fingerprint: str = Field(
        default="", description="SHA-256 of its root certificate, as `step certificate fingerprint` prints it."
    )
    ca_provisioner: str = Field(
        default="", max_length=200, description="Name of the JWK provisioner there that is ours."
    )
    ca_provisioner_key: Path | None = Field(
        default=None,
        description="File (mode 0600) with the private key of it: a JWK, or the `encryptedKey` of step-ca's `ca.json`.",
    )
    ca_provisioner_password: Path | None = Field(
        default=None, description="File (mode 0600) with the password of that key, where it has one."
    )
    fabric: Literal["embedded", "external", "off"] = Field(
        default="embedded",
        description="What carries messages: a nats-server started here, one that runs elsewhere, or none.",
    )
    fabric_url: str = Field(default="", description="`tls://host:port` of an external NATS cluster.")
    attestation: AttestationSettings = Field(
        default=AttestationSettings(), description="How machines show the state they are in."
    )
    fabric_mqtt_url: str = Field(
        default="", description="`mqtts://host:port` of an external cluster, for headless machines."
    )
    nats_port: int | None = Field(
        default=None, ge=0, le=65535, description="TCP port of the embedded fabric for NATS; unset: 4222."
    )
    mqtt_port: int | None = Field(
        default=None, ge=0, le=65535, description="TCP port of the embedded fabric for MQTT; unset: 8883."
    )
    announce: bool = Field(
        default=True, description="Whether the mesh is announced by mDNS where `mesh.host` is no loopback address."
    )

    @field_validator("ca_fingerprint")
    @classmethod
    def _sha256(cls, value: str) -> str:
        digits = value.replace(":", "").lower()
        if digits and not re.fullmatch(r"[0-9a-f]{64}", digits):
            raise ValueError("mesh.ca_fingerprint is a SHA-256 in hex: 64 digits")
        return digits

    @field_validator("addresses")
    @classmethod
    def _reachable(cls, values: list[str]) -> list[str]:
        return [_address(value) for value in values]

    @model_validator(mode="after")
    def _both(self) -> Self:
        if self.fabric == "external" and not self.fabric_url.startswith(("tls://", "nats://")):
            raise ValueError("mesh.fabric external needs mesh.fabric_url, such as tls://nats.example.org:4222")
        wanted = (self.ca_url.startswith("https://"), self.ca_fingerprint, self.ca_provisioner, self.ca_provisioner_key)
        if self.ca == "external" and not all(wanted):
            raise ValueError(
                "mesh.ca external needs mesh.ca_{url,fingerprint,provisioner,provisioner_key}; https alone"
            )
        return self


class NodeSettings(Section):
    """This machine as a node of somebody's mesh (`spectra join`); what was said when joining wins over these."""

    region: str = Field(
        default="", max_length=100, description="Where this machine is, for planning: `eu-west`, `branch-7`."
    )
    relay: bool = Field(default=False, description="Whether this machine sends through a relay.")
    transport: Literal["mqtt", "nats"] | None = Field(
        default=None, description="What this machine speaks with the mesh; unset: `mqtt` as a worker, else `nats`."
    )
    heartbeat_s: float = Field(default=5.0, ge=0.2, le=300, description="How often this machine says that it lives.")
    tpm: str = Field(
        default="auto", description="The TPM 2.0 that proves this machine's state: `auto`, `off`, or tpm2-tools' TCTI."
    )


def _address(text: str) -> str:
    """A DNS name in lower case, or an address in its one spelling."""
    try:
        return str(ip_address(text))
    except ValueError:
        if _DNS_NAME.match(text.lower()) is None:
            raise ValueError("write a DNS name or an IP address") from None
        return text.lower()
