"""What works with language models, as the settings ask for it: quick to make, and gone when it is stopped."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from spectra.ai.gateway.errors import NoModel
from spectra.aiparts import Ai, Parts, ai_of
from spectra.api.services import Services
from spectra.flow.similar import Similar
from spectra.flow.vectorflow import Vectors
from spectra.model.ai import Label, Message, Prompt, generic
from spectra.model.lifetimes import Lifetimes
from spectra.settings import AiSettings, Settings
from spectra.settings.ai import ProviderSettings
from spectra.store.blobs import BlobStore
from spectra.store.database import Database
from tests.flow.conftest import database, embedded, migrated_template, store_server
from tests.support.llms import FaultyModel

__all__ = ["database", "embedded", "migrated_template", "store_server"]

pytestmark = pytest.mark.engine

ASKED = Prompt((Message("user", (generic("hello"),)),))


def now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


def made(data_dir: Path, database: Database, local: ProviderSettings) -> Ai:
    """All of it, with this local model."""
    blobs = BlobStore.local(data_dir / "blobs")
    similar = Similar(Vectors(database, blobs, clock=now))
    settings = Settings(data_dir=data_dir, ai=AiSettings(local=local))
    return ai_of(Parts(settings, database, blobs, similar, Lifetimes(), now))


def test_every_service_has_its_place(data_dir: Path, database: Database) -> None:
    """What is made are fields of the API's services; with no model configured all of them are there."""
    ai = made(data_dir, database, ProviderSettings(residency="machine"))
    services = ai.services()
    assert set(services) <= set(Services.__dataclass_fields__)
    assert all(one is not None for one in services.values())
    assert {"ai", "explainer"} <= set(services)
    ai.start()
    ai.stop()
    with pytest.raises(NoModel):
        ai.gateway.answer(ASKED, account="alice", deadline_s=1)


def test_a_stop_leaves_nothing_running(data_dir: Path, database: Database) -> None:
    """A request that is under way ends, and so do the threads."""
    before = {thread.name for thread in threading.enumerate()}
    with FaultyModel("slow") as model:
        ai = made(data_dir, database, ProviderSettings(residency="machine", opt_in=True, url=model.url, model="tiny"))
        ai.start()
        assert ai.gateway.ready(Label.LOCAL_ONLY)
        failed: list[Exception] = []

        def ask() -> None:
            try:
                ai.gateway.answer(ASKED, account="alice", deadline_s=60)
            except Exception as error:  # noqa: BLE001 - it is looked at below
                failed.append(error)

        asking = threading.Thread(target=ask, name="asking")
        asking.start()
        assert model.arrived.acquire(timeout=30)
        ai.stop()
        asking.join(30)
        assert isinstance(failed[0], NoModel)
    left = {thread.name for thread in threading.enumerate()} - before
    assert not {name for name in left if name.startswith(("spectra-ai", "ai-"))}
