"""What a failed attempt says about its provider."""

from __future__ import annotations

import httpx2
import pytest
from pydantic_ai import exceptions as said

from spectra.ai.gateway.failures import Failed, failed
from spectra.errors import SetupError

SECRET = "10.1.2.3 is down"


def http(status: int, **headers: str) -> said.ModelHTTPError:
    """An answer of a provider that repeats what it was sent."""
    return said.ModelHTTPError(status, "m", {"error": SECRET}, headers=headers)


@pytest.mark.parametrize(
    ("error", "why", "what", "wait_s"),
    [
        (http(429, **{"retry-after": "7"}), "asks to be spared (429)", "passing", 7.0),
        (http(429, **{"retry-after": "Fri, 31 Dec 1999"}), "asks to be spared (429)", "passing", 30.0),
        (http(401), "refuses its key (401)", "setup", 300.0),
        (http(403), "refuses its key (403)", "setup", 300.0),
        (http(404), "does not know its model (404)", "setup", 60.0),
        (http(413), "finds the request too long (413)", "refused", None),
        (http(422), "refuses the request (422)", "refused", None),
        (http(502), "answered 502", "passing", None),
        (said.ModelConnectionError("m", SECRET), "cannot be reached, or broke off", "passing", None),
        (said.ModelTimeoutError("m", SECRET), "gave no answer in time", "slow", None),
        (said.UnexpectedModelBehavior(SECRET), "answered what is no answer", "passing", None),
        (TimeoutError(SECRET), "gave no answer in time", "slow", None),
        (httpx2.ReadTimeout(SECRET), "gave no answer in time", "slow", None),
        (httpx2.RemoteProtocolError(SECRET), "broke off", "passing", None),
        (KeyError(SECRET), "answered what is no answer (KeyError)", "passing", None),
        (SetupError("Others may read the key file."), "Others may read the key file.", "setup", 60.0),
    ],
)
def test_every_failure_has_a_meaning(error: Exception, why: str, what: str, wait_s: float | None) -> None:
    """Whether it passes, whose fault it is, and how long to wait; no word of what the provider said."""
    failure = failed(error)
    assert failure.why.startswith(why)
    assert (failure.what, failure.wait_s) == (what, wait_s)
    assert SECRET not in failure.why
    assert failed(failure) is failure


def test_what_was_found_here() -> None:
    """Counts against the provider, unless said otherwise."""
    assert (Failed("said nothing").what, Failed("x", "refused").what) == ("passing", "refused")
