"""`spectra accounts factors`: second factors, one's own and as an admin another's."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from spectra.cli.auth import read_password
from spectra.cli.help import JsonOption, examples
from spectra.cli.local import Machine
from spectra.cli.output import Column, Target, emit, finish, note, text
from spectra.cli.pages import Command, Group
from spectra.cli.times import ago
from spectra.errors import BadRequest

if TYPE_CHECKING:
    from spectra.model.people import FactorList, FactorRecord, TotpStart

factors = typer.Typer(cls=Group, help="Authenticator apps, passkeys and recovery codes.")

_MINE = "/v0/accounts/me/factors"
PasswordStdin = Annotated[bool, typer.Option("--password-stdin", help="Read your password from standard input.")]


def _path(name: str) -> str:
    from spectra.cli.client import segment

    return f"/v0/accounts/{segment(name)}/factors" if name else _MINE


def _print(found: FactorList, json: bool) -> None:
    target = Target.of(json=json)
    now = datetime.now(UTC)
    columns: list[Column[FactorRecord]] = [
        Column("id", lambda f: f.id, style="cyan"),
        Column("kind", lambda f: "app" if f.kind == "totp" else "passkey"),
        Column("name", lambda f: f.name, flexible=True, main=True),
        Column("created", lambda f: ago(f.created, now), style="dim"),
        Column("used", lambda f: ago(f.used, now) if f.used else "never", style="dim"),
        Column("usable", lambda f: "" if f.usable else "not at this coordinator", "", style="yellow", optional=True),
    ]
    finish(emit(list(found.factors), columns, target), target, nothing="There is no second factor.")
    if found.factors and not json:
        note(f"{found.recovery_codes} recovery codes are left.")


def list_factors(
    context: typer.Context,
    *,
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="Another's, for admins; yours if left out.")] = "",
    json: JsonOption = False,
) -> None:
    """List an account's second factors."""
    from spectra.model.people import FactorList

    with Machine.of(context).client(notify=note) as client:
        _print(client.get(_path(name), FactorList), json)


def add_app(
    context: typer.Context,
    *,
    name: Annotated[str, typer.Option("--name", help="To tell it from others, such as 'phone'.")] = "",
    password_stdin: PasswordStdin = False,
) -> None:
    """Set up an authenticator app (TOTP). Passkeys are set up at the dashboard: they need a browser."""
    from spectra.cli.client import segment
    from spectra.model.people import FactorAdded, TotpStart

    password = read_password("Your password", stdin=password_stdin)
    with Machine.of(context).client(notify=note) as client:
        begun = client.post(f"{_MINE}/totp", TotpStart, {"password": password, "name": name})
        _show(begun)
        code = _code()
        added = client.post(f"{_MINE}/totp/{segment(begun.id)}", FactorAdded, {"code": code})
    sys.stdout.write(f"added {text(added.factor.name).plain}; signing in takes its code from now on\n")
    _show_codes(added.recovery_codes)


def _show(begun: TotpStart) -> None:
    """The secret for the app: as a QR code where a person sees it."""
    if sys.stderr.isatty():
        import segno

        segno.make(begun.uri, error="m").terminal(out=sys.stderr, compact=True)
    groups = " ".join(begun.secret[i : i + 4] for i in range(0, len(begun.secret), 4))
    note(f"Scan the code with your app, or type this secret there: {groups}")


def _code() -> str:
    if sys.stdin.isatty():
        return typer.prompt("The code it shows", err=True)
    line = sys.stdin.readline().strip()
    if not line:
        raise BadRequest("there is no code on standard input", field="code", hint="Give it on a line of its own.")
    return line


def _show_codes(codes: tuple[str, ...]) -> None:
    if codes:
        note("Keep these recovery codes away from your phone: each signs you in once without it. They are shown once.")
        sys.stdout.write("".join(f"  {text(code).plain}\n" for code in codes))


def recovery(context: typer.Context, *, password_stdin: PasswordStdin = False) -> None:
    """Make new recovery codes; those there were are good no more."""
    from spectra.model.people import RecoveryCodes

    password = read_password("Your password", stdin=password_stdin)
    with Machine.of(context).client(notify=note) as client:
        made = client.post(f"{_MINE}/recovery", RecoveryCodes, {"password": password})
    _show_codes(made.codes)


def remove(
    context: typer.Context,
    *,
    factor: Annotated[str, typer.Argument(metavar="ID", help="The factor, as `accounts factors list` shows it.")],
    password_stdin: PasswordStdin = False,
) -> None:
    """Remove one of your second factors."""
    from spectra.cli.client import segment
    from spectra.model.people import FactorList

    password = read_password("Your password", stdin=password_stdin)
    with Machine.of(context).client(notify=note) as client:
        left = client.post(f"{_MINE}/{segment(factor)}/remove", FactorList, {"password": password})
    rest = f"{len(left.factors)} left" if left.factors else "the password alone signs you in now"
    sys.stdout.write(f"removed {text(factor).plain}; {rest}\n")


def reset(
    context: typer.Context,
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The account.")],
) -> None:
    """Remove all second factors of somebody who lost theirs. For admins."""
    from spectra.model.people import FactorList

    with Machine.of(context).client(notify=note) as client:
        client.call("DELETE", _path(name), FactorList)
    sys.stdout.write(f"{text(name).plain} signs in with the password alone now\n")


factors.command(
    "list", cls=Command, epilog=examples("spectra accounts factors list", "spectra accounts factors list alice")
)(list_factors)
factors.command("add-app", cls=Command, epilog=examples("spectra accounts factors add-app --name phone"))(add_app)
factors.command("recovery", cls=Command, epilog=examples("spectra accounts factors recovery"))(recovery)
factors.command(
    "remove", cls=Command, epilog=examples("spectra accounts factors remove 0b9f2c1e-7f5a-4a57-9d0e-0a6e2f1c3b4d")
)(remove)
factors.command("reset", cls=Command, epilog=examples("spectra accounts factors reset alice"))(reset)
