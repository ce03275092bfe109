"""Roles and the scopes they hold. A scope is `noun:verb`; every route of the API declares one.

`module`, `automation` and `admin` carry over from the bridge's endpoints: modules submit and report, automation also
steers workflows, admins do all. Unknown roles and unknown scopes are never allowed.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from types import MappingProxyType
from typing import Final

PUBLIC = "public"
"""For routes open to anyone: liveness, readiness."""

SELF: Final = frozenset({"self:read", "self:write"})
"""One's own account, sessions and password: every role holds these."""

_READ = SELF | frozenset(
    {"coverage:read", "hosts:read", "observations:read", "plan:read", "search:read", "status:read", "workflows:read"}
    | {"activity:read", "ai:read", "alerts:read", "feeds:read", "findings:read", "jobs:read", "vulns:read"}
)
_USER = _READ | {"ai:ask", "alerts:write", "findings:write", "keys:read", "nodes:read", "provenance:read"}
_CONTRIBUTOR = _USER | {"observations:write", "keys:rotate"}
_MODULE = SELF | frozenset({"keys:rotate", "observations:read", "observations:write", "status:read", "workflows:read"})
_STEERING = frozenset(
    {"ai:ask", "ai:read", "ai:write", "feeds:write", "findings:write", "jobs:write", "workflows:write"}
)
_AUTOMATION = (
    _MODULE
    | _STEERING
    | {
        "feeds:read",
        "findings:read",
        "hosts:read",
        "jobs:read",
        "metrics:read",
        "nodes:read",
        "plan:read",
        "search:read",
    }
    | {"vulns:read"}
)

_ADMIN = frozenset(
    {"audit:read", "blocks:read", "blocks:write", "exclusions:read", "exclusions:write"}
    | {"accounts:read", "accounts:write", "admin:all", "keys:write", "logs:read", "nodes:write", "outlets:write"}
    | {"settings:read"}
)

SCOPES = _CONTRIBUTOR | _AUTOMATION | _ADMIN
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


CUSTOM_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,39}")
"""What a role of one's own may be called."""


def scopes(role: str, own: Collection[str] = ()) -> frozenset[str]:
    """The scopes of a role: of a built-in one its own, of another those of `own` that exist."""
    return ROLES.get(role) or SCOPES & set(own)


def allows(role: str, scope: str, own: Collection[str] = ()) -> bool:
    """Whether `role` may use a route of `scope`."""
    return scope == PUBLIC or scope in scopes(role, own)
