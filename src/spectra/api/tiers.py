"""What belongs to Pro: a dependency for routes that answer about weaknesses alone, and a check for questions that ask
about them among other things. Who is Free is answered 402, with where they stand and how to get further.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fastapi import Request
from fastapi.params import Depends as DependsMarker

from spectra.api.auth import Caller, ServicesDep, caller_of, require_scope, services_of
from spectra.api.problems import ProRequired
from spectra.api.services import Services
from spectra.model.fields import FINDINGS
from spectra.model.tiers import Standing
from spectra.store import tiers

_WHAT: Final = "Vulnerability answers"
_SCOPE: Final = "findings:read"


def pro() -> DependsMarker:
    """A dependency, after `scope(...)`, that lets only callers through who are Pro; the document tells of the 402."""

    def check(request: Request, services: ServicesDep) -> None:
        _require(services, caller_of(request), _WHAT)

    return _marked(check)


def pro_fields() -> DependsMarker:
    """A dependency that says only that a route may be answered 402: it calls `require_fields` once it knows of what
    fields the request speaks.
    """

    def check() -> None:
        return None

    return _marked(check)


def require_fields(request: Request, fields: Iterable[str]) -> None:
    """Raises where one of these fields of the query language is about weaknesses and the caller of this request may not
    read findings (`Forbidden`) or is Free (`ProRequired`).
    """
    if field := next((field for field in fields if field in FINDINGS), ""):
        require_scope(caller_of(request), _SCOPE)
        _require(services_of(request), caller_of(request), f"Questions by `{field}`")


def is_pro(request: Request) -> bool:
    """Whether the caller of this request is Pro."""
    services, caller = services_of(request), caller_of(request)
    return tiers.is_pro(services.database, caller.contributor, caller.role, services.tiers, services.clock())


def sees_findings(request: Request) -> bool:
    """Whether answers that have findings beside other things tell them to the caller of this request: one who may read
    findings and is Pro.
    """
    return _SCOPE in caller_of(request).scopes and is_pro(request)


def needs_pro(dependencies: list[DependsMarker]) -> bool:
    """Whether a route's dependencies say that it may be answered 402."""
    return any(getattr(d.dependency, "spectra_pro", False) for d in dependencies)


def _marked(check: object) -> DependsMarker:
    setattr(check, "spectra_pro", True)  # noqa: B010 - read by needs_pro
    return DependsMarker(check)  # type: ignore[arg-type]


def _require(services: Services, caller: Caller, what: str) -> None:
    now = services.clock()
    if tiers.is_pro(services.database, caller.contributor, caller.role, services.tiers, now):
        return
    raise _refused(tiers.of(services.database, caller.contributor, services.tiers, now), what)


def _refused(stands: Standing, what: str) -> ProRequired:
    ask = f"ask an admin: `spectra accounts tier {stands.account} pro`"
    if stands.why == "withheld":
        until = f" until {stands.until:%Y-%m-%d %H:%M} UTC" if stands.until else ""
        return ProRequired(
            f"{what} belong to Pro. An admin has set {stands.account} to Free{until}.", hint=f"To change that, {ask}."
        )
    return ProRequired(
        f"{what} belong to Pro, and {stands.account} is Free: {stands.window:,} of the {stands.threshold:,} endpoints"
        f" that make an account Pro were made fresh by its observations in the last {stands.window_days} days.",
        hint=f"Contribute {stands.threshold - stands.window:,} more (`spectra scan ... --submit`), or {ask}."
        " `spectra account` shows where you stand.",
    )
