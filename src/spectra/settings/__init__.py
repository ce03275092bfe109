"""Typed settings, from (strongest first) `SPECTRA_SECTION__KEY`, `~/.config/spectra/config.yaml`,
`/etc/spectra/config.yaml`, defaults.
"""

from __future__ import annotations

import os
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from spectra.settings.ai import AiSettings
from spectra.settings.mesh import MESH_PORTS, NO_PORTS, AttestationSettings, MeshPorts, MeshSettings, NodeSettings
from spectra.settings.notify import NotifySettings
from spectra.settings.section import Section
from spectra.settings.web import WebSettings
from spectra.settings.work import WorkerSettings, WorkSettings

__all__ = [
    "MESH_PORTS",
    "AiSettings",
    "ApiSettings",
    "AttestationSettings",
    "AuthSettings",
    "BlobSettings",
    "DatabaseSettings",
    "EmbeddingSettings",
    "GateSettings",
    "LimitsSettings",
    "LogSettings",
    "MeshPorts",
    "MeshSettings",
    "NodeSettings",
    "NotifySettings",
    "ScanSettings",
    "Settings",
    "WebSettings",
    "WorkSettings",
    "WorkerSettings",
    "config_dir",
    "default_data_dir",
    "deny_files",
    "load",
]

MIB = 1024 * 1024


def config_dir() -> Path:
    """`$XDG_CONFIG_HOME/spectra`, by default `~/.config/spectra`."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "spectra"


def deny_files() -> tuple[Path, Path]:
    """The do-not-scan lists of this machine: the system's and the user's. Neither need be there."""
    return Path("/etc/spectra/do-not-scan.txt"), config_dir() / "do-not-scan.txt"


def default_data_dir() -> Path:
    """`/var/lib/spectra` for root (PostgreSQL runs as a system user there), else `~/.local/share/spectra`."""
    if os.geteuid() == 0:
        return Path("/var/lib/spectra")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "spectra"


class ApiSettings(Section):
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


class DatabaseSettings(Section):
    """Which PostgreSQL holds the graph."""

    url: SecretStr | None = Field(
        default=None, description="`postgresql://...` of a server to use; unset: the embedded PostgreSQL is started."
    )
    pool_size: int = Field(default=12, ge=2, le=200, description="Connections kept by one coordinator.")
    statement_timeout_s: float = Field(default=60.0, gt=0, description="Longest one SQL statement may run.")
    shared_buffers_mb: int = Field(default=256, ge=16, description="Page cache of the embedded PostgreSQL.")


class BlobSettings(Section):
    """Where raw originals are kept."""

    url: str = Field(
        default="", description="`s3://bucket/prefix` or `file:///folder`; empty: `blobs/` in the data folder."
    )
    endpoint: str = Field(default="", description="Endpoint of an S3 that is not AWS, such as SeaweedFS.")
    region: str = Field(default="us-east-1", description="S3 region name.")
    access_key_id: SecretStr | None = Field(default=None, description="S3 access key.")
    secret_access_key: SecretStr | None = Field(default=None, description="S3 secret key.")


class GateSettings(Section):
    """Bounds of the ingest gate."""

    max_envelope_bytes: int = Field(default=96 * MIB, ge=1024, description="Largest envelope accepted, as sent.")
    max_output_bytes: int = Field(default=1024 * MIB, ge=1024, description="Largest tool output, after decompression.")
    max_age_s: int = Field(default=24 * 3600, ge=1, description="How long ago a payload may have been signed.")
    max_ahead_s: int = Field(default=300, ge=0, description="How far in the future a payload may claim to be signed.")
    key_grace_s: int = Field(default=24 * 3600, ge=0, description="How long a rotated key stays valid.")
    rate_per_minute: int = Field(
        default=60, ge=0, description="Submissions a minute from one contributor (not admins); 0: no limit."
    )


class LimitsSettings(Section):
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


class FreshnessSettings(Section):
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


class TierSettings(Section):
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


class FeedSettings(Section):
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


class VulnSettings(Section):
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


class EmbeddingSettings(Section):
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


class ScanSettings(Section):
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


class AuthSettings(Section):
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
    seal_key_file: str = Field(
        default="",
        description="File of the key that seals the secrets of authenticator apps, the same for every coordinator of a"
        " database; empty: `keys/seal.key` in the data folder.",
    )
    password_memory_mib: int = Field(
        default=64, ge=19, le=4096, description="Memory that checking one password takes (argon2id)."
    )


class LogSettings(Section):
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
    work: WorkSettings = WorkSettings()
    worker: WorkerSettings = WorkerSettings()
    ai: AiSettings = AiSettings()
    web: WebSettings = WebSettings()
    notify: NotifySettings = NotifySettings()
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
        mesh, usual = self.mesh, NO_PORTS if self.api.port == 0 else MESH_PORTS
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
