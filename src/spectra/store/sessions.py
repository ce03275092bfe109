"""Sign-ins: sessions, their rotating refresh tokens, and the nonces that are good once.

A session is what an access token rests on: every request asks for it, so that ending it, disabling its account,
revoking its key or the coordinator's token key holds from the next request on, by any coordinator.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import Any, Final, NamedTuple

from spectra.errors import NotFound
from spectra.model.accounts import SessionRecord
from spectra.store.accounts import Act
from spectra.store.database import Connection, Database
from spectra.store.keys import claim
from spectra.store.provenance import Entry, commit

MAX_REFRESHES: Final = 20_000
"""Refreshes of one session: a bound on what one sign-in can make the store keep."""

_RECORD: Final = """
SELECT s.id::text, s.contributor, s.client_id, s.grant_type, s.created, s.used, s.expires, coalesce(host(s.source), ''),
       coalesce(s.keyid, ''), coalesce(s.scopes, '{}')
FROM session s"""
_STANDS: Final = "s.revoked IS NULL AND s.expires > %(now)s"
# The session stands, and so do its account and the key it was signed in with.
_WHOLE: Final = f"""
FROM session s JOIN contributor c ON c.name = s.contributor
LEFT JOIN account a ON a.name = c.name LEFT JOIN role r ON r.name = c.role LEFT JOIN key k ON k.keyid = s.keyid
WHERE {_STANDS} AND a.disabled IS NULL
  AND (s.keyid IS NULL OR (k.revoked IS NULL AND (k.expires IS NULL OR k.expires > %(now)s)))"""
_PRUNE: Final = 200
_TOUCH_EVERY: Final = timedelta(minutes=1)
KNOWN_FOR: Final = timedelta(days=90)
"""How long a network, or a browser, that an account was signed in to from is remembered."""


class NewSession(NamedTuple):
    """A sign-in that succeeded. `scopes` None: all that the role holds; `keyid` empty: by password."""

    contributor: str
    client_id: str
    grant_type: str
    scopes: tuple[str, ...] | None
    keyid: str
    source: str
    expires: datetime


class Cookie(NamedTuple):
    """SHA-256 of the secret of a browser's session, and of what tells this browser from others."""

    secret: bytes
    browser: bytes


class Standing(NamedTuple):
    """A session that stands: whom it speaks for, with which role; `custom` are the scopes of a custom role, `scopes`
    what the session was narrowed to (None: nothing).
    """

    id: str
    contributor: str
    role: str
    custom: tuple[str, ...]
    scopes: tuple[str, ...] | None
    client_id: str
    expires: datetime


def begin(database: Database, new: NewSession, *, refresh: bytes | None, refresh_until: datetime, now: datetime) -> str:
    """Keep a new session, with the SHA-256 of its first refresh token if it gets one; returns its id.

    A person's goes on record, with whether they are known to come from there.
    """
    session = str(uuid.uuid4())

    def work(connection: Connection) -> tuple[str, list[Entry]]:
        told = [] if new.keyid else [_begun(connection, session, new, None, now)]
        _insert(connection, session, new, None, now)
        if refresh is not None:
            _add_refresh(connection, session, refresh, refresh_until)
        return session, told

    return commit(database, work)


def begin_browser(database: Database, new: NewSession, cookie: Cookie, now: datetime) -> str:
    """Keep a new session of a browser, on record; returns its id."""
    session = str(uuid.uuid4())

    def work(connection: Connection) -> tuple[str, list[Entry]]:
        told = _begun(connection, session, new, cookie, now)
        _insert(connection, session, new, cookie, now)
        return session, [told]

    return commit(database, work)


def _insert(connection: Connection, session: str, new: NewSession, cookie: Cookie | None, now: datetime) -> None:
    connection.execute(
        "INSERT INTO session"
        " (id, contributor, client_id, grant_type, scopes, keyid, source, created, used, expires, cookie, browser)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [
            session,
            new.contributor,
            new.client_id,
            new.grant_type,
            None if new.scopes is None else list(new.scopes),
            new.keyid or None,
            new.source or None,
            now,
            now,
            new.expires,
            cookie.secret if cookie else None,
            cookie.browser if cookie else None,
        ],
    )


def _begun(connection: Connection, session: str, new: NewSession, cookie: Cookie | None, now: datetime) -> Entry:
    """`known`: somebody signed in to the account from this network, or with this browser, within 90 days; `first`:
    nobody ever did from anywhere, so that there is nothing to compare with.
    """
    row = connection.execute(
        "SELECT count(*) > 0, coalesce(bool_or(source <<= %(source)s::inet OR browser = %(browser)s), false)"
        " FROM session WHERE contributor = %(account)s AND created > %(since)s AND keyid IS NULL",
        {
            "source": network_of(new.source) or None,
            "browser": cookie.browser if cookie else None,
            "account": new.contributor,
            "since": now - KNOWN_FOR,
        },
    ).fetchone()
    others, known = row or (False, False)
    detail = {
        "session": session,
        "account": new.contributor,
        "by": new.grant_type,
        "client": new.client_id,
        "source": new.source,
        "known": known,
        "first": not others,
    }
    return Entry("session.begun", f"session:{session}", detail, now)


