"""What admins decided of accounts' tiers, and who is on the leaderboard. Every change is an entry of the provenance
chain, whose newest says what the row is.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from spectra.errors import NotFound
from spectra.model.tiers import Given, Hand, Member, Policy, Standing, decided, standing
from spectra.store import ledger
from spectra.store.accounts import Act
from spectra.store.database import Connection, Database, one
from spectra.store.provenance import Entry, commit

_GIVEN: Final = "coalesce(t.hand, 'auto'), t.until, coalesce(t.listed, true)"
_DETAIL: Final = "SELECT name, hand, until, listed, changed, by FROM tier"
_KINDS: Final[dict[Hand, str]] = {"pro": "tier.granted", "free": "tier.withheld", "auto": "tier.reset"}


def of(database: Database, name: str, policy: Policy, now: datetime) -> Standing:
    """Where an account stands; raises `NotFound`."""
    with database.connection() as connection:
        row = connection.execute(
            f"SELECT c.role, {_GIVEN} FROM contributor c LEFT JOIN tier t ON t.name = c.name WHERE c.name = %s", [name]
        ).fetchone()
    if row is None:
        raise _unknown(name)
    role, *given = row
    return standing(Member(name, role, Given(*given)), ledger.days(database, name), policy, now)


def is_pro(database: Database, name: str, role: str, policy: Policy, now: datetime) -> bool:
    """Whether an account of this role is Pro. Reads no more than it takes: nothing for admins."""
    member = Member(name, role)
    if (known := decided(member, policy, now)) and known[1] in ("admin", "everyone"):
        return True
    with database.connection() as connection:
        row = connection.execute(f"SELECT {_GIVEN} FROM tier t WHERE t.name = %s", [name]).fetchone()
    member = member._replace(given=Given(*row)) if row else member
    if known := decided(member, policy, now):
        return known[0] == "pro"
    recent = ledger.days(database, name, policy.first_day(now.astimezone(UTC).date()))
    return standing(member, recent, policy, now).tier == "pro"


def give(database: Database, name: str, hand: Hand, until: datetime | None, act: Act) -> None:
    """Decide that an account is Pro or Free, for ever or until a moment, or (`auto`) what follows from its role and
    its contributions. What is as asked already is no change. Raises `NotFound`.
    """
    _put(database, name, _KINDS[hand], act, hand=hand, until=None if hand == "auto" else until)


def show(database: Database, name: str, listed: bool, act: Act) -> None:
    """Have an account on the leaderboard, or not."""
    _put(database, name, "tier.listed" if listed else "tier.unlisted", act, listed=listed)


def _put(database: Database, name: str, kind: str, act: Act, **wish: object) -> None:
    def work(connection: Connection) -> tuple[None, list[Entry]]:
        if connection.execute("SELECT FROM contributor WHERE name = %s FOR UPDATE", [name]).fetchone() is None:
            raise _unknown(name)
        row = connection.execute("SELECT hand, until, listed FROM tier WHERE name = %s", [name]).fetchone()
        before = Given(*row) if row else Given()
        after = before._replace(**wish)
        if after == before:
            return None, []
        connection.execute(
            "INSERT INTO tier (name, hand, until, listed, changed, by) VALUES (%s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (name) DO UPDATE SET hand = excluded.hand, until = excluded.until, listed = excluded.listed,"
            " changed = excluded.changed, by = excluded.by",
            [name, *after, act.now, act.by],
        )
        told = _told(one(connection.execute(f"{_DETAIL} WHERE name = %s", [name])))
        return None, [Entry(kind, f"tier:{name}", told, act.now)]

    commit(database, work)


def details(database: Database) -> dict[str, dict[str, object]]:
    """What the newest provenance entry of each account's tier has to say, by its subject: as the rows are now."""
    with database.connection() as connection:
        return {f"tier:{row[0]}": _told(row) for row in connection.execute(_DETAIL)}


def _told(row: tuple[Any, ...]) -> dict[str, object]:
    name, hand, until, listed, changed, by = row
    return {"account": name, "tier": hand, "until": until, "listed": listed, "changed": changed, "by": by}


def _unknown(name: str) -> NotFound:
    return NotFound(f"There is no account {name}.", reason="unknown_account", hint="`spectra accounts list` shows all.")
