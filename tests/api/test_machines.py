"""What the routes of machines work with."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from fastapi import FastAPI, Request

from spectra.api.machines import Machines, machines_of


def test_the_app_carries_it() -> None:
    """One for all requests, and nothing of it is exchanged while it serves."""
    app, nothing = FastAPI(), object()
    parts: dict[str, Any] = dict.fromkeys(("members", "signer", "attestations", "notes", "strikes"), nothing)
    app.state.machines = machines = Machines(**parts, certificates=None)
    assert machines_of(Request({"type": "http", "app": app})) is machines
    with pytest.raises(FrozenInstanceError):
        machines.certificates = None  # pyright: ignore[reportAttributeAccessIssue]
