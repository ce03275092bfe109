"""Calls that models asked for, when they come back."""

from __future__ import annotations

from spectra.ai.gateway.callmemory import MAX_CALLS, CallMemory
from spectra.model.ai import Label, ToolCall


def test_a_call_is_as_private_as_what_the_model_saw() -> None:
    """And `SANITIZED` at least: private values are restored in it. A changed one is unknown."""
    memory = CallMemory(Label.LOCAL_ONLY)
    call = ToolCall("1", "look", '{"host": "10.0.0.1"}')
    assert memory.label_of(call) == Label.LOCAL_ONLY
    memory.keep(call, Label.CLOUD_DIRECT)
    assert memory.label_of(call) == Label.SANITIZED
    assert memory.label_of(call._replace(arguments='{"host": "10.0.0.2"}')) == Label.LOCAL_ONLY
    memory.keep(call, Label.LOCAL_ONLY)
    assert memory.label_of(call) == Label.LOCAL_ONLY
    assert CallMemory(Label.SANITIZED).label_of(call) == Label.SANITIZED


def test_the_oldest_are_forgotten() -> None:
    """It is bounded; what is forgotten is unknown."""
    memory = CallMemory(Label.LOCAL_ONLY)
    calls = [ToolCall(str(n), "look", "{}") for n in range(MAX_CALLS + 1)]
    for call in calls:
        memory.keep(call, Label.SANITIZED)
    assert [memory.label_of(calls[n]) for n in (0, 1, MAX_CALLS)] == [
        Label.LOCAL_ONLY,
        Label.SANITIZED,
        Label.SANITIZED,
    ]
