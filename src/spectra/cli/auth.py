"""`spectra auth`: sign in to a server and out again, and see who is signed in."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spectra.cli.help import JsonOption, examples
from spectra.cli.local import TOKEN_VARIABLE, Machine
from spectra.cli.output import Column, Target, emit, finish, json_line, note, text
from spectra.cli.pages import Command, Group
from spectra.cli.problems import Unreachable
from spectra.cli.times import ago, stamp
from spectra.errors import BadRequest, SpectraError

if TYPE_CHECKING:
    from spectra.cli.answers import AuthStatus
    from spectra.cli.sessions import Keeper
    from spectra.identity.tokens import Session
    from spectra.model.accounts import SessionRecord

auth = typer.Typer(cls=Group, help="Sign in to a server and out again.")

ServerOption = Annotated[
    str, typer.Option("--server", metavar="URL", help="The server, instead of this machine's; as before the command.")
]


def _machine(context: typer.Context, server: str) -> Machine:
    machine = Machine.of(context)
    if server:
        machine.server = server
    return machine


def login(
    context: typer.Context,
    *,
    server: ServerOption = "",
    account: Annotated[
        str, typer.Option("--account", "-a", metavar="NAME", help="Who signs in; asked for if not said.")
    ] = "",
    device: Annotated[
        bool, typer.Option("--device", help="Show a code that you type at the dashboard, in a browser anywhere.")
    ] = False,
    key: Annotated[
        Path | None, typer.Option("--key", metavar="FILE", help="Sign in with a registered key, without a password.")
    ] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    scope: Annotated[
        str, typer.Option("--scope", metavar="SCOPES", help="Fewer scopes than the role holds, such as 'search:read'.")
    ] = "",
) -> None:
    """Sign in. The session is kept in a file only you can read, and is used for this server from now on.

    On a terminal, without --account or --key, it shows a code to type at the dashboard: by password, app or passkey.
    """
    from spectra.cli.client import require_url
    from spectra.cli.sessions import Keeper

    url = _machine(context, server).server_url()
    require_url(url)
    keeper = Keeper.of(url)
    if key is not None:
        session = _with_key(keeper, key, account, password_stdin=password_stdin, scope=scope)
    elif device or (not (account or password_stdin) and sys.stdin.isatty()):
        from spectra.cli.devicelogin import with_device

        session = with_device(keeper, scope=scope)
    else:
        session = _with_password(keeper, account, password_stdin=password_stdin, scope=scope)
    sys.stdout.write(f"signed in to {text(url).plain} as {text(session.account).plain}\n")


def _with_key(keeper: Keeper, key: Path, account: str, *, password_stdin: bool, scope: str) -> Session:
    from spectra.cli.sessions import assertion
    from spectra.identity.keys import SigningKey

    if password_stdin:
        raise BadRequest("--key and --password-stdin exclude each other", field="key")
    path = key.absolute()
    session = keeper.sign_in(assertion(keeper.url, SigningKey.load(path)), key_file=path, scope=scope)
    if account and session.account != account:
        keeper.forget()
        raise BadRequest(f"{key} is a key of {session.account}, not of {account}", field="account")
    return session


def _with_password(keeper: Keeper, account: str, *, password_stdin: bool, scope: str) -> Session:
    from spectra.cli.client import is_loopback
    from spectra.cli.sessions import CLIENT_ID

    if keeper.url.startswith("http:") and not is_loopback(keeper.url):
        note(f"{keeper.url} is not encrypted: whoever is in between can read the password. Use https, or --key.")
    name = account or _asked_name()
    password = read_password(f"Password of {name}", stdin=password_stdin)
    fields = {"grant_type": "password", "username": name, "password": password, "client_id": CLIENT_ID}
    try:
        return keeper.sign_in(fields, scope=scope)
    except SpectraError as error:
        if error.reason != "mfa_required":
            raise
        return keeper.sign_in({**fields, "otp": _asked_code(error)}, scope=scope)


def _asked_code(refusal: SpectraError) -> str:
    """The next line of standard input where the password was read from there, too."""
    if sys.stdin.isatty():
        return typer.prompt("Code of your app, or a recovery code", hide_input=True, err=True)
    line = sys.stdin.readline().strip()
    if not line:
        raise BadRequest(refusal.message, field="otp", hint="Give it on the line after the password, or use --device.")
    return line


def _asked_name() -> str:
    if not sys.stdin.isatty():
        raise BadRequest("whose account?", field="account", hint="Say --account NAME.")
    return typer.prompt("Account", err=True)


def read_password(prompt: str, *, stdin: bool, twice: bool = False) -> str:
    """A password: the next line of standard input, or asked for on the terminal. Never an argument: those can be seen
    by everybody on the machine.
    """
    if stdin:
        line = sys.stdin.readline()
        if not line:
            raise BadRequest("there is no password on standard input", field="password")
        return line.rstrip("\r\n")
    if not sys.stdin.isatty():
        raise BadRequest(
            "a password can be asked for on a terminal only", field="password", hint="Say --password-stdin."
        )
    return typer.prompt(prompt, hide_input=True, confirmation_prompt=twice, err=True)


def logout(context: typer.Context, *, server: ServerOption = "") -> None:
    """Sign out: the session ends on the server and its file is removed here."""
    from spectra.cli.client import Client
    from spectra.cli.sessions import Keeper

    keeper = Keeper.of(_machine(context, server).server_url())
    session = keeper.forget()
    if session is None:
        note(f"Nobody was signed in to {keeper.url}.")
        return
    try:
        with Client(keeper.url, attempts=1) as client:
            client.form("/v0/auth/revoke", dict, {"token": session.refresh_token or session.access_token})
    except SpectraError as error:
        note(f"The session is forgotten here, but may stand on the server until it expires: {error.message}")
    sys.stdout.write(f"signed out of {text(keeper.url).plain}\n")


def status(context: typer.Context, *, server: ServerOption = "", json: JsonOption = False) -> None:
    """Show which credential is sent where, and whom the server takes it for."""
    found = _status(_machine(context, server))
    if json:
        sys.stdout.write(json_line(found) + "\n")
    else:
        _show(found)
    if found.problem:
        raise typer.Exit(1)


def _status(machine: Machine) -> AuthStatus:
    from spectra.cli.answers import AuthStatus
    from spectra.model.accounts import Me

    url = machine.server_url()
    by, expires = _credential(machine, url)
    if by == "nothing":
        return AuthStatus(url, by, problem="not signed in")
    try:
        with machine.client(attempts=1) as client:
            me = client.get("/v0/accounts/me", Me)
    except Unreachable:
        raise
    except SpectraError as error:
        return AuthStatus(url, by, token_expires=expires, problem=error.message)
    _, expires = _credential(machine, url)  # it may have been refreshed
    return AuthStatus(url, by, me.account.name, me.account.role, me.scopes, me.session, expires)


def _credential(machine: Machine, url: str) -> tuple[str, datetime | None]:
    """What `Machine.server_and_token` would take, in its order, and when a session's token ends."""
    import os

    if os.environ.get(TOKEN_VARIABLE):
        return TOKEN_VARIABLE, None
    if (keeper := machine.session(url)) is not None:
        session = keeper.load()
        return "key" if session.key_file else "session", datetime.fromtimestamp(session.expires, UTC)
    return ("local credential" if machine.server_and_token()[1] else "nothing"), None


