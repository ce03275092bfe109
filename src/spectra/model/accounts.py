"""Accounts, sessions and roles, as the API answers and the command line prints them. Times are UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec


class AccountRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A person or machine. `password`: whether it has one; `keys`: how many keys are not revoked."""

    name: str
    role: str
    trust: float
    created: datetime
    status: Literal["active", "disabled"] = "active"
    disabled: datetime | None = None
    password: bool = False
    keys: int = 0


class AccountPage(msgspec.Struct, frozen=True):
    """Accounts by name; `next_cursor` is empty on the last page."""

    accounts: tuple[AccountRecord, ...]
    next_cursor: str = ""


class Me(msgspec.Struct, frozen=True):
    """The account that a request speaks for, and the scopes it holds with the token it came with."""

    account: AccountRecord
    scopes: tuple[str, ...]
    session: str = ""


class RoleRecord(msgspec.Struct, frozen=True):
    """A role and its scopes; `builtin` ones cannot be changed."""

    name: str
    scopes: tuple[str, ...]
    builtin: bool


class RoleList(msgspec.Struct, frozen=True):
    """All roles, the built-in ones first, and all scopes a role may hold."""

    roles: tuple[RoleRecord, ...]
    scopes: tuple[str, ...]


class SessionRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A sign-in that has not ended. `source` is the address it came from; no `scopes`: all of the role's."""

    id: str
    account: str
    client_id: str
    grant_type: str
    created: datetime
    used: datetime
    expires: datetime
    source: str = ""
    keyid: str = ""
    scopes: tuple[str, ...] = ()
    current: bool = False


class SessionPage(msgspec.Struct, frozen=True):
    """Sessions, newest first; `next_cursor` is empty on the last page."""

    sessions: tuple[SessionRecord, ...]
    next_cursor: str = ""


class TokenAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """A successful answer of the token endpoint (RFC 6749 section 5.1). `expires_in` is in seconds."""

    access_token: str
    token_type: str
    expires_in: int
    scope: str
    refresh_token: str | None = None


class OAuthError(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error of the token endpoint (RFC 6749 section 5.2)."""

    error: str
    error_description: str = ""
