"""`spectra node`: inviting machines to the mesh, looking at one, draining it, keeping it away and throwing it out.

What a machine does about itself (`run`, `status`, `renew` ...) is added to this group by `cli/agentcmds.py`.
"""

from __future__ import annotations

import ipaddress
import re
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from spectra.cli.help import CsvOption, FieldsOption, JsonOption, LimitOption, examples
from spectra.cli.local import Machine
from spectra.cli.output import Column, Target, emit, finish, json_line, note, text
from spectra.cli.pages import Command, Group
from spectra.cli.times import ago, parse_span, span, stamp
from spectra.errors import BadRequest, NotFound, SpectraError

if TYPE_CHECKING:
    from spectra.cli.client import Client
    from spectra.model.joining import Invitation
    from spectra.model.nodes import JoinTokenRecord, NodeRecord, RefusalRecord

MIN_PREFIX = 8
_JWT = re.compile(r"[A-Za-z0-9_-]{1,4000}\.[A-Za-z0-9_-]{1,4000}\.[A-Za-z0-9_-]{1,1000}")
node = typer.Typer(cls=Group, help="The machines of the mesh: invite, look at, keep away, throw out; and this one.")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The node, as `spectra nodes` has it.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why: it is shown with the node, and to the node.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def path(name: str, verb: str = "") -> str:
    """Where the API has a node."""
    from spectra.cli.client import segment

    return f"/v0/nodes/{segment(name)}{verb}"


