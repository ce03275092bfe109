"""Second factors and recovery codes. Every change is an entry of the provenance chain, without any secret in it."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import psycopg

from spectra.errors import BadRequest, NotFound
from spectra.model.people import FactorKind
from spectra.store.accounts import Act
from spectra.store.database import Connection, Database, one
from spectra.store.provenance import Entry, commit

MOST: Final = 20
"""Factors of one account."""
_COLUMNS: Final = (
    "id::text, contributor, kind, name, created, used, counter, sealed, sealed_by, credential, public_key, transports"
)


class Factor(NamedTuple):
    """A row: `sealed` and `sealed_by` are an authenticator app's, the rest after them a passkey's."""

    id: str
    account: str
    kind: FactorKind
    name: str
    created: datetime
    used: datetime | None
    counter: int
    sealed: bytes | None
    sealed_by: str | None
    credential: bytes | None
    public_key: bytes | None
    transports: list[str] | None


class NewPasskey(NamedTuple):
    """What a browser made: the credential's id, its public key (COSE) and how it is reached."""

    credential: bytes
    public_key: bytes
    counter: int
    transports: tuple[str, ...]


def of(database: Database, account: str) -> tuple[list[Factor], int]:
    """The factors of an account, the oldest first, and how many recovery codes it has left."""
    with database.connection() as connection:
        rows = connection.execute(
            f"SELECT {_COLUMNS} FROM factor WHERE contributor = %s ORDER BY created, id", [account]
        ).fetchall()
        left = one(connection.execute("SELECT count(*) FROM recovery_code WHERE contributor = %s", [account]))[0]
    return [Factor(*row) for row in rows], left


def by_credential(database: Database, credential: bytes) -> Factor | None:
    """The passkey of this credential id."""
    with database.connection() as connection:
        row = connection.execute(f"SELECT {_COLUMNS} FROM factor WHERE credential = %s", [credential]).fetchone()
    return Factor(*row) if row else None


def add_totp(
    connection: Connection, account: str, name: str, *, sealed: tuple[str, bytes, str], step: int, act: Act
) -> tuple[Factor, list[Entry]]:
    """An authenticator app; `sealed` is its id, its secret and the key that sealed it, `step` the time step whose code
    was shown, which is used up.
    """
    ident, secret, key = sealed
    return _add(connection, account, act, id=ident, kind="totp", name=name, counter=step, sealed=secret, sealed_by=key)


def add_passkey(
    connection: Connection, account: str, name: str, new: NewPasskey, act: Act
) -> tuple[Factor, list[Entry]]:
    """A passkey. Raises `BadRequest("factor_exists")` where the credential is somebody's already."""
    try:
        with connection.transaction():
            return _add(
                connection,
                account,
                act,
                id=str(uuid.uuid4()),
                kind="passkey",
                name=name,
                counter=new.counter,
                credential=new.credential,
                public_key=new.public_key,
                transports=list(new.transports),
            )
    except psycopg.errors.UniqueViolation as error:
        raise BadRequest("This passkey is in use here already.", reason="factor_exists", field="answer") from error


def _add(connection: Connection, account: str, act: Act, **columns: object) -> tuple[Factor, list[Entry]]:
    connection.execute("SELECT FROM contributor WHERE name = %s FOR UPDATE", [account])
    if one(connection.execute("SELECT count(*) FROM factor WHERE contributor = %s", [account]))[0] >= MOST:
        raise BadRequest(f"An account has at most {MOST} factors.", reason="too_many_factors", field="name")
    given = {"sealed": None, "sealed_by": None, "credential": None, "public_key": None, "transports": None} | columns
    row = one(
        connection.execute(
            "INSERT INTO factor (id, contributor, kind, name, created, counter, sealed, sealed_by, credential,"
            " public_key, transports) VALUES (%(id)s, %(account)s, %(kind)s, %(name)s, %(now)s, %(counter)s,"
            f" %(sealed)s, %(sealed_by)s, %(credential)s, %(public_key)s, %(transports)s) RETURNING {_COLUMNS}",
            {**given, "account": account, "now": act.now},
        )
    )
    factor = Factor(*row)
    return factor, [Entry("factor.added", f"factor:{factor.id}", _detail(factor), act.now)]


def used(database: Database, factor: Factor, counter: int, now: datetime) -> bool:
    """Note that a factor was used; False where its counter is that far already: what was shown is a second time.

    An authenticator app's counter is the time step of the code; a passkey's is its own, where it counts (WebAuthn
    section 6.1.1): one that does not stays 0.
    """
    with database.connection() as connection:
        changed = connection.execute(
            "UPDATE factor SET used = %(now)s, counter = %(counter)s WHERE id = %(id)s"
            " AND (counter < %(counter)s OR (kind = 'passkey' AND counter = 0 AND %(counter)s = 0))",
            {"now": now, "counter": counter, "id": factor.id},
        ).rowcount
    return changed == 1


