"""The process of a node's agent: `python -P -m spectra.cli.agentmain FOLDER LAUNCH`.

`spectra node run` becomes this process, so that what only a command line needs (its settings, its parser) takes no
memory on a small board.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
from collections.abc import Generator, Sequence
from pathlib import Path
from types import FrameType
from typing import Final, Literal

import msgspec

from spectra import __version__, logs
from spectra.cli.problems import report
from spectra.collect.agent import Agent, Options, place_of, speaks
from spectra.collect.linking import connect
from spectra.collect.measuring import measure
from spectra.collect.proving import prover
from spectra.engines.lifecycle import RunState, remove_state, write_state
from spectra.engines.locks import FolderLock
from spectra.errors import SetupError, SpectraError
from spectra.fabric.errors import MeshError
from spectra.fabric.nodefolder import NodeFolder, NodeState

REVOKED: Final = 77
"""The exit code of an agent whose node was thrown out (EX_NOPERM of sysexits.h): starting it again is no use."""

_LOCK: Final = "agent.lock"


class Launch(msgspec.Struct, frozen=True):
    """What an agent is started with; it reads no settings itself."""

    options: Options
    configuration: str = ""
    """The hash of the settings in force, for the proofs of this machine's state."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "text"] = "auto"


def call(folder: Path, launch: Launch) -> list[str]:
    """The command line of an agent. `-P`: what lies in the working folder is not imported."""
    return [sys.executable, "-P", "-m", "spectra.cli.agentmain", str(folder), msgspec.json.encode(launch).decode()]


@contextlib.contextmanager
def alone(folder: Path) -> Generator[None]:
    """Held by whoever changes a node's folder; `SetupError` naming the process that does already."""
    lock = FolderLock(folder / _LOCK, "The node's folder")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock.acquire()
    except OSError as error:
        raise SetupError(f"cannot use {folder}: {error.strerror}.", hint="Whose folder is it?") from error
    except SetupError as error:
        raise SetupError(
            error.message, hint="That is its agent, or a join: `spectra node stop` ends an agent."
        ) from error
    try:
        yield
    finally:
        lock.release()


def able(state: NodeState) -> NodeState:
    """The state of a node that may work. Raises `MeshError` for one that was thrown out or has not joined for good."""
    if state.revoked is not None:
        raise Revoked(
            f"{state.name} was thrown out of {state.mesh} ({state.revoked:%Y-%m-%d %H:%M} UTC).",
            hint="Its operator may invite this machine again; then join with the new token.",
        )
    if not state.registered:
        raise MeshError(
            "this machine has a certificate but is not registered yet.",
            reason="not_registered",
            hint="Go on with `spectra join`, without a token.",
        )
    return state


class Revoked(MeshError):
    """The mesh threw this node out."""

    reason = "revoked"


def main(words: Sequence[str]) -> int:
    """Run the agent of a folder; the exit code."""
    folder = NodeFolder(Path(words[0]))
    launch = msgspec.json.decode(words[1], type=Launch)
    logs.configure(launch)
    try:
        with alone(folder.path):
            return _run(folder, launch)
    except Revoked as error:
        report(error, sys.stderr)
        return REVOKED
    except SpectraError as error:
        return report(error, sys.stderr)


def _run(folder: NodeFolder, launch: Launch) -> int:
    state, options = able(folder.state), launch.options
    prove = prover(options.tpm, lambda: measure(launch.configuration))
    agent = Agent(folder, options, connect, prove=prove)

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        agent.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    place = place_of(state.fabric, speaks(state.fabric, options.transport))
    write_state(folder.path, RunState.of_this_process(place, __version__))
    logging.getLogger("spectra.node").info("%s of %s is at work", state.name, state.mesh)
    try:
        ending = agent.run()
    finally:
        remove_state(folder.path)
    if ending == "revoked":
        raise Revoked(
            f"the mesh threw this node out: {agent.why}",
            hint="Its operator may invite this machine again; then join with the new token.",
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