def network_of(address: str) -> str:
    """What one subscriber has: an IPv4 address, or an IPv6 /64."""
    return str(ip_network((address, 64), strict=False)) if ":" in address else address


def of_cookie(
    database: Database, secret: bytes, now: datetime, *, idle: timedelta, total: timedelta
) -> Standing | None:
    """The session of a browser by the SHA-256 of its secret, which is used with that; None where none stands.

    It ends when unused for `idle`, and in any case `total` after it began. Its use is written down once a minute.
    """
    with database.connection() as connection:
        row = connection.execute(
            "SELECT s.id::text, c.name, c.role, coalesce(r.scopes, '{}'), s.scopes, s.client_id, s.expires,"
            f" s.created, s.used {_WHOLE} AND s.cookie = %(secret)s",
            {"secret": secret, "now": now},
        ).fetchone()
        if row is None:
            return None
        *standing, created, used = row
        if now - used >= _TOUCH_EVERY:
            connection.execute(
                "UPDATE session SET used = %s, expires = %s WHERE id = %s AND revoked IS NULL",
                [now, min(now + idle, created + total), standing[0]],
            )
    return _standing(tuple(standing))


def known_browser(database: Database, account: str, browser: bytes, now: datetime) -> bool:
    """Whether somebody has signed in to `account` with this browser within the last 90 days."""
    with database.connection() as connection:
        found = connection.execute(
            "SELECT FROM session WHERE browser = %s AND contributor = %s AND created > %s LIMIT 1",
            [browser, account, now - KNOWN_FOR],
        )
        return found.fetchone() is not None


def standing(database: Database, session: str, kid: str, now: datetime) -> Standing | None:
    """The session of an access token that the token key `kid` signed; None where either does not stand any more."""
    with database.connection() as connection:
        row = connection.execute(
            "SELECT s.id::text, c.name, c.role, coalesce(r.scopes, '{}'), s.scopes, s.client_id, s.expires"
            f"{_WHOLE} AND s.id = %(id)s AND EXISTS (SELECT FROM token_key WHERE kid = %(kid)s"
            " AND revoked IS NULL AND expires > %(now)s)",
            {"id": session, "kid": kid, "now": now},
        ).fetchone()
    return _standing(row) if row else None


def refresh(
    database: Database, used: bytes, *, new: bytes, lifetime: timedelta, now: datetime, client_id: str = ""
) -> Standing | None:
    """Exchange a refresh token (by SHA-256) for the next one of its session; None where it is none that stands.

    One that was exchanged before ends its session: whoever comes second, one of the two has stolen it (RFC 9700
    section 4.14.2). `client_id`, where it is given, has to be the session's.
    """

    def work(connection: Connection) -> tuple[Standing | None, list[Entry]]:
        token = connection.execute(
            "SELECT session::text, used FROM refresh_token WHERE digest = %s AND expires > %s FOR UPDATE", [used, now]
        ).fetchone()
        if token is None:
            return None, []
        row = connection.execute(
            "SELECT s.id::text, c.name, c.role, coalesce(r.scopes, '{}'), s.scopes, s.client_id, s.expires"
            f"{_WHOLE} AND s.id = %(id)s AND (%(client)s = '' OR s.client_id = %(client)s)",
            {"id": token[0], "now": now, "client": client_id},
        ).fetchone()
        if row is None:
            return None, []
        found = _standing(row)
        if token[1] is not None:
            return None, _end(connection, found.id, Act(found.contributor, now), "refresh token used twice")
        if not _room(connection, found.id):
            return None, []
        connection.execute("UPDATE refresh_token SET used = %s WHERE digest = %s", [now, used])
        connection.execute("UPDATE session SET used = %s WHERE id = %s", [now, found.id])
        _add_refresh(connection, found.id, new, min(now + lifetime, found.expires))
        return found, []

    return commit(database, work)


def revoke(database: Database, session: str, act: Act, *, of: str = "") -> None:
    """End a session, of the account `of` where that is given. Raises `NotFound`; one that has ended stays ended."""

    def work(connection: Connection) -> tuple[None, list[Entry]]:
        row = connection.execute("SELECT contributor FROM session WHERE id::text = %s", [session]).fetchone()
        if row is None or (of and row[0] != of):
            raise NotFound(f"There is no session {session[:40]}.", reason="unknown_session")
        return None, _end(connection, session, act, "asked for")

    commit(database, work)


def revoke_all(database: Database, account: str, act: Act, *, keep: str = "") -> int:
    """End every session of an account but `keep`; how many those were."""

    def work(connection: Connection) -> tuple[int, list[Entry]]:
        ended = connection.execute(
            "UPDATE session SET revoked = %s WHERE contributor = %s AND revoked IS NULL AND expires > %s"
            " AND id::text <> %s",
            [act.now, account, act.now, keep],
        ).rowcount
        detail = {"account": account, "by": act.by, "ended": ended, "why": "all asked for"}
        return ended, [Entry("session.revoked", f"signin:{account}", detail, act.now)] if ended else []

    return commit(database, work)