def token(
    context: typer.Context,
    *,
    role: Annotated[
        str, typer.Option("--role", help="worker: headless, scans, speaks MQTT; full: speaks NATS.")
    ] = "worker",
    ttl: Annotated[str, typer.Option("--ttl", metavar="TIME", help="How long it is good: 15m, 1h, up to 7d.")] = "1h",
    name: Annotated[str, typer.Option("--name", help="What the machine is called; made up if left out.")] = "",
    reusable: Annotated[
        bool, typer.Option("--reusable", help="For any number of machines, which choose their names.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Invite a machine: prints the whole command to run there.

    The token in it is good once and for an hour unless you say otherwise. It names the CA by its fingerprint, so that
    the machine talks to no other. Whoever has it can join: pass it on as you would a password.
    """
    from spectra.model.joining import Invitation

    body = {"role": role, "ttl_s": _ttl(ttl), "name": name, "reusable": reusable}
    with Machine.of(context).client(notify=note) as client:
        invitation = client.post("/v0/nodes/tokens", Invitation, body)
    command = f"spectra join {_checked(invitation.token)}"
    if json:
        import msgspec

        sys.stdout.write(json_line({**msgspec.to_builtins(invitation), "command": command}) + "\n")
        return
    sys.stdout.write(f"{command}\n")
    _explain(invitation)


def _checked(token: str) -> str:
    """The token, which somebody will paste into a shell: nothing but a JWT (RFC 7515 section 7.1) is printed."""
    if not _JWT.fullmatch(token):
        raise SpectraError("the server answered with something that is no join token", reason="bad_answer")
    return token


def _ttl(words: str) -> int:
    from spectra.model.joining import MAX_TTL_S, MIN_TTL_S

    seconds = int(parse_span(words).total_seconds())
    if not MIN_TTL_S <= seconds <= MAX_TTL_S:
        raise BadRequest(f"a token cannot be good for {words}", field="ttl", hint="Between 1m and 7d.")
    return seconds


def _explain(invitation: Invitation) -> None:
    left = span(invitation.expires - datetime.now(UTC))
    who = "as many machines as you like" if invitation.reusable else f"one machine, which becomes {invitation.name}"
    note(f"Run this on the other machine within {left} (until {stamp(invitation.expires)} UTC). It is for {who}.")
    note(f"It joins as {invitation.role} at {invitation.ca_url}; CA {invitation.ca_fingerprint[:16]}.")
    if _is_loopback(invitation.ca_url):
        note("That address is this machine's alone: for others set mesh.host (SPECTRA_MESH__HOST) and start again.")
    note("See it come: spectra nodes --watch")


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def tokens(
    context: typer.Context,
    *,
    all_: Annotated[bool, typer.Option("--all", help="Also those used, expired or revoked.")] = False,
    revoke: Annotated[
        str, typer.Option("--revoke", metavar="ID", help="Let nobody in with this one: its id, or 8 digits of it.")
    ] = "",
    json: JsonOption = False,
    csv: CsvOption = False,
    fields: FieldsOption = "",
) -> None:
    """List the join tokens that are good, or take one back."""
    target = Target.of(json=json, csv=csv, fields=fields)
    with Machine.of(context).client(notify=note) as client:
        found = [_revoke_token(client, revoke)] if revoke else _tokens(client, every=all_)
    count = emit(found, _token_columns(datetime.now(UTC)), target)
    finish(count, target, nothing="No join token is good: spectra node token makes one.")


def _tokens(client: Client, *, every: bool) -> list[JoinTokenRecord]:
    from spectra.model.joining import JoinTokenList

    return list(client.get("/v0/nodes/tokens", JoinTokenList, {"all": "true" if every else "false"}).tokens)


def _revoke_token(client: Client, prefix: str) -> JoinTokenRecord:
    from spectra.model.nodes import JoinTokenRecord

    if len(prefix) < MIN_PREFIX:
        raise BadRequest(f"{prefix!r} is too short", field="revoke", hint=f"Give at least {MIN_PREFIX} characters.")
    found = [record for record in _tokens(client, every=True) if record.id.startswith(prefix)]
    if not found:
        raise NotFound(f"there is no join token {prefix}", hint="`spectra node tokens --all` shows them.")
    if len(found) > 1:
        raise BadRequest(f"{len(found)} tokens begin with {prefix}", field="revoke", hint="Give more of it.")
    return client.call("DELETE", f"/v0/nodes/tokens/{found[0].id}", JoinTokenRecord)


def _token_columns(now: datetime) -> list[Column[JoinTokenRecord]]:
    return [
        Column("token_id", lambda t: t.id, table=False),
        Column("id", lambda t: t.id[:12], "token", data=False, style="cyan"),
        Column("name", lambda t: t.name or ("any" if t.reusable else ""), "for", flexible=True, main=True),
        Column("role", lambda t: t.role),
        Column("status", lambda t: _token_status(t, now), "is"),
        Column("used", lambda t: t.used, right=True),
        Column("expires", lambda t: ago(t.expires, now), table=True, data=False),
        Column("expires_at", lambda t: t.expires, table=False),
        Column("created_by", lambda t: t.created_by, "by", flexible=True, optional=True),
        Column("created", lambda t: ago(t.created, now), style="dim", optional=True),
    ]


def _token_status(record: JoinTokenRecord, now: datetime) -> object:
    if record.revoked:
        return text("revoked", "red")
    if record.used and not record.reusable:
        return text("used", "dim")
    return text("expired", "dim") if record.expires <= now else text("good", "green")


def show(context: typer.Context, *, name: NameArgument, json: JsonOption = False) -> None:
    """Show all that is known of a node: what it is and can do, its keys, its certificate, the state it proved."""
    from spectra.model.nodes import NodeRecord

    with Machine.of(context).client(notify=note) as client:
        _print(client.get(path(name), NodeRecord), json)


def _print(record: NodeRecord, json: bool) -> None:
    from spectra.cli import nodepage

    if json:
        sys.stdout.write(json_line(record) + "\n")
        return
    for line in nodepage.lines(record, datetime.now(UTC)):
        sys.stdout.write(line + "\n")


def quarantine(context: typer.Context, *, name: NameArgument, reason: ReasonOption, json: JsonOption = False) -> None:
    """Keep a node away: it is heard, but gets no work and may say nothing else, until it is released."""
    from spectra.model.nodes import NodeRecord

    with Machine.of(context).client(notify=note) as client:
        _print(client.post(path(name, "/quarantine"), NodeRecord, {"reason": reason}), json)


def release(context: typer.Context, *, name: NameArgument, json: JsonOption = False) -> None:
    """Let a quarantined node work again. The state that it proved last is the one it has to stay in."""
    from spectra.model.nodes import NodeRecord

    with Machine.of(context).client(notify=note) as client:
        _print(client.call("POST", path(name, "/release"), NodeRecord), json)


def revoke(
    context: typer.Context,
    *,
    name: NameArgument,
    reason: ReasonOption = "revoked by an admin",
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Throw a node out for good: its connections end within seconds, and its keys are refused everywhere.

    It cannot come back under a new certificate, and its name stays taken. What it submitted stays. Of a node that was
    invited and never came, the invitation is withdrawn.
    """
    from spectra.model.nodes import NodeRecord

    with Machine.of(context).client(notify=note) as client:
        if not yes:
            _confirm(name)
        _print(client.post(path(name, "/revoke"), NodeRecord, {"reason": reason}), json)


def _confirm(name: str) -> None:
    if not sys.stdin.isatty():
        raise BadRequest("revoking cannot be undone", field="yes", hint="Say --yes.")
    if not typer.confirm(f"Throw {text(name).plain} out for good?", err=True):
        raise typer.Exit(1)


def drain(context: typer.Context, *, name: NameArgument, json: JsonOption = False) -> None:
    """Give a machine nothing new, for maintenance: what it scans it brings to an end, and then it is idle."""
    _drain(context, name, "/drain", json)


def undrain(context: typer.Context, *, name: NameArgument, json: JsonOption = False) -> None:
    """Give a drained machine work again."""
    _drain(context, name, "/undrain", json)


def _drain(context: typer.Context, name: str, verb: str, json: bool) -> None:
    from spectra.cli.jobpage import worker_columns
    from spectra.model.work import WorkerRecord

    with Machine.of(context).client(notify=note) as client:
        worker = client.call("POST", path(name, verb), WorkerRecord)
    emit([worker], worker_columns(datetime.now(UTC)), Target.of(json=json))
    if worker.draining and worker.running:
        note(f"It still has {worker.running} to finish: spectra jobs status shows when it is idle.")


def refusals(
    context: typer.Context,
    *,
    kind: Annotated[str, typer.Option("--kind", help="Only of this kind, such as impostor or token_used.")] = "",
    limit: LimitOption = 100,
    json: JsonOption = False,
    csv: CsvOption = False,
    fields: FieldsOption = "",
) -> None:
    """Show what machines tried and were refused: others' names, used tokens, revoked keys; counted, newest first."""
    from spectra.model.joining import RefusalList

    target = Target.of(json=json, csv=csv, fields=fields)
    now = datetime.now(UTC)
    columns: list[Column[RefusalRecord]] = [
        Column("kind", lambda r: r.kind, "refused", style="yellow"),
        Column("who", lambda r: r.who, flexible=True, style="cyan"),
        Column("count", lambda r: r.count, "times", right=True),
        Column("last", lambda r: ago(r.last, now)),
        Column("first", lambda r: ago(r.first, now), style="dim", optional=True),
        Column("detail", lambda r: r.detail, flexible=True, main=True),
    ]
    with Machine.of(context).client(notify=note) as client:
        found = client.get("/v0/nodes/refusals", RefusalList, {"kind": kind, "limit": min(limit, 1000) or 1000})
    finish(emit(found.refusals, columns, target), target, nothing="Nothing was refused.")


node.command(
    "token",
    cls=Command,
    epilog=examples(
        "spectra node token",
        "spectra node token --name attic --ttl 15m",
        "spectra node token --reusable --ttl 7d --json",
    ),
)(token)
node.command(
    "tokens",
    cls=Command,
    epilog=examples("spectra node tokens", "spectra node tokens --all", "spectra node tokens --revoke 3fa4c1d2"),
)(tokens)
node.command("show", cls=Command, epilog=examples("spectra node show attic", "spectra node show attic --json"))(show)
node.command(
    "quarantine", cls=Command, epilog=examples("spectra node quarantine attic --reason 'its disk was swapped'")
)(quarantine)
node.command("release", cls=Command, epilog=examples("spectra node release attic"))(release)
node.command("drain", cls=Command, epilog=examples("spectra node drain attic"))(drain)
node.command("undrain", cls=Command, epilog=examples("spectra node undrain attic"))(undrain)
node.command("revoke", cls=Command, epilog=examples("spectra node revoke attic --reason stolen --yes"))(revoke)
node.command(
    "refusals", cls=Command, epilog=examples("spectra node refusals", "spectra node refusals --kind impostor")
)(refusals)
