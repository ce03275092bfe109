"""Language models: which may be asked, for what, how often, and by which way out."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from spectra.settings.section import Section

Residency = Literal["machine", "eu", "elsewhere"]
NAMES = ("local", "mistral", "claude", "openai", "gemini", "xai")


class ProviderSettings(Section):
    """One provider of language models."""

    opt_in: bool = Field(default=False, description="Whether it may be asked at all.")
    url: str = Field(default="", description="Base URL of its API; empty: the provider's own.")
    model: str = Field(default="", description="Model to ask for; empty: a small one of the provider.")
    embedding_model: str = Field(default="", description="Model for `/v1/embeddings`; empty: it makes none.")
    api_key: SecretStr | None = Field(default=None, description="Its key; better a file.")
    api_key_file: Path | None = Field(default=None, description="File that holds its key alone, of mode 0600.")
    residency: Residency = Field(
        default="elsewhere", description="Where it works: only `machine` sees raw data, only `eu` sees sanitised data."
    )
    timeout_s: float = Field(default=30.0, gt=0, le=600, description="Longest one request to it may take.")
    tokens_per_day: int = Field(default=0, ge=0, description="Most tokens a day (UTC); 0: no bound.")
    cost_per_day: float = Field(
        default=0.0, ge=0, description="Most cost a day, in the currency of its prices; 0: none."
    )
    price_in: float = Field(default=0.0, ge=0, description="Price of a million tokens of input.")
    price_out: float = Field(default=0.0, ge=0, description="Price of a million tokens of output.")

    @field_validator("url")
    @classmethod
    def _http(cls, value: str) -> str:
        if value and not (value.startswith(("http://", "https://")) and urlsplit(value).hostname):
            raise ValueError("write it as http://host:port or https://host")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if self.api_key and self.api_key_file:
            raise ValueError("give api_key or api_key_file, not both")
        return self


class EgressSettings(Section):
    """The way out of requests to providers that are not on this machine, and of look-ups of the enrichment agent."""

    proxy: SecretStr | None = Field(
        default=None,
        description="`socks5://[user:password@]host:port` that all of it goes through; names resolve there.",
    )
    interface: str = Field(
        default="", max_length=15, description="Network interface (a VPN tunnel) that all of it is bound to."
    )

    @field_validator("proxy")
    @classmethod
    def _socks(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            parts = urlsplit(value.get_secret_value())
            if parts.scheme != "socks5" or not parts.hostname or not parts.port:
                raise ValueError("write it as socks5://host:port")
        return value


class AiSettings(Section):
    """The gateway to language models. With none configured, every answer is drawn from the graph alone."""

    order: list[Literal["local", "mistral", "claude", "openai", "gemini", "xai"]] = Field(
        default_factory=lambda: list(NAMES), description="Which provider is asked first, which next."
    )
    local: ProviderSettings = ProviderSettings(residency="machine", opt_in=True)
    mistral: ProviderSettings = ProviderSettings(residency="eu")
    claude: ProviderSettings = ProviderSettings()
    openai: ProviderSettings = ProviderSettings()
    gemini: ProviderSettings = ProviderSettings()
    xai: ProviderSettings = ProviderSettings()
    machine_networks: list[str] = Field(
        default_factory=list,
        description="Networks besides loopback that count as this machine: where an Ollama of one's own may stand.",
    )
    egress: EgressSettings = EgressSettings()
    free_text: Literal["local", "detected"] = Field(
        default="local",
        description="What people type: `local` never leaves this machine; `detected`: it may leave as sanitised data, "
        "without what the detector finds in it (docs/ai.md has its recall).",
    )
    summary_deadline_s: float = Field(
        default=3.5, gt=0, le=60, description="Longest a summary waits for models, all of them together."
    )
    chat_deadline_s: float = Field(
        default=120.0, gt=0, le=600, description="Longest a chat or report waits for models, all of them together."
    )
    concurrent: int = Field(default=4, ge=1, le=64, description="Requests to models at once; more are answered 503.")
    cache_hours: float = Field(default=24.0, ge=0, le=24 * 30, description="How long an answer is kept; 0: not at all.")
    tokens_per_account_day: int = Field(
        default=0, ge=0, description="Most tokens a day (UTC) of one account, admins included; 0: no bound."
    )
    patterns: Path | None = Field(
        default=None, description="Folder of report patterns besides those in `patterns/` of the configuration."
    )
    fetch_hosts: list[str] = Field(
        default_factory=lambda: ["services.nvd.nist.gov", "cveawg.mitre.org", "www.cisa.gov", "api.osv.dev"],
        description="Hosts that the enrichment agent may look things up at, by https; nothing else is ever fetched.",
    )
    fetch: bool = Field(default=False, description="Whether the enrichment agent may look things up at all.")

    @field_validator("machine_networks")
    @classmethod
    def _networks(cls, values: list[str]) -> list[str]:
        return [str(ip_network(value)) for value in values]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len(set(self.order)) != len(self.order):
            raise ValueError("ai.order names a provider twice")
        return self

    def provider(self, name: str) -> ProviderSettings:
        """The settings of one of `NAMES`."""
        found: ProviderSettings = getattr(self, name)
        return found
