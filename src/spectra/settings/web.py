"""Settings of the dashboard."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import Field, field_validator

from spectra.settings.section import Section


class WebSettings(Section):
    """The dashboard: where browsers reach it, and how long they stay signed in."""

    origin: str = Field(
        default="",
        description="Origin that browsers reach the dashboard at, such as https://spectra.example.org; empty: any name"
        " they used. Needed for passkeys under any other name than localhost or an onion's, and for links in messages.",
    )
    idle_s: int = Field(default=12 * 3600, ge=60, description="How long a browser stays signed in without being used.")
    session_ttl_s: int = Field(
        default=30 * 86400, ge=60, description="How long a browser stays signed in, however much used."
    )

    @field_validator("origin")
    @classmethod
    def _origin(cls, value: str) -> str:
        value = value.rstrip("/").lower()
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.hostname or parts.path or parts.query):
            raise ValueError("write it as https://name or http://name:port, without a path")
        return value
