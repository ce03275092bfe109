"""The tokens of one coordinator: signed with a key of its own, believed by every coordinator on the same database."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from spectra.api.problems import Busy
from spectra.identity import jwts, roles, tokens
from spectra.identity.jwts import Access, AccessClaims
from spectra.identity.keys import PublicKey, SigningKey
from spectra.identity.passwords import Passwords
from spectra.identity.sealing import SealKey
from spectra.model.accounts import TokenAnswer
from spectra.settings import AuthSettings
from spectra.store import sessions, token_keys
from spectra.store.database import Database
from spectra.store.sessions import NewSession, Standing

TOKEN_PATH: Final = "/v0/auth/token"  # noqa: S105 - a path
_KEY_FILE: Final = "keys/token.pem"
_SEAL_FILE: Final = "keys/seal.key"
_OVERLAP: Final = timedelta(days=1)
_PRUNE_EVERY: Final = timedelta(minutes=1)
_AT_ONCE: Final = 2
_WAITING: Final = 8
_MAX_KEYS: Final = 256


class Issuer:
    """Issues access tokens and says which ones hold. Thread-safe."""

    def __init__(
        self, database: Database, settings: AuthSettings, data_dir: Path, *, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._settings = settings
        self._key_file = data_dir / _KEY_FILE
        self._clock = clock
        self._lock = threading.Lock()
        self._public: dict[str, PublicKey] = {}
        self._key: SigningKey | None = None
        self._seal_file = Path(settings.seal_key_file) if settings.seal_key_file else data_dir / _SEAL_FILE
        self._seal: SealKey | None = None
        self._pruned = clock() - _PRUNE_EVERY
        self.name = settings.issuer or token_keys.issuer(database)
        self.passwords = Passwords(memory_mib=settings.password_memory_mib)
        self._passwords_at_once = threading.BoundedSemaphore(_AT_ONCE)
        self._passwords_waiting = threading.BoundedSemaphore(_AT_ONCE + _WAITING)

    # --- what it is called ---

    def audiences(self, local: Collection[str]) -> set[str]:
        """What an assertion for us may be addressed to: the issuer, and the token endpoint at every URL of ours.

        `local` are URLs of the socket that the request came in by. The `Host` of a request is no URL of ours: another
        server, to which a machine signs in, could hand us its assertion under that server's own name.
        """
        urls = {url.rstrip("/") for url in (self.name, *self._settings.urls, *local) if "://" in url}
        return urls | {url + TOKEN_PATH for url in urls} | {self.name}

    @property
    def urls(self) -> Collection[str]:
        """The URLs that the settings say this node is reached by, without a slash at the end."""
        return {url.rstrip("/") for url in self._settings.urls}

    def base_url(self, asked: str) -> str:
        """Where the endpoints are, for the metadata: the issuer if that is a URL, else the URL that was `asked`."""
        return (self.name if "://" in self.name else asked).rstrip("/")

    # --- issuing ---

    def begin(self, new: NewSession, *, refreshable: bool) -> TokenAnswer:
        """A new session and its first tokens. `new.expires` is what the settings say, whatever it was."""
        now = self._clock()
        self._prune(now)
        lifetime = self._settings.session_ttl_s if refreshable else self._settings.access_ttl_s
        new = new._replace(expires=now + timedelta(seconds=lifetime))
        token = tokens.new_refresh() if refreshable else None
        session = sessions.begin(
            self._database,
            new,
            refresh=tokens.digest(token) if token else None,
            refresh_until=min(now + timedelta(seconds=self._settings.refresh_ttl_s), new.expires),
            now=now,
        )
        kid, key = self._signing_key(now)
        found = sessions.standing(self._database, session, kid, now)
        if found is None:  # disabled at this very moment
            raise Busy("The account was changed while signing in.", hint="Try again.")
        return self._answer(found, token, key, now)

    def refresh(self, token: str, *, client_id: str = "", scope: Collection[str] | None = None) -> TokenAnswer | None:
        """The next tokens of a session; None where the refresh token is none that stands."""
        now, following = self._clock(), tokens.new_refresh()
        found = sessions.refresh(
            self._database,
            tokens.digest(token),
            new=tokens.digest(following),
            lifetime=timedelta(seconds=self._settings.refresh_ttl_s),
            now=now,
            client_id=client_id,
        )
        return self._answer(found, following, self._signing_key(now)[1], now, scope) if found else None

    def _answer(
        self,
        found: Standing,
        refresh: str | None,
        key: SigningKey,
        now: datetime,
        narrower: Collection[str] | None = None,
    ) -> TokenAnswer:
        held = held_by(found)
        scope = " ".join(sorted(held if narrower is None else held & set(narrower)))
        at = int(now.timestamp())
        ends = min(at + self._settings.access_ttl_s, int(found.expires.timestamp()))
        claims = AccessClaims(
            iss=self.name,
            aud=jwts.AUDIENCE,
            sub=found.contributor,
            client_id=found.client_id,
            iat=at,
            nbf=at,
            exp=ends,
            jti=uuid.uuid4().hex,
            sid=found.id,
            role=found.role,
            scope=scope,
            narrowed=narrower is not None,
        )
        return TokenAnswer(jwts.sign_access(key, claims), "Bearer", max(ends - at, 0), scope, refresh)

    # --- checking ---

    def standing(self, token: str) -> tuple[Standing, Access] | None:
        """The session of an access token that holds now, and the token. Raises `IdentityError` where it is none.

        One signature and one query: the session, the account, its role and both keys are asked for each time.
        """
        now = self._clock()
        access = jwts.verify_access(token, known=self._known, issuer=self.name, now=now)
        found = sessions.standing(self._database, access.claims.sid, access.kid, now)
        return (found, access) if found and found.contributor == access.claims.sub else None

    def keys(self) -> list[dict[str, str]]:
        """The public keys that tokens may be signed with now, as JSON Web Keys."""
        self._signing_key(self._clock())
        return [jwts.jwk(PublicKey(key.public_key)) for key in token_keys.current(self._database, self._clock())]

    def _known(self, kid: str) -> PublicKey | None:
        """A key's id is the hash of its content, so what was once found needs no second look; whether it still stands
        is asked with the session.
        """
        if (key := self._public.get(kid)) is not None:
            return key
        row = token_keys.find(self._database, kid)
        if row is None or (key := PublicKey(row.public_key)).keyid != kid:
            return None
        if len(self._public) >= _MAX_KEYS:
            self._public.clear()
        self._public[kid] = key
        return key

    # --- the token key ---

    def _signing_key(self, now: datetime) -> tuple[str, SigningKey]:
        """The key to sign with: the one in the file, or a new one where that is too old, revoked or not there."""
        with self._lock:
            key = self._key or (SigningKey.load(self._key_file) if self._key_file.exists() else None)
            if key is None or not self._registered(key, now):
                key = SigningKey.generate()
                key.save(self._key_file, overwrite=True)
                self._registered(key, now)
            self._key = key
            return key.public.keyid, key

    def _registered(self, key: SigningKey, now: datetime) -> bool:
        """Whether the key may sign now; one the database does not know, it learns."""
        signs = timedelta(days=self._settings.token_key_days)
        row = token_keys.find(self._database, key.public.keyid) or token_keys.add(
            self._database, key.public.keyid, key.public.raw, expires=now + signs + _OVERLAP, now=now
        )
        return row.revoked is None and now < min(row.created + signs, row.expires - _OVERLAP)

    @property
    def seal(self) -> SealKey:
        """The key that seals the secrets of authenticator apps, made when first needed. Raises `SetupError`."""
        with self._lock:
            if self._seal is None:
                self._seal = SealKey.at(self._seal_file)
            return self._seal

    # --- bounds ---

    @contextmanager
    def password_turn(self) -> Generator[None]:
        """A turn at hashing: two at once, a few may wait. Each takes much memory, and a thread that others need."""
        if not self._passwords_waiting.acquire(blocking=False):
            raise Busy("Too many are signing in at this moment.", hint="Try again in a second.")
        try:
            with self._passwords_at_once:
                yield
        finally:
            self._passwords_waiting.release()

    def _prune(self, now: datetime) -> None:
        if now - self._pruned >= _PRUNE_EVERY:
            self._pruned = now
            sessions.prune(self._database, now)


def held_by(found: Standing) -> frozenset[str]:
    """The scopes of a session: its role's as of now, less what it did not ask for."""
    held = roles.scopes(found.role, found.custom)
    return held if found.scopes is None else held & set(found.scopes)
