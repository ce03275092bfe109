"""Typed settings, from (strongest first) `SPECTRA_SECTION__KEY`, `~/.config/spectra/config.yaml`,
`/etc/spectra/config.yaml`, defaults.
"""

from __future__ import annotations

import os
import re
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

MIB = 1024 * 1024
_LABEL = r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?$"  # a DNS label, or nothing; `$` is the end in this dialect
_DNS_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*\Z")


def config_dir() -> Path:
    """`$XDG_CONFIG_HOME/spectra`, by default `~/.config/spectra`."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "spectra"


def default_data_dir() -> Path:
    """`/var/lib/spectra` for root (PostgreSQL runs as a system user there), else `~/.local/share/spectra`."""
    if os.geteuid() == 0:
        return Path("/var/lib/spectra")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "spectra"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ApiSettings(_Section):
    """Where the HTTP API listens, and its bounds."""

    host: str = Field(default="127.0.0.1", description="Address the API listens on; loopback unless you change it.")
    port: int = Field(default=8765, ge=0, le=65535, description="TCP port of the API; 0 picks a free one.")
    request_timeout_s: float = Field(default=30.0, gt=0, description="Longest a request may wait for the database.")
    body_timeout_s: float = Field(default=120.0, gt=0, description="Longest a request's body may take to arrive.")
    max_concurrent_ingests: int = Field(
        default=8,
        ge=1,
        le=256,
        description="Submissions worked on at once; as many again may wait, more are answered 503.",
    )
    trusted_proxies: list[str] = Field(
        default_factory=list,
        description="Networks of reverse proxies whose X-Forwarded-For is believed, such as 127.0.0.1/32.",
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, values: list[str]) -> list[str]:
        return [str(ip_network(value)) for value in values]


class DatabaseSettings(_Section):
    """Which PostgreSQL holds the graph."""

    url: SecretStr | None = Field(
        default=None, description="`postgresql://...` of a server to use; unset: the embedded PostgreSQL is started."
    )
    pool_size: int = Field(default=12, ge=2, le=200, description="Connections kept by one coordinator.")
    statement_timeout_s: float = Field(default=60.0, gt=0, description="Longest one SQL statement may run.")
    shared_buffers_mb: int = Field(default=256, ge=16, description="Page cache of the embedded PostgreSQL.")


class BlobSettings(_Section):
    """Where raw originals are kept."""

    url: str = Field(
        default="", description="`s3://bucket/prefix` or `file:///folder`; empty: `blobs/` in the data folder."
    )
    endpoint: str = Field(default="", description="Endpoint of an S3 that is not AWS, such as SeaweedFS.")
    region: str = Field(default="us-east-1", description="S3 region name.")
    access_key_id: SecretStr | None = Field(default=None, description="S3 access key.")
    secret_access_key: SecretStr | None = Field(default=None, description="S3 secret key.")


class GateSettings(_Section):
    """Bounds of the ingest gate."""

    max_envelope_bytes: int = Field(default=96 * MIB, ge=1024, description="Largest envelope accepted, as sent.")
    max_output_bytes: int = Field(default=1024 * MIB, ge=1024, description="Largest tool output, after decompression.")
    max_age_s: int = Field(default=24 * 3600, ge=1, description="How long ago a payload may have been signed.")
    max_ahead_s: int = Field(default=300, ge=0, description="How far in the future a payload may claim to be signed.")
    key_grace_s: int = Field(default=24 * 3600, ge=0, description="How long a rotated key stays valid.")
    rate_per_minute: int = Field(
        default=60, ge=0, description="Submissions a minute from one contributor (not admins); 0: no limit."
    )


class LimitsSettings(_Section):
    """How often one account may ask, not counting admins, whichever coordinator it asks; 0: no limit."""

    ingest_per_minute: int | None = Field(
        default=None, ge=0, description="Submissions a minute from one contributor; unset: `gate.rate_per_minute`."
    )
    plan_per_minute: int = Field(default=30, ge=0, description="Plans a minute for one account; 0: no limit.")
    search_per_minute: int = Field(
        default=0, ge=0, description="Searches and counts a minute by one account; 0: no limit."
    )
    requests_per_hour: int = Field(
        default=10, ge=0, description="Do-not-scan requests an hour from one network (IPv4 /24, IPv6 /64)."
    )
    requests_per_hour_total: int = Field(default=100, ge=0, description="Do-not-scan requests an hour in total.")
    joins_per_minute: int = Field(
        default=600, ge=0, description="Certificates asked for by token, a minute, from one network; 0: no limit."
    )
    mesh_failures_per_minute: int = Field(
        default=120,
        ge=0,
        description="What machines of one network may get wrong a minute before nobody of it is listened to for a"
        " while; 0: no limit.",
    )


class FreshnessSettings(_Section):
    """How long what is known stays fresh, and how long plans are kept."""

    services: dict[str, Annotated[int, Field(ge=1, le=10 * 365 * 86400)]] = Field(
        default_factory=dict,
        description='Seconds by service name, over the built-in ones (http 6 h, ssh 24 h ...): `{"http": 21600}`.',
    )
    default_s: int = Field(
        default=24 * 3600, ge=1, le=10 * 365 * 86400, description="Seconds that any other service stays fresh."
    )
    plan_days: int = Field(default=7, ge=1, le=365, description="How long a plan is kept.")
    plans_per_account: int = Field(default=1000, ge=1, description="Plans kept of one account; the oldest makes room.")


class TierSettings(_Section):
    """Who is Pro, which vulnerability answers belong to. Admins always are, and whoever an admin makes Pro."""

    mode: Literal["own", "earned", "everyone"] = Field(
        default="own",
        description="`own`: the accounts of this node's people, which is every role but contributor and module, and who"
        " earns it; `earned`: only who earns it; `everyone`.",
    )
    threshold: int = Field(
        default=1000, ge=1, description="Endpoints made fresh within the window that make an account Pro."
    )
    window_days: int = Field(default=30, ge=1, le=3650, description="How many days (UTC) count, today among them.")
    daily_cap: int = Field(default=500, ge=0, description="Most that counts of one account's day; 0: no bound.")


class FeedSettings(_Section):
    """The feeds that say where hosts are."""

    update_every_s: float = Field(
        default=24 * 3600, ge=0, description="How often feeds that have a URL are fetched again; 0: only when asked."
    )
    max_bytes: int = Field(default=512 * MIB, ge=1024, description="Largest feed that is fetched or taken, as sent.")
    timeout_s: float = Field(default=300.0, gt=0, description="Longest the download of a feed may take.")
    allow: list[str] = Field(
        default_factory=list,
        description="Networks besides the public Internet that feeds may be fetched from, also by plain http.",
    )

    @field_validator("allow")
    @classmethod
    def _networks(cls, values: list[str]) -> list[str]:
        return [str(ip_network(value)) for value in values]


class VulnSettings(_Section):
    """The feeds of weaknesses; `feeds.allow` holds for them, too."""

    update_every_s: float = Field(
        default=24 * 3600,
        ge=0,
        description="How often feeds of weaknesses that have a URL are fetched again; 0: only when asked.",
    )
    max_bytes: int = Field(
        default=1024 * MIB, ge=1024, description="Largest feed of weaknesses that is fetched or taken, as sent."
    )
    timeout_s: float = Field(
        default=900.0, gt=0, le=1200, description="Longest the download of a feed of weaknesses may take."
    )
    nvd_api_key: SecretStr | None = Field(
        default=None, description="Key of the NVD's API, which then answers ten times as often."
    )
    nvd_pause_s: float | None = Field(
        default=None, ge=0, description="Seconds between two requests to the NVD's API; unset: 6, with a key 0.6."
    )


class EmbeddingSettings(_Section):
    """What makes the vectors of CVE texts. Without a URL they are learned from the stored texts: nothing is sent."""

    url: str = Field(
        default="",
        description="Service with an OpenAI-compatible `/v1/embeddings`, such as http://127.0.0.1:11434 (Ollama). CVE"
        " texts and the texts people look for are sent there, and nowhere else.",
    )
    model: str = Field(default="", description="Model to ask the service for, such as `nomic-embed-text`.")
    api_key: SecretStr | None = Field(default=None, description="Key of the service, sent as a bearer token.")
    dimensions: int = Field(
        default=0, ge=0, le=4000, description="Dimensions to ask the model for; 0: as many as it gives."
    )
    batch: int = Field(default=64, ge=1, le=2048, description="Texts in one request to the service.")
    timeout_s: float = Field(default=60.0, gt=0, le=600, description="Longest one request to the service may take.")
    look_every_s: float = Field(
        default=60.0, ge=0, description="How often CVEs without a vector are looked for; 0: only when asked."
    )

    @field_validator("url")
    @classmethod
    def _http(cls, value: str) -> str:
        if value and not (value.startswith(("http://", "https://")) and urlsplit(value).hostname):
            raise ValueError("write it as http://host:port or https://host")
        return value

    @model_validator(mode="after")
    def _both(self) -> Self:
        if self.url and not self.model:
            raise ValueError("embeddings.url needs embeddings.model")
        return self


class ScanSettings(_Section):
    """Scope law and defaults of scanners on this machine."""

    allow: list[str] = Field(
        default_factory=list, description="Special-use networks (RFC 6890) that may be scanned, such as 192.168.1.0/24."
    )
    do_not_scan: list[str] = Field(
        default_factory=list, description="Networks, addresses or hostnames never scanned, besides do-not-scan.txt."
    )
    rate: int = Field(default=1000, ge=1, le=1_000_000, description="Most connection attempts or packets a second.")
    concurrency: int = Field(default=500, ge=1, le=20_000, description="Most connections open at once.")
    timeout_s: float = Field(default=3.0, gt=0, le=60, description="Longest wait for one connection or banner.")


class AuthSettings(_Section):
    """Signing in: the tokens this node issues, and how passwords are kept."""

    issuer: str = Field(
        default="",
        description="`iss` of the tokens, the same for every coordinator: the mesh's public URL; empty: one made up.",
    )
    urls: list[str] = Field(
        default_factory=list,
        description="URLs this node is reached by besides its own, such as https://spectra.example.org.",
    )
    access_ttl_s: int = Field(default=600, ge=30, le=3600, description="How long an access token holds.")
    refresh_ttl_s: int = Field(
        default=14 * 86400, ge=60, description="How long a refresh token holds; a session unused for longer ends."
    )
    session_ttl_s: int = Field(default=30 * 86400, ge=60, description="How long a session holds, however much used.")
    token_key_days: int = Field(default=30, ge=1, le=365, description="How long one key signs tokens before the next.")
    password_memory_mib: int = Field(
        default=64, ge=19, le=4096, description="Memory that checking one password takes (argon2id)."
    )


class MeshPorts(NamedTuple):
    """TCP ports of the mesh's listener, of NATS and of MQTT; 0: any free one."""

    listener: int
    nats: int
    mqtt: int


