"""The rules of alerts, and what is left out of them; every change is on record."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from spectra.errors import BadRequest, NotFound
from spectra.model.alerts import MAX_MUTES, MAX_RULES, Mute, Muting, Rule, RuleRecord
from spectra.store.accounts import Act
from spectra.store.alertwrite import cover, forget
from spectra.store.database import Connection, Database
from spectra.store.provenance import Entry, commit
from spectra.store.rows import encode

_RULES: Final = """
SELECT r.name, r.body, r.created, r.changed, r.by, r.trouble,
       (SELECT count(*) FROM alert a WHERE a.rule = r.name AND a.state = 'firing')
FROM alert_rule r"""
_MUTES: Final = "SELECT id, body, at, by FROM alert_mute m"
_LOCK: Final = 0x5EC7_0024

_rule = msgspec.json.Decoder(Rule).decode
_muting = msgspec.json.Decoder(Muting).decode


# Rules ---------------------------------------------------------------------------------------------------------------


def every(database: Database) -> tuple[RuleRecord, ...]:
    """All rules, by name."""
    with database.connection() as connection:
        return tuple(_record(row) for row in connection.execute(f"{_RULES} ORDER BY r.name"))


def get(database: Database, name: str) -> RuleRecord:
    """One rule; raises `NotFound` (`unknown_rule`)."""
    with database.connection() as connection:
        return _get(connection, name)


def put(database: Database, rule: Rule, act: Act, *, new: bool = False) -> RuleRecord:
    """Keep a rule in the place of the one of its name, if any; not if it has to be `new`. The same again changes
    nothing.

    What comes with time is looked for anew. Raises `BadRequest` (`rule_exists`, `too_many_rules`).
    """

    def work(connection: Connection) -> tuple[RuleRecord, list[Entry]]:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])  # rules are counted
        before = connection.execute("SELECT body FROM alert_rule WHERE name = %s", [rule.name]).fetchone()
        if before and new:
            raise BadRequest(f"There is a rule {rule.name} already.", reason="rule_exists", field="name")
        if before and _rule(before[0]) == rule:
            return _get(connection, rule.name), []
        if not before:
            _check_room(connection)
        return _put(connection, rule, act)

    return commit(database, work)


def add_first(connection: Connection, rules: Iterable[Rule], act: Act) -> list[Entry]:
    """Keep the rules that there are from the first start on."""
    return [entry for rule in rules for entry in _put(connection, rule, act)[1]]


def remove(database: Database, name: str, act: Act) -> RuleRecord:
    """Remove a rule and resolve its alerts; as it was. Raises `NotFound` (`unknown_rule`)."""

    def work(connection: Connection) -> tuple[RuleRecord, list[Entry]]:
        record = _get(connection, name)
        entries = forget(connection, name, "its rule was removed", act.now)
        connection.execute("DELETE FROM alert_rule WHERE name = %s", [name])
        return record, [*entries, Entry("alert-rule.removed", _subject(name), {"name": name, "by": act.by}, act.now)]

    return commit(database, work)


def held(connection: Connection) -> list[tuple[Rule, datetime | None]]:
    """The rules that are switched on, by name, with when what comes with time was looked for."""
    rows = connection.execute("SELECT body, looked FROM alert_rule WHERE enabled ORDER BY name").fetchall()
    return [(_rule(body), looked) for body, looked in rows]


def looked(connection: Connection, names: Sequence[str], now: datetime) -> None:
    """What comes with time was looked for until `now` for these rules."""
    connection.execute("UPDATE alert_rule SET looked = %s WHERE name = ANY(%s)", [now, list(names)])


def troubled(connection: Connection, name: str, why: str) -> None:
    """Why a rule could not be looked at; empty: it could."""
    connection.execute("UPDATE alert_rule SET trouble = %s WHERE name = %s AND trouble <> %s", [why, name, why])


def _check_room(connection: Connection) -> None:
    row = connection.execute("SELECT count(*) FROM alert_rule").fetchone()
    if row and row[0] >= MAX_RULES:
        raise BadRequest(f"There are {MAX_RULES} rules already.", reason="too_many_rules", hint="Remove one first.")


def _put(connection: Connection, rule: Rule, act: Act) -> tuple[RuleRecord, list[Entry]]:
    connection.execute(
        "INSERT INTO alert_rule (name, body, enabled, created, changed, by) VALUES (%s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (name) DO UPDATE SET body = excluded.body, enabled = excluded.enabled,"
        " changed = excluded.changed, by = excluded.by, looked = NULL, trouble = ''",
        [rule.name, encode(rule).decode(), rule.enabled, act.now, act.now, act.by],
    )
    entries = [] if rule.enabled else forget(connection, rule.name, "its rule is switched off", act.now)
    return _get(connection, rule.name), [*entries, _rule_entry(connection, rule.name, act.now)]


def _get(connection: Connection, name: str) -> RuleRecord:
    row = connection.execute(f"{_RULES} WHERE r.name = %s", [name]).fetchone()
    if row is None:
        raise NotFound(
            f"There is no rule {name[:60]!r}.", reason="unknown_rule", hint="`spectra alerts rules list` shows all."
        )
    return _record(row)


def _record(row: tuple[Any, ...]) -> RuleRecord:
    _, body, created, changed, by, trouble, firing = row
    return RuleRecord(rule=_rule(body), created=created, changed=changed, by=by, firing=firing, trouble=trouble)


# What is left out ----------------------------------------------------------------------------------------------------


def mute(database: Database, wanted: Muting, act: Act) -> Mute:
    """Leave something out from now on, also of alerts that there are. Of what is left out already the newest word
    counts: until when, and why. Raises `BadRequest` naming `until`, or `too_many_mutes`.
    """
    return mute_all(database, [wanted], act)[0]


def mute_all(database: Database, wanted: Sequence[Muting], act: Act) -> tuple[Mute, ...]:
    """The same for several."""
    for one in wanted:
        if one.until is not None and one.until <= act.now:
            raise BadRequest("That is over already.", field="until", hint="Give a moment to come, or none.")

    def work(connection: Connection) -> tuple[tuple[Mute, ...], list[Entry]]:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        rows = connection.execute(f"{_MUTES} WHERE removed IS NULL").fetchall()
        about = {_about(one): one for one in wanted}
        replaced = [row[0] for row in rows if _about(_muting(row[1])) in about]
        if len(rows) - len(replaced) + len(about) > MAX_MUTES:
            raise BadRequest(f"{MAX_MUTES} things are left out already.", reason="too_many_mutes")
        told = [_remove(connection, ident, act) for ident in replaced]
        made = tuple(_mute(connection, one, act) for one in about.values())
        told += [_mute_entry(connection, "alert-mute.added", one.id, act.now) for one in made]
        return made, [*told, *cover(connection, made, act.now)]

    return commit(database, work)


def unmute(database: Database, ident: str, act: Act) -> Mute:
    """Leave it out no longer; as it was. Raises `NotFound` (`unknown_mute`)."""

    def work(connection: Connection) -> tuple[Mute, list[Entry]]:
        row = connection.execute(f"{_MUTES} WHERE id = %s AND removed IS NULL FOR UPDATE", [ident]).fetchone()
        if row is None:
            raise NotFound(
                f"Nothing is left out as {ident[:60]!r}.",
                reason="unknown_mute",
                hint="`spectra alerts mutes` shows all.",
            )
        entry = _remove(connection, ident, act)
        # What lasts is found again: certificates by looking at all of them anew.
        connection.execute("UPDATE alert_rule SET looked = NULL")
        return _as_mute(row), [entry]

    return commit(database, work)


def mutes(database: Database, now: datetime) -> tuple[Mute, ...]:
    """What is left out at `now`, the newest first."""
    with database.connection() as connection:
        return held_mutes(connection, now)


def held_mutes(connection: Connection, now: datetime) -> tuple[Mute, ...]:
    """The same, for who holds a connection."""
    rows = connection.execute(
        f"{_MUTES} WHERE removed IS NULL AND (until IS NULL OR until > %s) ORDER BY at DESC, id", [now]
    )
    return tuple(_as_mute(row) for row in rows)


def _mute(connection: Connection, wanted: Muting, act: Act) -> Mute:
    ident = f"mute-{secrets.token_hex(8)}"
    connection.execute(
        "INSERT INTO alert_mute (id, body, until, at, by) VALUES (%s, %s, %s, %s, %s)",
        [ident, encode(wanted).decode(), wanted.until, act.now, act.by],
    )
    return Mute(**msgspec.structs.asdict(wanted), id=ident, at=act.now, by=act.by)


def _about(one: Muting) -> Muting:
    return msgspec.structs.replace(one, until=None, reason="")


def _remove(connection: Connection, ident: str, act: Act) -> Entry:
    connection.execute("UPDATE alert_mute SET removed = %s, removed_by = %s WHERE id = %s", [act.now, act.by, ident])
    return _mute_entry(connection, "alert-mute.removed", ident, act.now)


def _as_mute(row: tuple[Any, ...]) -> Mute:
    ident, body, at, by = row
    return Mute(**msgspec.structs.asdict(_muting(body)), id=ident, at=at, by=by)


# On record -----------------------------------------------------------------------------------------------------------

_RULE_DETAIL: Final = "SELECT name, body, enabled, changed, by FROM alert_rule"
_MUTE_DETAIL: Final = "SELECT id, body, at, by, removed, removed_by FROM alert_mute"


def details(database: Database) -> dict[str, dict[str, object]]:
    """What the newest provenance entries of rules and of what is left out have to say, by their subject: as the rows
    are.
    """
    with database.connection() as connection:
        found = {_subject(row[0]): _told_rule(row) for row in connection.execute(_RULE_DETAIL)}
        return found | {f"alert-mute:{row[0]}": _told_mute(row) for row in connection.execute(_MUTE_DETAIL)}


def _rule_entry(connection: Connection, name: str, now: datetime) -> Entry:
    row = connection.execute(f"{_RULE_DETAIL} WHERE name = %s", [name]).fetchone()
    assert row is not None
    return Entry("alert-rule.put", _subject(name), _told_rule(row), now)


def _mute_entry(connection: Connection, kind: str, ident: str, now: datetime) -> Entry:
    row = connection.execute(f"{_MUTE_DETAIL} WHERE id = %s", [ident]).fetchone()
    assert row is not None
    return Entry(kind, f"alert-mute:{ident}", _told_mute(row), now)


def _told_rule(row: tuple[Any, ...]) -> dict[str, object]:
    return dict(zip(("name", "rule", "enabled", "changed", "by"), row, strict=True))


def _told_mute(row: tuple[Any, ...]) -> dict[str, object]:
    return dict(zip(("mute", "body", "at", "by", "removed", "removed_by"), row, strict=True))


def _subject(name: str) -> str:
    return f"alert-rule:{name}"
