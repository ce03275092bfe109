"""Roles and the scopes they hold. A scope is `noun:verb`; every route of the API declares one.

`module`, `automation` and `admin` carry over from the bridge's endpoints: modules submit and report, automation also
steers workflows, admins do all. Unknown roles and unknown scopes are never allowed.
"""

from __future__ import annotations

from types import MappingProxyType

PUBLIC = "public"
"""For routes open to anyone: liveness, readiness."""

_READ = frozenset(
    {"coverage:read", "hosts:read", "observations:read", "plan:read", "search:read", "status:read", "workflows:read"}
)
_USER = _READ | {"keys:read", "provenance:read"}
_CONTRIBUTOR = _USER | {"observations:write", "keys:rotate"}
_MODULE = frozenset({"keys:rotate", "observations:read", "observations:write", "status:read", "workflows:read"})
_AUTOMATION = _MODULE | {"hosts:read", "metrics:read", "plan:read", "search:read", "workflows:write"}

SCOPES = _CONTRIBUTOR | _AUTOMATION | {"admin:all", "keys:write"}
"""Every scope there is, without `PUBLIC`. `keys:rotate` is one's own key, `keys:write` anybody's."""

ROLES = MappingProxyType(
    {
        "read-only": _READ,
        "user": _USER,
        "contributor": _CONTRIBUTOR,
        "module": _MODULE,
        "automation": _AUTOMATION,
        "admin": SCOPES,
    }
)
"""Role -> its scopes. `admin` holds every scope; `admin:all` is for routes nobody else may use."""


def scopes(role: str) -> frozenset[str]:
    """The scopes of a role; empty for a role that does not exist."""
    return ROLES.get(role, frozenset())


def allows(role: str, scope: str) -> bool:
    """Whether `role` may use a route of `scope`."""
    return scope == PUBLIC or scope in scopes(role)