MESH_PORTS = MeshPorts(listener=8766, nats=4222, mqtt=8883)
_NO_PORTS = MeshPorts(0, 0, 0)


class AttestationSettings(_Section):
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


class MeshSettings(_Section):
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


class NodeSettings(_Section):
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


class LogSettings(_Section):
    """JSON lines with ECS field names on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level that is written."
    )
    format: Literal["auto", "json", "text"] = Field(
        default="auto", description="`auto`: text on a terminal, JSON lines elsewhere."
    )


class Settings(BaseSettings):
    """All settings. Build one with `load()`; tests pass values to the constructor."""

    model_config = SettingsConfigDict(
        env_prefix="SPECTRA_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    data_dir: Path = Field(
        default_factory=default_data_dir, description="Folder of the database, blobs, keys and state of this node."
    )
    server: str = Field(
        default="", description="URL of the API the command line talks to; empty: the one of `data_dir`."
    )
    api: ApiSettings = ApiSettings()
    database: DatabaseSettings = DatabaseSettings()
    blobs: BlobSettings = BlobSettings()
    gate: GateSettings = GateSettings()
    limits: LimitsSettings = LimitsSettings()
    freshness: FreshnessSettings = FreshnessSettings()
    tiers: TierSettings = TierSettings()
    feeds: FeedSettings = FeedSettings()
    vulns: VulnSettings = VulnSettings()
    embeddings: EmbeddingSettings = EmbeddingSettings()
    scan: ScanSettings = ScanSettings()
    auth: AuthSettings = AuthSettings()
    mesh: MeshSettings = MeshSettings()
    node: NodeSettings = NodeSettings()
    log: LogSettings = LogSettings()

    @property
    def ingest_per_minute(self) -> int:
        """Submissions a minute from one contributor; 0: no limit."""
        own = self.limits.ingest_per_minute
        return self.gate.rate_per_minute if own is None else own

    @property
    def mesh_ports(self) -> MeshPorts:
        """The ports of the mesh. A node whose API takes any free port takes them for the mesh, too: several run on one
        machine.
        """
        mesh, usual = self.mesh, _NO_PORTS if self.api.port == 0 else MESH_PORTS
        chosen = (mesh.port, mesh.nats_port, mesh.mqtt_port)
        return MeshPorts(*(known if port is None else port for port, known in zip(chosen, usual, strict=True)))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment over the user's file over the system's file."""
        files = (config_dir() / "config.yaml", Path("/etc/spectra/config.yaml"))
        return (init_settings, env_settings, *(YamlConfigSettingsSource(settings_cls, f) for f in files))


def load() -> Settings:
    """Read the settings of this process; raises `pydantic.ValidationError` naming the wrong key."""
    return Settings()