def remove(database: Database, account: str, factor: str, act: Act) -> None:
    """Remove a factor of an account; with the last one its recovery codes go. Raises `NotFound`."""

    def work(connection: Connection) -> tuple[None, list[Entry]]:
        connection.execute("SELECT FROM contributor WHERE name = %s FOR UPDATE", [account])
        entries = _removed(connection, account, act, factor)
        if not entries:
            raise NotFound("There is no such factor.", reason="unknown_factor")
        rest = connection.execute("SELECT FROM factor WHERE contributor = %s LIMIT 1", [account]).fetchone()
        return None, entries if rest is not None else [*entries, *_without_codes(connection, account, act)]

    commit(database, work)


def remove_all(database: Database, account: str, act: Act) -> int:
    """Remove every factor and recovery code of an account; how many factors those were."""

    def work(connection: Connection) -> tuple[int, list[Entry]]:
        connection.execute("SELECT FROM contributor WHERE name = %s FOR UPDATE", [account])
        entries = _removed(connection, account, act, "")
        return len(entries), [*entries, *_without_codes(connection, account, act)]

    return commit(database, work)


def _removed(connection: Connection, account: str, act: Act, factor: str) -> list[Entry]:
    """Of the factor of this id; of every one where that is empty."""
    rows = connection.execute(
        "DELETE FROM factor WHERE contributor = %(account)s AND (%(id)s = '' OR id::text = %(id)s)"
        " RETURNING id::text, kind, name",
        {"account": account, "id": factor},
    ).fetchall()
    return [
        Entry(
            "factor.removed",
            f"factor:{ident}",
            {"factor": ident, "account": account, "kind": kind, "name": name, "by": act.by},
            act.now,
        )
        for ident, kind, name in rows
    ]


# Recovery codes ------------------------------------------------------------------------------------------------------


def put_codes(connection: Connection, account: str, digests: Sequence[bytes], act: Act) -> list[Entry]:
    """Give an account these recovery codes, by their digests, in the place of those it has."""
    connection.execute("SELECT FROM contributor WHERE name = %s FOR UPDATE", [account])
    connection.execute("DELETE FROM recovery_code WHERE contributor = %s", [account])
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO recovery_code (contributor, digest) VALUES (%s, %s)", [(account, digest) for digest in digests]
        )
    return [_codes_entry(connection, "recovery.made", account, act)]


def has_codes(connection: Connection, account: str) -> bool:
    """Whether an account has a recovery code left."""
    found = connection.execute("SELECT FROM recovery_code WHERE contributor = %s LIMIT 1", [account])
    return found.fetchone() is not None


def use_code(database: Database, account: str, digest: bytes, act: Act) -> bool:
    """Whether this is a recovery code of the account, which is used up with that."""

    def work(connection: Connection) -> tuple[bool, list[Entry]]:
        connection.execute("SELECT FROM contributor WHERE name = %s FOR UPDATE", [account])
        gone = connection.execute(
            "DELETE FROM recovery_code WHERE contributor = %s AND digest = %s", [account, digest]
        ).rowcount
        if not gone:
            return False, []
        told = _codes_entry(connection, "recovery.used", account, act)
        return True, [told] if has_codes(connection, account) else [told, _no_codes(account, act)]

    return commit(database, work)


def _without_codes(connection: Connection, account: str, act: Act) -> list[Entry]:
    gone = connection.execute("DELETE FROM recovery_code WHERE contributor = %s", [account]).rowcount
    return [_no_codes(account, act)] if gone else []


def _no_codes(account: str, act: Act) -> Entry:
    return Entry("recovery.removed", f"recovery:{account}", {"account": account, "by": act.by}, act.now)


def _codes_entry(connection: Connection, kind: str, account: str, act: Act) -> Entry:
    rows = connection.execute(
        "SELECT digest FROM recovery_code WHERE contributor = %s ORDER BY digest", [account]
    ).fetchall()
    return Entry(kind, f"recovery:{account}", _codes_detail(account, [row[0] for row in rows]), act.now)


# For the audit -------------------------------------------------------------------------------------------------------


def details(database: Database) -> dict[str, dict[str, object]]:
    """What the newest provenance entry of each factor and each account's codes has to say: as the rows are now."""
    with database.connection() as connection:
        rows = connection.execute(f"SELECT {_COLUMNS} FROM factor").fetchall()
        codes = connection.execute(
            "SELECT contributor, array_agg(digest ORDER BY digest) FROM recovery_code GROUP BY contributor"
        ).fetchall()
    factors = {f"factor:{row[0]}": _detail(Factor(*row)) for row in rows}
    return factors | {f"recovery:{account}": _codes_detail(account, digests) for account, digests in codes}


def _detail(factor: Factor) -> dict[str, object]:
    """`key` is the SHA-256 of what a factor is checked with: it says whether that was exchanged, and nothing else."""
    parts: list[Any] = [factor.sealed, factor.credential, factor.public_key]
    return {
        "factor": factor.id,
        "account": factor.account,
        "kind": factor.kind,
        "name": factor.name,
        "created": factor.created,
        "key": hashlib.sha256(b"\0".join(part or b"" for part in parts)).hexdigest(),
    }


def _codes_detail(account: str, digests: list[bytes]) -> dict[str, object]:
    return {"account": account, "left": len(digests), "codes": hashlib.sha256(b"".join(digests)).hexdigest()}
