"""`spectra node run`, `stop`, `status`, `renew`, `needs-renewal`, `leave` and `discover`: this machine as a node.

They work from the node's folder alone: no server of this machine, and no credential.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from spectra.cli.help import JsonOption, examples
from spectra.cli.join import (
    DataDirOption,
    DetachOption,
    become_agent,
    folder_of,
    say_started,
    settings_of,
    start_detached,
)
from spectra.cli.output import json_line, note
from spectra.cli.pages import Command
from spectra.cli.problems import Code, report
from spectra.cli.safe import safe
from spectra.cli.times import ago
from spectra.errors import SpectraError

if TYPE_CHECKING:
    from spectra.collect.agentstate import AgentState
    from spectra.collect.workstate import WorkState
    from spectra.engines.lifecycle import RunState
    from spectra.fabric.discovery import Found
    from spectra.fabric.nodefolder import NodeFolder, NodeState

STOP_WITHIN_S: Final = 30.0
# What `step certificate needs-renewal` exits with, so that units and scripts made for it go on working.
NEEDS, FRESH, NO_CERTIFICATE, UNTOLD = 0, 1, 2, 255


def run(context: typer.Context, *, detach: DetachOption = False, data_dir: DataDirOption = None) -> None:
    """Run this machine's agent until Ctrl-C: heartbeats, renewals, work. Ends with 77 once the mesh threw it out."""
    from spectra.cli.agentmain import REVOKED, Revoked

    settings = settings_of(context, data_dir)
    folder = folder_of(settings)
    try:
        if detach:
            say_started(start_detached(settings, folder))
        else:
            become_agent(settings, folder)
    except Revoked as error:
        report(error, sys.stderr)
        raise typer.Exit(REVOKED) from error


def stop(context: typer.Context, *, data_dir: DataDirOption = None) -> None:
    """Stop this machine's agent; it says good-bye to the mesh and stays a member."""
    note("The agent has stopped." if _stop(folder_of(settings_of(context, data_dir))) else "No agent runs.")


def _stop(folder: NodeFolder) -> bool:
    """End the agent; whether one ran."""
    from spectra.engines.lifecycle import stop

    outcome = stop(folder.path, STOP_WITHIN_S)
    if outcome == "timeout":
        raise SpectraError(f"the agent is still stopping after {STOP_WITHIN_S:g} s", reason="timeout")
    return outcome == "stopped"


def renew(
    context: typer.Context,
    *,
    if_needed: Annotated[bool, typer.Option("--if-needed", help="Only if two thirds of its life are over.")] = False,
    data_dir: DataDirOption = None,
) -> None:
    """Renew this node's certificate now; an agent that runs takes it up within a minute."""
    from spectra.fabric import enrol

    folder = folder_of(settings_of(context, data_dir))
    now = datetime.now(UTC)
    if if_needed and not _is_due(folder, now):
        note(f"Not needed yet: the certificate holds until {_second(folder.certificate.not_valid_after_utc)}.")
        return
    leaf = enrol.renew(folder, now)
    enrol.refresh_roots(folder, now)
    note(f"Renewed: the certificate holds until {_second(leaf.not_valid_after_utc)}.")


def needs_renewal(context: typer.Context, *, data_dir: DataDirOption = None) -> None:
    """Tell by the exit code whether the certificate is due: 0 yes, 1 no, 2 there is none, 255 it cannot be told."""
    from spectra.fabric.nodefolder import NotJoined

    try:
        folder = folder_of(settings_of(context, data_dir))
        code = NEEDS if _is_due(folder, datetime.now(UTC)) else FRESH
    except NotJoined as error:
        note(safe(error.message))
        code = NO_CERTIFICATE
    except SpectraError as error:
        note(safe(error.message))
        code = UNTOLD
    raise typer.Exit(code)


def _is_due(folder: NodeFolder, now: datetime) -> bool:
    from spectra.identity.renewal import needs_renewal

    leaf = folder.certificate
    return needs_renewal(leaf.not_valid_before_utc, leaf.not_valid_after_utc, str(leaf.serial_number), now)


def leave(
    context: typer.Context,
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Forget the mesh even where it cannot be told; revoke this node there.")
    ] = False,
    data_dir: DataDirOption = None,
) -> None:
    """Leave the mesh for good: the agent ends, the mesh revokes this node's keys, and they are removed here."""
    from spectra.fabric import enrol
    from spectra.fabric.errors import MeshError

    folder = folder_of(settings_of(context, data_dir))
    state = folder.state
    _stop(folder)
    try:
        if state.registered and state.revoked is None:
            enrol.leave(folder, datetime.now(UTC))
    except MeshError as error:
        if not (force or enrol.is_revoked(error)):
            raise type(error)(
                f"the mesh was not told: {error.message}",
                reason=error.reason,
                hint="Try again, or forget it here with --force and revoke this node at the coordinator.",
            ) from error
        note(safe(error.message))
    folder.forget()
    note(f"This machine is no node of {state.mesh} any more.")


def status(context: typer.Context, *, json: JsonOption = False, data_dir: DataDirOption = None) -> None:
    """Show what this node is, whether its agent runs and reaches the mesh; exits with 3 if it does not run."""
    from spectra.collect.agentstate import read
    from spectra.engines.lifecycle import running_state

    folder = folder_of(settings_of(context, data_dir))
    state, running, told = folder.state, running_state(folder.path), read(folder.path)
    if json:
        sys.stdout.write(json_line(_status_json(folder, state, running, told)) + "\n")
    else:
        _print_status(folder, state, running, told)
    if running is None:
        raise typer.Exit(Code.UNREACHABLE)


