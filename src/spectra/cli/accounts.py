"""`spectra accounts`: people and machines, their roles and their passwords."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from spectra.cli.auth import read_password
from spectra.cli.factors import factors
from spectra.cli.help import JsonOption, examples
from spectra.cli.local import Machine
from spectra.cli.output import Column, Target, emit, finish, note, text
from spectra.cli.pages import Command, Group
from spectra.cli.times import ago
from spectra.errors import BadRequest

if TYPE_CHECKING:
    from spectra.cli.client import Client
    from spectra.model.accounts import AccountRecord, RoleRecord

accounts = typer.Typer(cls=Group, help="People and machines, their roles and their passwords.")
roles = typer.Typer(cls=Group, help="What each role may do, and roles of your own.")

_STYLES = {"active": "green", "disabled": "red"}
Name = Annotated[str, typer.Argument(metavar="NAME", help="The account.")]
PasswordStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]


def _print(records: list[AccountRecord], json: bool) -> None:
    target = Target.of(json=json)
    finish(emit(records, _columns(datetime.now(UTC)), target), target, nothing="There is no account.")


def _columns(now: datetime) -> list[Column[AccountRecord]]:
    return [
        Column("name", lambda a: a.name, "account", style="cyan", flexible=True, main=True),
        Column("role", lambda a: a.role, flexible=True),
        Column("status", lambda a: text(a.status, _STYLES.get(a.status, ""))),
        Column("trust", lambda a: f"{a.trust:g}", right=True),
        Column("password", lambda a: a.password),
        Column("keys", lambda a: a.keys, right=True),
        Column("created", lambda a: ago(a.created, now), style="dim", optional=True),
    ]


def _path(name: str) -> str:
    from spectra.cli.client import segment

    return f"/v0/accounts/{segment(name)}"


def add(
    context: typer.Context,
    *,
    name: Name,
    role: Annotated[str, typer.Option("--role", help="What it may do; `accounts roles list` shows all.")] = "user",
    trust: Annotated[float, typer.Option("--trust", min=0, max=1, help="How far its observations are trusted.")] = 1.0,
    password_stdin: PasswordStdin = False,
    no_password: Annotated[bool, typer.Option("--no-password", help="It signs in with a key alone.")] = False,
    json: JsonOption = False,
) -> None:
    """Make an account. A password is asked for on the terminal unless you say how it comes."""
    from spectra.model.accounts import AccountRecord

    if password_stdin and no_password:
        raise BadRequest("--password-stdin and --no-password exclude each other", field="password-stdin")
    body: dict[str, object] = {"name": name, "role": role, "trust": trust}
    if not no_password:
        body["password"] = read_password(f"Password for {name}", stdin=password_stdin, twice=True)
    with Machine.of(context).client(notify=note) as client:
        _print([client.post("/v0/accounts", AccountRecord, body)], json)


def list_accounts(context: typer.Context, *, json: JsonOption = False) -> None:
    """List the accounts."""
    with Machine.of(context).client(notify=note) as client:
        _print(list(_every(client)), json)


def _every(client: Client) -> Iterator[AccountRecord]:
    from spectra.model.accounts import AccountPage

    cursor = ""
    while True:
        page = client.get("/v0/accounts", AccountPage, {"cursor": cursor, "limit": 1000})
        yield from page.accounts
        cursor = page.next_cursor
        if not cursor:
            return


def _change(context: typer.Context, name: str, json: bool, **wish: object) -> None:
    from spectra.model.accounts import AccountRecord

    with Machine.of(context).client(notify=note) as client:
        _print([client.call("PATCH", _path(name), AccountRecord, wish)], json)


def role(
    context: typer.Context,
    *,
    name: Name,
    role: Annotated[str, typer.Argument(metavar="ROLE", help="`accounts roles list` shows all.")],
    json: JsonOption = False,
) -> None:
    """Give an account another role, from its next request on."""
    _change(context, name, json, role=role)


def trust(
    context: typer.Context,
    *,
    name: Name,
    trust: Annotated[float, typer.Argument(metavar="TRUST", min=0, max=1, help="0 (none) to 1 (full).")],
    json: JsonOption = False,
) -> None:
    """Say how far an account's observations are trusted, from its next submission on."""
    _change(context, name, json, trust=trust)


def disable(context: typer.Context, *, name: Name, json: JsonOption = False) -> None:
    """Refuse an account's tokens, sessions and signatures from now on."""
    _change(context, name, json, disabled=True)


def enable(context: typer.Context, *, name: Name, json: JsonOption = False) -> None:
    """Let a disabled account in again."""
    _change(context, name, json, disabled=False)


