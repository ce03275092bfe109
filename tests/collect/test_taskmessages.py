"""What a task says is read strictly."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from spectra.collect.taskmessages import Executed, Given, Lending, Moved
from tests.collect.test_task import order


def test_there_and_back() -> None:
    """What an agent gives is what a task reads."""
    given = Given(order=order(), deadline_s=3.5, relays=("interface:wg0",))
    assert msgspec.json.decode(msgspec.json.encode(given), type=Given) == given
    assert msgspec.json.decode(b"{}", type=Lending).slots == 0


OUTPUT = {"file": "output-0", "tool": "x", "started": "2025-11-01T00:00:00Z", "finished": "2025-11-01T00:00:00Z"}


@pytest.mark.parametrize(
    "said",
    [
        {"outcome": "well"},
        {"outcome": "done", "more": 1},
        {"outcome": "done", "message": "x" * 2001},
        {"outcome": "done", "outputs": [OUTPUT] * 9},
        {"outcome": "done", "outputs": [OUTPUT | {"file": "../../signing.pem"}]},
        {"outcome": "done", "outputs": [OUTPUT | {"file": "/etc/passwd"}]},
        {"outcome": "done", "outputs": [OUTPUT | {"file": "a\n"}]},
        {"outcome": "done", "artefacts": [{"kind": "log", "file": "x/y"}]},
        {"outcome": "done", "artefacts": [{"kind": "key", "file": "x"}]},
    ],
)
def test_what_no_task_may_say(said: dict[str, Any]) -> None:
    """A file is one of its folder, and there are few of them."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(said), type=Executed)


@pytest.mark.parametrize("said", [{"fraction": 1.1}, {"fraction": -1}, {"found": -1}, {"note": "x" * 1001}])
def test_progress_has_bounds(said: dict[str, Any]) -> None:
    """From nothing to all."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(said), type=Moved)