def _show(found: AuthStatus) -> None:
    rows = [
        ("server", found.server),
        ("by", found.by),
        ("account", f"{found.account} ({found.role})" if found.account else ""),
        ("scopes", ", ".join(found.scopes)),
        ("session", found.session),
        ("token until", stamp(found.token_expires) if found.token_expires else ""),
        ("problem", found.problem),
    ]
    for name, value in rows:
        if value:
            sys.stdout.write(f"{name + ':':<13}{text(value).plain}\n")


def sessions(
    context: typer.Context,
    *,
    account: Annotated[
        str, typer.Option("--account", "-a", metavar="NAME", help="Another's; * for everybody's. For admins.")
    ] = "",
    json: JsonOption = False,
) -> None:
    """List the sessions of your account."""
    from spectra.model.accounts import SessionPage

    found: list[SessionRecord] = []
    with Machine.of(context).client(notify=note) as client:
        cursor = ""
        while True:
            page = client.get("/v0/auth/sessions", SessionPage, {"account": account, "cursor": cursor, "limit": 1000})
            found += page.sessions
            cursor = page.next_cursor
            if not cursor:
                break
    target = Target.of(json=json)
    finish(emit(found, _columns(datetime.now(UTC)), target), target, nothing="Nobody is signed in.")


def _columns(now: datetime) -> list[Column[SessionRecord]]:
    return [
        Column("id", lambda s: s.id, style="cyan"),
        Column("account", lambda s: s.account, flexible=True, main=True),
        Column("by", lambda s: "key" if s.keyid else s.grant_type),
        Column("client", lambda s: s.client_id, flexible=True, optional=True),
        Column("source", lambda s: s.source, flexible=True),
        Column("used", lambda s: ago(s.used, now), style="dim"),
        Column("until", lambda s: stamp(s.expires), optional=True),
        Column("this", lambda s: "this one" if s.current else "", "", optional=True),
    ]


