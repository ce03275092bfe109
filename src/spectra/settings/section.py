"""What all sections share: an unknown key is an error, and nothing changes afterwards."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Settings of one subject."""

    model_config = ConfigDict(extra="forbid", frozen=True)
