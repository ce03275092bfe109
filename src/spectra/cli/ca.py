"""`spectra ca`: the authority that issues the nodes' certificates."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from spectra.cli.help import JsonOption, examples
from spectra.cli.local import Machine
from spectra.cli.output import Column, Target, emit, json_line, note, plural, text
from spectra.cli.pages import Command, Group
from spectra.cli.times import ago, stamp
from spectra.errors import BadRequest

if TYPE_CHECKING:
    from spectra.cli.client import Client
    from spectra.model.joining import AuthorityRecord, RootRecord
    from spectra.model.nodes import NodeRecord

ca = typer.Typer(cls=Group, help="The authority that issues the nodes' certificates, and its roots.")
_PATH = "/v0/nodes/ca"
_NAMED = 10


def _print(found: AuthorityRecord, json: bool) -> None:
    if json:
        sys.stdout.write(json_line(found) + "\n")
        return
    now = datetime.now(UTC)
    columns: list[Column[RootRecord]] = [
        Column("fingerprint", lambda r: r.fingerprint, "root", style="cyan", flexible=True, main=True),
        Column("current", lambda r: text("signs", "green") if r.current else text("trusted", "dim"), "is"),
        Column("not_before", lambda r: ago(r.not_before, now), "made", style="dim"),
        Column("not_after", lambda r: stamp(r.not_after), "until"),
    ]
    emit(found.roots, columns, Target())


def fingerprint(context: typer.Context, *, json: JsonOption = False) -> None:
    """Print the SHA-256 of the root certificate, which `step ca bootstrap --fingerprint` asks for.

    Join tokens carry it already. With --json also the mesh's name, the CA's address and every root that is trusted.
    """
    with Machine.of(context).client(notify=note) as client:
        found = _authority(client)
    if json:
        _print(found, json)
        return
    sys.stdout.write(found.fingerprint + "\n")
    others = len(found.roots) - 1
    if others > 0:
        note(f"{plural(others, 'former root')} still trusted: spectra ca retire, once every node has renewed.")


def _authority(client: Client) -> AuthorityRecord:
    from spectra.model.joining import AuthorityRecord

    return client.get(_PATH, AuthorityRecord)


def rotate(context: typer.Context, *, json: JsonOption = False) -> None:
    """Put a new root in the place of the CA's: certificates are issued under it from now on.

    Nothing stops meanwhile: the old root vouches for the new one, and both are trusted until the old is retired. Nodes
    learn of the new one when they renew, within a day.
    """
    from spectra.model.joining import AuthorityRecord

    with Machine.of(context).client(notify=note) as client:
        _print(client.call("POST", f"{_PATH}/rotate", AuthorityRecord), json)
    note("Once every node has renewed: spectra ca retire")


def retire(
    context: typer.Context,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: JsonOption = False,
) -> None:
    """Trust the newest root alone: the end of a rotation.

    A node that has not renewed since is let in no more and has to join again; it asks before it does that to one.
    """
    from spectra.model.joining import AuthorityRecord

    with Machine.of(context).client(notify=note) as client:
        late = _late(client)
        if late and not yes:
            _confirm(late)
        _print(client.call("POST", f"{_PATH}/retire", AuthorityRecord), json)


def _late(client: Client) -> list[str]:
    """The nodes whose certificate is older than the root that signs now."""
    from spectra.cli.paging import Paged
    from spectra.model.joining import NodePage

    current = next((root for root in _authority(client).roots if root.current), None)
    pages: Paged[NodePage, NodeRecord] = Paged(
        client, "/v0/nodes", NodePage, lambda page: page.nodes, params={}, limit=0
    )
    return [
        node.name
        for node in pages
        if current
        and node.standing != "revoked"
        and node.certificate
        and node.certificate.not_before < current.not_before
    ]


def _confirm(late: list[str]) -> None:
    names = ", ".join(late[:_NAMED]) + (", ..." if len(late) > _NAMED else "")
    note(f"{plural(len(late), 'node has', 'nodes have')} not renewed since the rotation: {names}")
    if not sys.stdin.isatty():
        raise BadRequest("they would have to join again", field="yes", hint="Wait until they have, or say --yes.")
    if not typer.confirm("Retire the old root all the same?", err=True):
        raise typer.Exit(1)


ca.command("fingerprint", cls=Command, epilog=examples("spectra ca fingerprint", "spectra ca fingerprint --json"))(
    fingerprint
)
ca.command("rotate", cls=Command, epilog=examples("spectra ca rotate"))(rotate)
ca.command("retire", cls=Command, epilog=examples("spectra ca retire", "spectra ca retire --yes"))(retire)