def end(
    context: typer.Context,
    *,
    session: Annotated[str, typer.Argument(metavar="ID", help="The session, as `auth sessions` shows it.")],
) -> None:
    """End a session at once, yours or, as an admin, anybody's."""
    from spectra.cli.client import segment

    with Machine.of(context).client(notify=note) as client:
        client.call("DELETE", f"/v0/auth/sessions/{segment(session)}", dict)
    sys.stdout.write(f"ended {text(session).plain}\n")


def make_setup_link(context: typer.Context, *, json: JsonOption = False) -> None:
    """Make the link by which the first account is made, in the place of the one before. It holds for a day, once."""
    from spectra.cli.setuplink import setup_link

    url = setup_link(Machine.of(context))
    if not url:
        raise BadRequest("somebody has a password already", hint="Have them make an account: spectra accounts add")
    sys.stdout.write((json_line({"url": url}) if json else url) + "\n")


def revoke_key(
    context: typer.Context,
    *,
    key: Annotated[str, typer.Argument(metavar="KID", help="The key, as /v0/auth/jwks.json shows it.")],
) -> None:
    """Revoke a coordinator's token key that leaked: every token it signed is refused at once."""
    from spectra.cli.client import segment

    with Machine.of(context).client(notify=note) as client:
        client.call("DELETE", f"/v0/auth/keys/{segment(key)}", dict)
    sys.stdout.write(f"revoked {text(key).plain}\n")


auth.command(
    "login",
    cls=Command,
    epilog=examples(
        "spectra auth login",
        "spectra auth login --account alice",
        "spectra auth login --server https://spectra.example.org --account alice --password-stdin < password.txt",
        "spectra auth login --server http://10.0.0.5:8765 --key probe.pem",
    ),
)(login)
auth.command("logout", cls=Command, epilog=examples("spectra auth logout"))(logout)
auth.command("status", cls=Command, epilog=examples("spectra auth status", "spectra auth status --json"))(status)
auth.command("sessions", cls=Command, epilog=examples("spectra auth sessions", "spectra auth sessions -a '*'"))(
    sessions
)
auth.command("end", cls=Command, epilog=examples("spectra auth end 0b9f2c1e-7f5a-4a57-9d0e-0a6e2f1c3b4d"))(end)
auth.command("setup-link", cls=Command, epilog=examples("spectra auth setup-link"))(make_setup_link)
auth.command("revoke-key", cls=Command, epilog=examples(f"spectra auth revoke-key {'3fa4c1d2' * 8}"))(revoke_key)