def passwd(
    context: typer.Context,
    *,
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="Another's account, for admins; yours if left out.")
    ] = "",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read it from standard input; for yours, the current one first.")
    ] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Take the account's password away.")] = False,
) -> None:
    """Change a password. The account's other sessions end."""
    from spectra.model.accounts import AccountRecord, Me

    if remove and not name:
        raise BadRequest("whose password?", field="remove", hint="Name the account.")
    with Machine.of(context).client(notify=note) as client:
        if name:
            new = None if remove else read_password(f"New password of {name}", stdin=password_stdin, twice=True)
            record = client.post(f"{_path(name)}/password", AccountRecord, {"password": new})
        else:
            mine = client.get("/v0/accounts/me", Me).account
            current = read_password("Current password", stdin=password_stdin) if mine.password else ""
            new = read_password("New password", stdin=password_stdin, twice=True)
            body = {"password": new, "current": current}
            record = client.post("/v0/accounts/me/password", AccountRecord, body)
    sys.stdout.write(f"the password of {text(record.name).plain} is {'changed' if record.password else 'removed'}\n")


def sign_out(context: typer.Context, *, name: Name) -> None:
    """End every session of an account, browsers and command lines, at once."""
    from spectra.model.people import EndedSessions

    with Machine.of(context).client(notify=note) as client:
        ended = client.call("DELETE", f"{_path(name)}/sessions", EndedSessions)
    sys.stdout.write(f"ended {ended.ended} session{'' if ended.ended == 1 else 's'} of {text(ended.account).plain}\n")


def list_roles(context: typer.Context, *, json: JsonOption = False) -> None:
    """List the roles and the scopes they hold."""
    from spectra.model.accounts import RoleList

    with Machine.of(context).client(notify=note) as client:
        _print_roles(list(client.get("/v0/roles", RoleList).roles), json)


def _print_roles(records: list[RoleRecord], json: bool) -> None:
    columns: list[Column[RoleRecord]] = [
        Column("name", lambda r: r.name, "role", style="cyan"),
        Column("builtin", lambda r: "built in" if r.builtin else "own", "kind", style="dim"),
        Column("scopes", lambda r: r.scopes, flexible=True, main=True),
    ]
    emit(records, columns, Target.of(json=json))


def add_role(
    context: typer.Context,
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The role.")],
    scope: Annotated[list[str], typer.Option("--scope", metavar="SCOPE", help="One it holds; may be said again.")],
    json: JsonOption = False,
) -> None:
    """Define a role, or give it other scopes: for everybody who has it."""
    from spectra.cli.client import segment
    from spectra.model.accounts import RoleRecord

    wanted = [one for said in scope for one in said.replace(",", " ").split()]
    with Machine.of(context).client(notify=note) as client:
        _print_roles([client.call("PUT", f"/v0/roles/{segment(name)}", RoleRecord, {"scopes": wanted})], json)


def remove_role(
    context: typer.Context, *, name: Annotated[str, typer.Argument(metavar="NAME", help="The role.")]
) -> None:
    """Remove a role of your own that no account has."""
    from spectra.cli.client import segment
    from spectra.model.accounts import RoleRecord

    with Machine.of(context).client(notify=note) as client:
        client.call("DELETE", f"/v0/roles/{segment(name)}", RoleRecord)
    sys.stdout.write(f"removed {text(name).plain}\n")


accounts.command(
    "add",
    cls=Command,
    epilog=examples(
        "spectra accounts add alice --role user",
        "spectra accounts add probe-7 --role contributor --no-password --trust 0.5",
    ),
)(add)
accounts.command("list", cls=Command, epilog=examples("spectra accounts list --json"))(list_accounts)
accounts.command("role", cls=Command, epilog=examples("spectra accounts role alice contributor"))(role)
accounts.command("trust", cls=Command, epilog=examples("spectra accounts trust probe-7 0.3"))(trust)
accounts.command("disable", cls=Command, epilog=examples("spectra accounts disable alice"))(disable)
accounts.command("enable", cls=Command, epilog=examples("spectra accounts enable alice"))(enable)
accounts.command(
    "passwd", cls=Command, epilog=examples("spectra accounts passwd", "spectra accounts passwd alice --password-stdin")
)(passwd)
accounts.command("sign-out", cls=Command, epilog=examples("spectra accounts sign-out alice"))(sign_out)
roles.command("list", cls=Command, epilog=examples("spectra accounts roles list"))(list_roles)
roles.command(
    "add", cls=Command, epilog=examples("spectra accounts roles add looker --scope search:read --scope hosts:read")
)(add_role)
roles.command("remove", cls=Command, epilog=examples("spectra accounts roles remove looker"))(remove_role)
accounts.add_typer(roles, name="roles")
accounts.add_typer(factors, name="factors")
