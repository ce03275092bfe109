"""Sessions on this machine: one file a server, refreshed before its token ends, by one process at a time."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import os
import secrets
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from spectra.errors import SetupError, SpectraError

if TYPE_CHECKING:
    from spectra.identity.keys import SigningKey
    from spectra.identity.tokens import Session
    from spectra.model.accounts import TokenAnswer

TOKEN_PATH = "/v0/auth/token"  # noqa: S105 - a path
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CLIENT_ID = "spectra-cli"
_REFUSED = ("invalid_grant", "invalid_client")
EARLY_S = 60.0
"""How long before its end a token is exchanged: a call that takes a while should not see it end."""


class NotSignedIn(SpectraError):
    """The server does not take the password, or the key."""

    reason = "not_signed_in"


class SignedOut(SpectraError):
    """The session has ended on the server: revoked, unused for too long, or its account disabled."""

    reason = "signed_out"


@dataclass(frozen=True)
class Keeper:
    """Keeps the session with one server in a file of mode 0600."""

    url: str
    path: Path

    @classmethod
    def of(cls, url: str) -> Keeper:
        """The keeper of the session with the server at `url`, whether there is one or not."""
        from spectra.settings import config_dir

        url = url.rstrip("/")
        name = hashlib.sha256(url.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        return cls(url, config_dir() / "sessions" / f"{name}.json")

    def load(self) -> Session:
        """The session as it is now; raises `SetupError`, also for one of another server."""
        from spectra.identity.tokens import Session

        session = Session.load(self.path)
        if session.url != self.url:
            raise SetupError(f"{self.path} is a session with {session.url}", hint="Run: spectra auth login")
        return session

    def token(self) -> str:
        """An access token that holds for a while yet.

        Several processes may ask at once: one refreshes, the others wait for it and take what it got, because a refresh
        token is good once. Raises `SignedOut`, `Unreachable`, `SetupError`.
        """
        session = self.load()
        if _fresh(session):
            return session.access_token
        with self._locked():
            session = self.load()  # another process may have been first
            if not _fresh(session):
                session = self._renewed(session)
            return session.access_token

    def sign_in(self, fields: Mapping[str, str], *, key_file: Path | None = None, scope: str = "") -> Session:
        """Sign in with the form `fields`, and keep the session in the place of one there was. Raises
        `NotSignedIn`.
        """
        with self._locked():
            try:
                answer = _ask(self.url, {**fields, **({"scope": scope} if scope else {})}, attempts=1)
            except SpectraError as error:
                if error.reason in _REFUSED:
                    raise NotSignedIn(f"{self.url}: {error.message}") from error
                raise
            session = self._session(answer, _account_of(answer.access_token), key_file, scope)
            session.save(self.path)
            return session

    def forget(self) -> Session | None:
        """Remove the file; returns the session it held."""
        with self._locked():
            try:
                return self.load() if self.path.exists() else None
            except SetupError:
                return None
            finally:
                self.path.unlink(missing_ok=True)

    def _renewed(self, session: Session) -> Session:
        """A new access token: by the refresh token, or by signing in with the key again."""
        key_file = Path(session.key_file) if session.key_file else None
        try:
            answer = _ask(self.url, self._renewal(session, key_file), attempts=4)
        except SpectraError as error:
            if error.reason in _REFUSED:
                raise SignedOut(
                    f"the session of {session.account} at {self.url} has ended: {error.message}",
                    hint="Sign in again: spectra auth login. To go on without it: spectra auth logout",
                ) from error
            raise
        renewed = self._session(answer, session.account, key_file, session.scope)
        renewed.save(self.path)
        return renewed

    def _renewal(self, session: Session, key_file: Path | None) -> dict[str, str]:
        if key_file is None:
            return {"grant_type": "refresh_token", "refresh_token": session.refresh_token, "client_id": CLIENT_ID}
        from spectra.identity.keys import SigningKey

        fields = assertion(self.url, SigningKey.load(key_file))
        return fields | ({"scope": session.scope} if session.scope else {})

    def _session(self, answer: TokenAnswer, account: str, key_file: Path | None, scope: str) -> Session:
        from spectra.identity.tokens import Session

        return Session(
            url=self.url,
            account=account,
            access_token=answer.access_token,
            expires=round(time.time() + answer.expires_in, 3),
            refresh_token=answer.refresh_token or "",
            key_file=str(key_file) if key_file else "",
            scope=scope,
        )

    @contextmanager
    def _locked(self) -> Generator[None]:
        """One process at a time: the lock ends with the process that holds it, however that ends."""
        lock = self.path.with_suffix(".lock")
        try:
            lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SetupError(f"cannot write {lock}: {error.strerror}") from error
        with contextlib.closing(os.fdopen(handle, "rb")) as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield


def every() -> list[Session]:
    """All sessions kept on this machine; files that cannot be read are passed over."""
    from spectra.identity.tokens import Session
    from spectra.settings import config_dir

    found: list[Session] = []
    for path in sorted((config_dir() / "sessions").glob("*.json")):
        with contextlib.suppress(SetupError):
            found.append(Session.load(path))
    return found


def assertion(url: str, key: SigningKey) -> dict[str, str]:
    """The form by which the holder of `key` signs in at `url` (RFC 7523): the keyid stands for its holder."""
    from spectra.identity.jwts import build_assertion

    made = build_assertion(
        key,
        subject=key.public.keyid,
        audience=url + TOKEN_PATH,
        now=datetime.now(UTC),
        jti=secrets.token_urlsafe(16),
    )
    return {"grant_type": "client_credentials", "client_assertion_type": ASSERTION_TYPE, "client_assertion": made}


def _fresh(session: Session) -> bool:
    return session.expires - time.time() > EARLY_S


def _ask(url: str, fields: Mapping[str, str], *, attempts: int) -> TokenAnswer:
    from spectra.cli.client import Client
    from spectra.model.accounts import TokenAnswer

    with Client(url, attempts=attempts) as client:
        return client.form(TOKEN_PATH, TokenAnswer, fields)


def _account_of(token: str) -> str:
    """Whom an access token is for, as it says itself: for show, the server decides."""
    import msgspec

    try:
        body = token.split(".")[1]
        claims = msgspec.json.decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return str(claims["sub"])
    except (ValueError, LookupError, TypeError) as error:
        raise SetupError("the server answered with a token of another kind", hint="Is it Spectra?") from error
