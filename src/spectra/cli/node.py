"""`spectra up`, `down` and `status`: the server of this machine."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spectra.cli.background import begin, until
from spectra.cli.help import JsonOption, examples
from spectra.cli.local import Machine
from spectra.cli.output import json_line, note
from spectra.cli.problems import Unreachable
from spectra.cli.safe import safe
from spectra.cli.setuplink import say_setup, setup_link
from spectra.cli.times import ago
from spectra.errors import SetupError, SpectraError

if TYPE_CHECKING:
    from spectra.cli.answers import Status
    from spectra.engines.lifecycle import RunState
    from spectra.model.registration import MeshStatus
    from spectra.settings import Settings

READY_WITHIN_S = 90.0

DataDirOption = Annotated[
    Path | None, typer.Option("--data-dir", metavar="DIR", help="The node's folder, instead of the settings'.")
]


def _machine(context: typer.Context, data_dir: Path | None) -> Machine:
    machine = Machine.of(context)
    return Machine(server=machine.server, data_dir=data_dir) if data_dir else machine


def up(
    context: typer.Context,
    *,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return when it is ready; it keeps running.")] = False,
    port: Annotated[int, typer.Option("--port", min=-1, max=65535, help="Listen there; 0 picks a free port.")] = -1,
    data_dir: DataDirOption = None,
) -> None:
    """Start Spectra: its database, its API and its workflows, until Ctrl-C or `spectra down`."""
    from spectra.engines.lifecycle import running_state

    settings = _machine(context, data_dir).settings
    if port >= 0:
        settings = settings.model_copy(update={"api": settings.api.model_copy(update={"port": port})})
    if state := running_state(settings.data_dir):
        if not detach:
            raise SetupError(f"Spectra already runs at {state.url} (pid {state.pid})", hint="Stop it: spectra down")
        _say_detached(state.url, settings, "It was running already")
        return
    if detach:
        _say_detached(_start_detached(settings), settings, "It runs on in the background")
        return
    raise typer.Exit(_serve(settings))


UP_EXAMPLES = examples("spectra up --detach", "spectra up --port 9000 --data-dir ./node")


def _serve(settings: Settings) -> int:
    gc.disable()  # half a million objects that stay to the end: looking through them took a fifth of this import
    try:
        from spectra import app  # the composition root: only `up` reaches it

        gc.freeze()
    finally:
        gc.enable()

    def ready(url: str, setup_link: Callable[[], str]) -> None:
        _say_ready(url, settings, "Ctrl-C ends it")
        if is_seen():
            say_setup(setup_link())

    return app.serve(settings, ready=ready)


def _say_ready(url: str, settings: Settings, how: str) -> None:
    sys.stdout.write(f"{url}\n")
    sys.stdout.flush()
    note(f"Spectra is ready, its data is in {settings.data_dir}. {how}; `spectra down` stops it.")


def _say_detached(url: str, settings: Settings, how: str) -> None:
    """The same by another process, which has to ask for the link."""
    _say_ready(url, settings, how)
    if is_seen():
        try:
            say_setup(setup_link(Machine(data_dir=settings.data_dir)))
        except SpectraError as error:  # it runs all the same
            note(f"Whether a first account is to be made cannot be told: {error.message}")


def is_seen() -> bool:
    """Whether a person reads standard error: what lets somebody in is not for a log."""
    return sys.stderr.isatty()


def _start_detached(settings: Settings) -> str:
    """Start `spectra up` as a session of its own and wait until it is ready; returns its URL."""
    from spectra.engines.lifecycle import running_state

    call = [sys.executable, "-m", "spectra", "up", "--port", str(settings.api.port)]
    call += ["--data-dir", str(settings.data_dir)]
    started = begin(call, settings.data_dir / "log" / "spectra.log", "Spectra")

    def url() -> str | None:
        state = running_state(settings.data_dir)
        return state.url if state and state.pid == started.process.pid and is_ready(state.url) else None

    return until(started, url, READY_WITHIN_S)


def is_ready(url: str) -> bool:
    """Whether the server at `url` says that it is ready."""
    import httpx

    try:
        return httpx.get(f"{url}/health/ready", timeout=2.0, trust_env=False).is_success
    except (httpx.HTTPError, httpx.InvalidURL):
        return False


def down(
    context: typer.Context,
    *,
    timeout: Annotated[float, typer.Option("--timeout", min=0, help="Longest wait, in seconds.")] = 30.0,
    data_dir: DataDirOption = None,
) -> None:
    """Stop the Spectra of this machine; what it accepted is kept and finished at the next start."""
    from spectra.engines.lifecycle import stop

    settings = _machine(context, data_dir).settings
    outcome = stop(settings.data_dir, timeout)
    if outcome == "timeout":
        raise SpectraError(
            f"Spectra is still stopping after {timeout:g} s", hint="Wait for it, or look at its log.", reason="timeout"
        )
    note("Spectra has stopped." if outcome == "stopped" else "Spectra is not running.")


def status(context: typer.Context, *, json: JsonOption = False, data_dir: DataDirOption = None) -> None:
    """Show whether Spectra runs, where, and what it holds; exits with 3 if it does not run."""
    from spectra.cli.answers import Status
    from spectra.engines.lifecycle import running_state

    machine = _machine(context, data_dir)
    remote = bool(machine.server or machine.settings.server)
    state = None if remote else running_state(machine.settings.data_dir)
    if not remote and state is None:
        _not_running(machine.settings, json)
    try:
        with machine.client(attempts=1) as client:
            answer = client.get("/v0/status", Status)
            url = client.url
    except Unreachable as error:
        if json:
            sys.stdout.write(json_line({"running": state is not None, "reachable": False}) + "\n")
        hint = f"The process {state.pid} runs but does not answer; look at its log." if state else error.hint
        raise Unreachable(error.message, hint=hint) from error
    if json:
        sys.stdout.write(json_line(_status_json(answer, url, state)) + "\n")
    else:
        _print_status(answer, url, state)


def _not_running(settings: Settings, json: bool) -> None:
    if json:
        sys.stdout.write(json_line({"running": False, "data_dir": str(settings.data_dir)}) + "\n")
    raise Unreachable(
        f"Spectra is not running for {settings.data_dir}",
        hint="Start it with `spectra up --detach`, or name its folder with --data-dir.",
    )


def _status_json(answer: Status, url: str, state: RunState | None) -> dict[str, Any]:
    import msgspec

    head: dict[str, Any] = {"running": True, "url": url} | ({"pid": state.pid} if state else {})
    return head | msgspec.to_builtins(answer)


def _print_status(answer: Status, url: str, state: RunState | None) -> None:
    from rich.text import Text

    from spectra.cli.output import console

    counts, chain, database = answer.counts, answer.chain, answer.database
    rows = [
        ("server", f"{url}  version {answer.version}" + (f", pid {state.pid}" if state else "")),
        ("started", ago(answer.started, datetime.now(UTC))),
        ("database", f"{database.kind} PostgreSQL {database.version}, {_restarts(database.restarts)}"),
        ("graph", f"{counts.hosts:,} hosts, {counts.endpoints:,} endpoints, {counts.services:,} services"),
        ("", f"{counts.certificates:,} certificates from {counts.observations:,} observations"),
        ("provenance", f"{chain.entries:,} entries, head {chain.head[:16]}"),
        *_mesh_rows(answer.mesh),
    ]
    screen = console()
    screen.print(Text(" ● Spectra is running", style="green"))
    for name, value in rows:
        line = Text.assemble((f"   {name:<11}", "dim"), safe(value))
        line.truncate(screen.width, overflow="ellipsis")
        screen.print(line)


def _mesh_rows(mesh: MeshStatus | None) -> list[tuple[str, str]]:
    if mesh is None:
        return []
    fabric = ", ".join(url for url in (mesh.nats, mesh.mqtt) if url)
    rows = [("mesh", f"{mesh.name}, machines join at {mesh.url}")]
    return [*rows, ("", f"messages by {fabric}")] if fabric else rows


def _restarts(count: int) -> str:
    return "never restarted" if not count else f"restarted {count} time{'s' if count > 1 else ''}"
