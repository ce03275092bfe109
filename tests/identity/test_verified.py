"""Only the gate can say that something is verified."""

from __future__ import annotations

import copy
import dataclasses
from datetime import datetime
from typing import Any

import pytest

from spectra.identity import payload
from spectra.identity.errors import IdentityError
from spectra.identity.keys import SigningKey
from spectra.identity.verified import Verified, seal
from spectra.model.records import KeyRecord


@pytest.fixture
def fields(key: SigningKey, now: datetime) -> dict[str, Any]:
    """All that `seal` takes."""
    made = payload.build(output=b"secret banner", tool="nmap", contributor="alice", now=now, encoding="identity")
    record = KeyRecord(
        keyid=key.public.keyid,
        contributor="alice",
        role="contributor",
        public_key=key.public.b64,
        status="active",
        created=now,
    )
    raw = payload.encode(made)
    return {
        "payload": made,
        "raw": raw,
        "observation_id": payload.observation_id(raw),
        "key": record,
        "signature": "",
        "received": now,
        "seen": False,
    }


def test_it_cannot_be_built_elsewhere(fields: dict[str, Any]) -> None:
    """The constructor refuses whatever is given for the seal, and so does a changed copy."""
    with pytest.raises(TypeError):
        Verified(**fields)
    with pytest.raises(IdentityError, match="only the ingest gate"):
        Verified(**fields, sealed_by=object())
    with pytest.raises((ValueError, TypeError, IdentityError)):
        dataclasses.replace(seal(**fields), seen=True)


def test_it_cannot_be_changed(fields: dict[str, Any]) -> None:
    """A later stage cannot edit what the gate made."""
    made = seal(**fields)
    for name in fields:
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(made, name, None)
    assert copy.copy(made).raw is made.raw


def test_it_shows_its_id_and_not_its_content(fields: dict[str, Any]) -> None:
    """`repr` is short enough for a log and holds no scanned data."""
    text = repr(seal(**fields))
    assert fields["observation_id"] in text
    assert len(text) < 200
