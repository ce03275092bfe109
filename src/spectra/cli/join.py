"""`spectra join`: this machine becomes a node of somebody's mesh."""

from __future__ import annotations

import os
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spectra.cli.help import examples
from spectra.cli.local import Machine
from spectra.cli.output import note
from spectra.errors import BadRequest

if TYPE_CHECKING:
    from spectra.cli.agentmain import Launch
    from spectra.collect.joining import Wishes
    from spectra.collect.taskmessages import Lending
    from spectra.fabric.nodefolder import NodeFolder, NodeState
    from spectra.model.nodes import Transport
    from spectra.settings import Settings

READY_WITHIN_S = 60.0
MAX_TOKEN_CHARS = 8192
MAX_ENTRIES_CHARS = 64 * 1024  # of one argument, of which the kernel takes 128 KiB

DataDirOption = Annotated[
    Path | None, typer.Option("--data-dir", metavar="DIR", help="The folder of this node, instead of the settings'.")
]
DetachOption = Annotated[bool, typer.Option("--detach", "-d", help="Run the agent in the background.")]

JOIN_EXAMPLES = examples(
    "spectra join TOKEN", "spectra join TOKEN --detach --region eu-west", "spectra join - --no-start < token.txt"
)


def settings_of(context: typer.Context, data_dir: Path | None) -> Settings:
    """The settings, with `--data-dir` after the command over the one before it."""
    machine = Machine.of(context)
    return (Machine(data_dir=data_dir) if data_dir else machine).settings


def folder_of(settings: Settings) -> NodeFolder:
    """The folder of this machine's node."""
    from spectra.fabric.nodefolder import NodeFolder

    return NodeFolder(settings.data_dir / "node")


def join(
    context: typer.Context,
    token: Annotated[
        str,
        typer.Argument(
            help="What `spectra node token` printed, or - to read it; left out to go on with a join that broke off."
        ),
    ] = "",
    *,
    name: Annotated[str, typer.Option("--name", help="With a reusable token: what this node is called.")] = "",
    region: Annotated[str, typer.Option("--region", help="Where it is; by default node.region.")] = "",
    transport: Annotated[str, typer.Option("--transport", help="mqtt or nats; by default node.transport.")] = "",
    tpm: Annotated[str, typer.Option("--tpm", help="The TPM that proves its state; by default node.tpm.")] = "",
    no_start: Annotated[bool, typer.Option("--no-start", help="Only join; `spectra node run` starts it.")] = False,
    detach: DetachOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """Join a mesh with a token, then run this machine's agent until Ctrl-C.

    The token names the mesh's CA by its fingerprint: with any other, nothing is sent. A join that broke off after the
    certificate was issued goes on with `spectra join`, without a token.
    """
    from spectra.cli.agentmain import alone
    from spectra.collect.joining import Wishes

    settings = settings_of(context, data_dir)
    folder = folder_of(settings)
    wishes = Wishes(name=name, region=region, transport=_transport(transport), tpm=tpm)
    with alone(folder.path):
        state = _join(settings, folder, _read(token), wishes)
    sys.stdout.write(f"{state.uri}\n")
    sys.stdout.flush()
    note(f"This machine is {state.name} of {state.mesh} now; its keys are in {folder.path}.")
    if no_start:
        note("Start it with `spectra node run --detach`.")
    elif detach:
        say_started(start_detached(settings, folder))
    else:
        note("Its agent runs until Ctrl-C.")
        become_agent(settings, folder)


def _read(word: str) -> str:
    """The token; `-` keeps it from this machine's list of processes."""
    return (sys.stdin.read(MAX_TOKEN_CHARS) if word == "-" else word).strip()


def _transport(word: str) -> Transport | None:
    match word:
        case "mqtt" | "nats":
            return word
        case "":
            return None
        case _:
            raise BadRequest(f"there is no transport {word[:40]!r}", field="transport", hint="Choose mqtt or nats.")


def _join(settings: Settings, folder: NodeFolder, token: str, wishes: Wishes) -> NodeState:
    from spectra.collect.inventory import Inventory
    from spectra.collect.joining import Joining

    own = settings.node
    joining = Joining(folder, now=lambda: datetime.now(UTC), pause=threading.Event().wait, tell=note)
    return joining.join(
        token,
        wishes,
        lambda: Inventory().capabilities(
            region=wishes.region or own.region, relay=own.relay or bool(settings.worker.relays)
        ),
        own.transport,
    )


# --- the agent ---


def launch_of(settings: Settings, state: NodeState) -> Launch:
    """What the agent is started with: what was said when joining, else the settings."""
    from spectra.cli.agentmain import Launch
    from spectra.collect.agent import Options
    from spectra.collect.measuring import configuration_of

    own = settings.node
    options = Options(
        heartbeat_s=own.heartbeat_s,
        region=state.region or own.region,
        relay=bool(settings.worker.relays) or (own.relay if state.relay is None else state.relay),
        transport=state.speaks(own.transport),
        tpm=state.tpm or own.tpm,
        work=lending_of(settings),
    )
    return Launch(options, configuration_of(settings), settings.log.level, settings.log.format)


def lending_of(settings: Settings) -> Lending:
    """What this machine lends to scans. Raises `BadRequest` for a wrong relay, or more entries than an agent takes."""
    from spectra.collect.relays import Relays
    from spectra.collect.taskmessages import Lending
    from spectra.settings import deny_files

    own, scan = settings.worker, settings.scan
    Relays.parse(own.relays)
    if sum(len(entry) for entry in scan.do_not_scan) > MAX_ENTRIES_CHARS:
        raise BadRequest(
            "scan.do_not_scan is too long for an agent",
            field="scan.do_not_scan",
            hint=f"Write its entries into {deny_files()[1]}, one a line.",
        )
    return Lending(
        slots=own.slots,
        user=own.user,
        memory_mb=own.memory_mb,
        cpu_s=own.cpu_s,
        output_mb=own.output_mb,
        spool_mb=own.spool_mb,
        interface=own.interface,
        relays=tuple(own.relays),
        concurrency=scan.concurrency,
        timeout_s=scan.timeout_s,
        never=tuple(scan.do_not_scan),
        never_files=tuple(map(str, deny_files())),
    )


def become_agent(settings: Settings, folder: NodeFolder) -> None:
    """This process is the agent from here on: what only a command line needs takes no memory then."""
    from spectra.cli.agentmain import able, call

    words = call(folder.path, launch_of(settings, able(folder.state)))
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(words[0], words)  # noqa: S606 - a list of ours, no shell


def start_detached(settings: Settings, folder: NodeFolder) -> int:
    """Start the agent as a session of its own; its pid, once it is at work."""
    from spectra.cli.agentmain import able, call
    from spectra.cli.background import begin, until
    from spectra.engines.lifecycle import running_state

    words = call(folder.path, launch_of(settings, able(folder.state)))
    started = begin(words, settings.data_dir / "log" / "node.log", "The agent")

    def pid() -> int | None:
        state = running_state(folder.path)
        return state.pid if state and state.pid == started.process.pid else None

    return until(started, pid, READY_WITHIN_S)


def say_started(pid: int) -> None:
    """Where to look next."""
    note(f"Its agent runs on in the background (pid {pid}): `spectra node status`, `spectra node stop`.")
