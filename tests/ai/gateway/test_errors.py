"""Why no model answered."""

from __future__ import annotations

from spectra.ai.gateway.errors import NoModel, RefusedByModel, Tried
from spectra.errors import Unavailable


def test_they_say_whether_asking_again_may_help() -> None:
    """No model now may be one later; a request that was refused is refused again."""
    none = NoModel("No model answers.", reason="ai_budget", tried=(Tried("local", "answered 503"),))
    assert isinstance(none, Unavailable)
    assert (none.retryable, none.reason, none.tried[0].provider) == (True, "ai_budget", "local")
    assert (NoModel("x").reason, NoModel("x").tried) == ("ai_unavailable", ())
    assert (RefusedByModel.retryable, RefusedByModel("x").reason) == (False, "ai_refused")
