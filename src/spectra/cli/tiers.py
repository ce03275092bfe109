"""`spectra account`, `spectra leaderboard` and `spectra accounts tier`: Free and Pro, and what was contributed."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spectra.cli.help import (
    AllOption,
    CsvOption,
    FieldsOption,
    FileOption,
    FormatOption,
    JsonOption,
    LimitOption,
    examples,
)
from spectra.cli.local import Machine
from spectra.cli.output import Column, Target, emit, finish, json_line, note, plural, text
from spectra.cli.pages import Command
from spectra.cli.paging import Paged
from spectra.cli.times import parse_until, stamp
from spectra.errors import BadRequest

if TYPE_CHECKING:
    from spectra.model.tiers import Leaderboard, Ranked, Standing

TIERS = ("pro", "free", "auto")
_WHY = {
    "admin": "admins always are",
    "everyone": "everybody is on this node",
    "granted": "an admin made it so",
    "withheld": "an admin made it so",
    "own": "by its role, it is one of this node's own people",
    "earned": "by its contributions",
    "not_earned": "its contributions do not suffice yet",
}


def account(
    context: typer.Context,
    *,
    unlist: Annotated[bool, typer.Option("--unlist", help="Leave the account out of the leaderboard.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="Have it on the leaderboard again.")] = False,
    json: JsonOption = False,
) -> None:
    """Show where your account stands: Free or Pro, why and until when, and what its observations count for.

    Vulnerability answers belong to Pro. An observation counts for every endpoint that it made fresh: one that nobody
    knew, or that had not been seen open for as long as its service stays fresh.
    """
    from spectra.model.tiers import Standing

    if unlist and list_:
        raise BadRequest("--unlist and --list exclude each other", field="unlist")
    with Machine.of(context).client(notify=note) as client:
        if unlist or list_:
            found = client.call("PUT", "/v0/account", Standing, {"listed": list_})
        else:
            found = client.get("/v0/account", Standing)
    _print(found, json)


def _print(found: Standing, json: bool) -> None:
    if json:
        sys.stdout.write(json_line(found) + "\n")
        return
    bound = f", at most {found.daily_cap:,} a day" if found.daily_cap else ""
    rows = [
        ("account", f"{found.account} ({found.role})"),
        ("tier", f"{found.tier.capitalize()}: {_WHY.get(found.why, found.why)}"),
        ("until", stamp(found.until) if found.until else ""),
        ("today", f"{plural(found.today, 'fresh endpoint')}"),
        ("window", f"{found.window:,} of {found.threshold:,} in {plural(found.window_days, 'day')}{bound}"),
        ("ever", f"{found.total:,} by {plural(found.observations, 'observation')}"),
        ("leaderboard", "" if found.listed else "not listed"),
    ]
    for name, value in rows:
        if value:
            sys.stdout.write(f"{name + ':':<13}{text(value).plain}\n")
    if found.why == "not_earned":
        missing = found.threshold - found.window
        note(f"{missing:,} more make it Pro: spectra scan ... --submit. Or ask an admin.")


def tier(
    context: typer.Context,
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The account.")],
    tier: Annotated[
        str,
        typer.Argument(metavar="TIER", help="pro, free, or auto: what follows from its role and its contributions."),
    ],
    until: Annotated[str, typer.Option("--until", metavar="TIME", help="30d, or a date; for ever if left out.")] = "",
    json: JsonOption = False,
) -> None:
    """Make an account Pro or Free, from its next request on, whatever its role and contributions say."""
    from spectra.cli.client import segment
    from spectra.model.tiers import Standing

    if tier not in TIERS:
        raise BadRequest(f"there is no tier {tier!r}", field="tier", hint=f"One of {', '.join(TIERS)}.")
    body: dict[str, Any] = {"tier": tier}
    if until:
        body["until"] = parse_until(until, datetime.now(UTC))
    with Machine.of(context).client(notify=note) as client:
        _print(client.call("PUT", f"/v0/accounts/{segment(name)}/tier", Standing, body), json)


def leaderboard(
    context: typer.Context,
    *,
    ever: Annotated[bool, typer.Option("--ever", help="Since ever, not only the days that count for Pro.")] = False,
    limit: LimitOption = 20,
    all_: AllOption = False,
    json: JsonOption = False,
    csv: CsvOption = False,
    fields: FieldsOption = "",
    out: FileOption = None,
    format: FormatOption = "",
) -> None:
    """Show who contributed most: endpoints that their observations made fresh."""
    from spectra.model.tiers import Leaderboard

    target = Target.of(json=json, csv=csv, fields=fields, path=out, format=format)
    columns: list[Column[Ranked]] = [
        Column("rank", lambda r: r.rank, right=True, style="dim"),
        Column("account", lambda r: r.account, style="cyan", flexible=True, main=True),
        Column("fresh", lambda r: r.fresh, right=True),
        Column("observations", lambda r: r.observations, right=True),
    ]
    with Machine.of(context).client(notify=note) as client:
        rows: Paged[Leaderboard, Ranked] = Paged(
            client,
            "/v0/leaderboard",
            Leaderboard,
            lambda page: page.contributors,
            params={"span": "all" if ever else "window"},
            limit=0 if all_ else limit,
        )
        count = emit(rows, columns, target)
    finish(count, target, more=rows.more, nothing="Nobody has contributed yet.")


ACCOUNT_EXAMPLES = examples("spectra account", "spectra account --unlist", "spectra account --json")
LEADERBOARD_EXAMPLES = examples("spectra leaderboard", "spectra leaderboard --ever --limit 100 --csv")


def add_to(accounts: typer.Typer) -> None:
    """Make `tier` part of `spectra accounts`."""
    epilog = examples("spectra accounts tier alice pro --until 2027-01-01", "spectra accounts tier alice auto")
    accounts.command("tier", cls=Command, epilog=epilog)(tier)