def account_of(database: Database, session: str) -> str:
    """Whose session this is; empty where there is none."""
    with database.connection() as connection:
        row = connection.execute("SELECT contributor FROM session WHERE id::text = %s", [session]).fetchone()
    return row[0] if row else ""


def by_refresh(database: Database, digest: bytes) -> tuple[str, str] | None:
    """The (id, account) of the session that a refresh token belongs to, used or not."""
    with database.connection() as connection:
        row = connection.execute(
            "SELECT s.id::text, s.contributor FROM refresh_token t JOIN session s ON s.id = t.session"
            " WHERE t.digest = %s",
            [digest],
        ).fetchone()
    return (row[0], row[1]) if row else None


def page(
    database: Database,
    now: datetime,
    *,
    account: str = "",
    before: str = "",
    limit: int = 100,
) -> tuple[SessionRecord, ...]:
    """The sessions that stand, of one account or of all, newest first, those before the session `before`."""
    of = "AND s.contributor = %(account)s" if account else ""
    with database.connection() as connection:
        rows = connection.execute(
            f"{_RECORD} WHERE {_STANDS} {of} AND (%(before)s = '' OR (s.created, s.id) <"
            " (SELECT created, id FROM session WHERE id::text = %(before)s))"
            " ORDER BY s.created DESC, s.id DESC LIMIT %(limit)s",
            {"now": now, "account": account, "limit": limit, "before": before},
        ).fetchall()
    return tuple(_record(row) for row in rows)


def use_once(database: Database, issuer: str, nonce: str, until: datetime) -> bool:
    """Whether nobody has used `nonce` of `issuer` before, on any coordinator; on disk when this returns."""
    with database.connection() as connection:
        return claim(connection, issuer, nonce, until)


def known_source(database: Database, account: str, source: str, now: datetime) -> bool:
    """Whether somebody has signed in to `account` from the network `source` within the last 90 days."""
    with database.connection() as connection:
        found = connection.execute(
            "SELECT FROM session WHERE contributor = %s AND source <<= %s::inet AND created > %s LIMIT 1",
            [account, source, now - KNOWN_FOR],
        )
        return found.fetchone() is not None


def prune(database: Database, now: datetime) -> int:
    """Forget a bounded number of things that have expired; returns how many. Sessions are kept for 90 days more, by
    which a known source is told.
    """
    ended, long_ended = now - timedelta(minutes=5), now - KNOWN_FOR
    with database.connection() as connection:
        refreshes = connection.execute(
            "DELETE FROM refresh_token WHERE digest IN (SELECT digest FROM refresh_token WHERE expires < %s LIMIT %s)",
            [ended, _PRUNE],
        ).rowcount
        nonces = connection.execute(
            "DELETE FROM used_nonce WHERE (issuer, nonce) IN"
            " (SELECT issuer, nonce FROM used_nonce WHERE expires < %s LIMIT %s)",
            [ended, _PRUNE],
        ).rowcount
        sessions = connection.execute(
            "DELETE FROM session WHERE id IN (SELECT id FROM session WHERE expires < %s LIMIT %s)",
            [long_ended, _PRUNE],
        ).rowcount
    return refreshes + nonces + sessions


def _add_refresh(connection: Connection, session: str, digest: bytes, until: datetime) -> None:
    connection.execute(
        "INSERT INTO refresh_token (digest, session, expires) VALUES (%s, %s, %s)", [digest, session, until]
    )


def _room(connection: Connection, session: str) -> bool:
    """Whether the session may be refreshed once more. Serialises the refreshes of one session."""
    connection.execute("SELECT FROM session WHERE id = %s FOR UPDATE", [session])
    found = connection.execute(
        "SELECT count(*) FROM (SELECT FROM refresh_token WHERE session = %s LIMIT %s) t", [session, MAX_REFRESHES]
    ).fetchone()
    return found is not None and found[0] < MAX_REFRESHES


def _end(connection: Connection, session: str, act: Act, why: str) -> list[Entry]:
    row = connection.execute(
        "UPDATE session SET revoked = %s WHERE id = %s AND revoked IS NULL RETURNING contributor", [act.now, session]
    ).fetchone()
    if row is None:
        return []
    detail = {"session": session, "account": row[0], "by": act.by, "why": why}
    return [Entry("session.revoked", f"session:{session}", detail, act.now)]


def _standing(row: tuple[Any, ...]) -> Standing:
    session, contributor, role, custom, scopes, client_id, expires = row
    return Standing(
        session, contributor, role, tuple(custom), None if scopes is None else tuple(scopes), client_id, expires
    )


def _record(row: tuple[Any, ...]) -> SessionRecord:
    session, account, client_id, grant_type, created, used, expires, source, keyid, scopes = row
    return SessionRecord(
        id=session,
        account=account,
        client_id=client_id,
        grant_type=grant_type,
        created=created,
        used=used,
        expires=expires,
        source=source,
        keyid=keyid,
        scopes=tuple(scopes),
    )