def _status_json(
    folder: NodeFolder, state: NodeState, running: RunState | None, told: AgentState | None
) -> dict[str, Any]:
    import msgspec

    leaf = folder.certificate
    head: dict[str, Any] = {"running": running is not None} | ({"pid": running.pid} if running else {})
    dates = {"not_before": leaf.not_valid_before_utc, "not_after": leaf.not_valid_after_utc}
    certificate = {"serial": str(leaf.serial_number), **dates}
    return head | {
        "node": msgspec.to_builtins(state),
        "certificate": msgspec.to_builtins(certificate),
        "agent": msgspec.to_builtins(told) if told else None,
    }


def _print_status(folder: NodeFolder, state: NodeState, running: RunState | None, told: AgentState | None) -> None:
    from rich.text import Text

    from spectra.cli.output import console

    now, leaf = datetime.now(UTC), folder.certificate
    due = " (due for renewal)" if _is_due(folder, now) else ""
    rows = [
        ("node", f"{state.name} of {state.mesh}, {state.role}"),
        ("agent", f"pid {running.pid}, started {ago(running.started, now)}" if running else "does not run"),
        ("mesh", _reached(told, now) if running and told else state.api_url),
        ("standing", _standing(state, told)),
        (
            "certificate",
            f"{'ends' if leaf.not_valid_after_utc > now else 'ended'} {ago(leaf.not_valid_after_utc, now)}{due}",
        ),
    ]
    if told and told.work and running:
        rows += _work_rows(told.work, now)
    if told and told.problem and running:
        rows.append(("problem", told.problem))
    screen = console()
    good = running is not None and told is not None and told.connected and state.revoked is None
    screen.print(Text(" ● This node is up" if good else " ● This node is not up", style="green" if good else "red"))
    for name, value in rows:
        line = Text.assemble((f"   {name:<12}", "dim"), safe(value))
        line.truncate(screen.width, overflow="ellipsis")
        screen.print(line)


def _work_rows(work: WorkState, now: datetime) -> list[tuple[str, str]]:
    """What it scans, and what waits to be brought."""
    busy = f"{len(work.scanning)} of {work.slots} slots taken" + ("" if work.free or work.scanning else ", none free")
    rows = [("work", f"{busy}; {work.done:,} targets done, {work.failed:,} failed")]
    for one in work.scanning:
        rows.append(
            ("scanning", f"{one.what} ({one.preset}), {one.fraction:.0%}, {one.found} found, {ago(one.since, now)}")
        )
    if work.spooled or work.refused:
        full = ", which is all the room there is" if work.spool_full else ""
        aside = f"; {work.refused} refused and set aside" if work.refused else ""
        rows.append(
            ("results", f"{work.spooled} wait to be brought ({work.spooled_bytes / 2**20:.1f} MiB){full}{aside}")
        )
    if work.law < 0:
        rows.append(("law", "the mesh's do-not-scan list is not known yet: nothing is scanned"))
    if work.problem:
        rows.append(("problem", work.problem))
    return rows


def _reached(told: AgentState, now: datetime) -> str:
    since = f", {ago(told.since, now)}" if told.since else ""
    way = f"over {told.transport} at {told.place}" if told.place else "which has no fabric"
    return f"{'reached' if told.connected else 'out of reach'} {way}{since}"


def _standing(state: NodeState, told: AgentState | None) -> str:
    if state.revoked is not None:
        return f"revoked: {told.standing_reason if told else ''}".rstrip(": ")
    if not state.registered:
        return "not registered yet: go on with `spectra join`"
    if told is None or told.standing is None:
        return "not known yet"
    return f"{told.standing}: {told.standing_reason}".rstrip(": ")


def discover(
    *,
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, max=60, help="How long to listen, in seconds.")] = 3.0,
    interface: Annotated[
        list[str] | None, typer.Option("--interface", metavar="IP", help="Only where this machine has this address.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """List the meshes that are announced on this network. What is announced is hearsay: joining takes a token."""
    from spectra.fabric.discovery import browse

    found = browse(timeout, interface or ())
    for one in found:
        sys.stdout.write((json_line(one) if json else _line(one)) + "\n")
    if found:
        note("Joining one takes a token from its operator (`spectra node token`), which names the CA to trust.")
    else:
        note(f"Nothing was heard in {timeout:g} s. Meshes on loopback, and in other networks, are not announced here.")


def _line(one: Found) -> str:
    parts = (one.mesh, one.name, " ".join(one.urls) or "-", f"root {one.fingerprint}...")
    return "  ".join(safe(part) for part in parts)


def _second(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


COMMANDS = (
    ("run", run, examples("spectra node run", "spectra node run --detach")),
    ("stop", stop, examples("spectra node stop")),
    ("status", status, examples("spectra node status", "spectra node status --json")),
    ("renew", renew, examples("spectra node renew", "spectra node renew --if-needed")),
    ("needs-renewal", needs_renewal, examples("spectra node needs-renewal && spectra node renew")),
    ("leave", leave, examples("spectra node leave")),
    ("discover", discover, examples("spectra node discover", "spectra node discover --interface 192.168.1.7 --json")),
)


def add_to(group: typer.Typer) -> None:
    """Add the commands of this file to `spectra node`."""
    for name, function, epilog in COMMANDS:
        group.command(name, cls=Command, rich_help_panel="This machine", epilog=epilog)(function)
