"""Install naabu and SeaweedFS (`weed`) for the tests that use them: into `.tools/go/bin`, from source.

    python scripts/install_go_tools.py [naabu] [weed]

At pinned versions, whose modules Go's checksum database vouches for, and with Go's ordinary caches, so that only the
first time is long: of one processor two minutes for naabu, which needs a C compiler and libpcap's headers, and eight
minutes for SeaweedFS, which fetches 3.4 GB of modules. What is there in the right version stays. Where something cannot
be had it says why and ends with 0: the tests are skipped then. `--require` makes that an error.

SeaweedFS replaces a module in its go.mod, which `go install` refuses: each is built in its own module's folder.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from install_step import TOOLS, Unavailable, go_of

WITHIN_S = 30 * 60.0


class Program(NamedTuple):
    """A main package, the version of its module, and whether it needs a C compiler."""

    name: str
    module: str
    version: str
    package: str
    cgo: bool


PROGRAMS = (
    Program("naabu", "github.com/projectdiscovery/naabu/v2", "v2.3.5", "./cmd/naabu", cgo=True),
    Program("weed", "github.com/seaweedfs/seaweedfs", "v0.0.0-20261109003541-7506e5f91cd6", "./weed", cgo=False),
)


def note(program: Program) -> Path:
    """A file beside the program that says its version: no program tells it as Go does."""
    return TOOLS / "bin" / f".{program.name}.version"


def installed(program: Program) -> bool:
    """Whether it is there in the version that is wanted."""
    path = TOOLS / "bin" / program.name
    return os.access(path, os.X_OK) and note(program).exists() and note(program).read_text("utf-8") == program.version


def run(command: Sequence[str | Path], folder: Path, cgo: bool, deadline: float, what: str) -> str:
    """What a command of Go says. Raises `Unavailable`, and leaves no compiler behind."""
    environment = os.environ | {"CGO_ENABLED": str(int(cgo)), "GOTOOLCHAIN": "local", "GO111MODULE": "on"}
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        said, errors = process.communicate(timeout=max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{what} takes too long") from None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    if process.returncode:
        last = "\n".join(f"{said}\n{errors}".strip().splitlines()[-5:])
        raise Unavailable(f"{what} failed:\n{last}")
    return said


def build(go: str, program: Program, deadline: float) -> None:
    """Fetch and compile; it appears in its place when it is whole. Raises `Unavailable`."""
    title = f"{program.name} {program.version}"
    with tempfile.TemporaryDirectory(prefix="spectra-go-") as name:
        wanted = f"{program.module}@{program.version}"
        said = run([go, "mod", "download", "-json", wanted], Path(name), program.cgo, deadline, f"fetching {title}")
        source, built = Path(json.loads(said)["Dir"]), Path(name) / program.name
        command = [go, "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", built, program.package]
        run(command, source, program.cgo, deadline, f"building {title}")
        (TOOLS / "bin").mkdir(parents=True, exist_ok=True)
        part = TOOLS / "bin" / f".{program.name}.part"
        shutil.move(built, part)
        part.replace(TOOLS / "bin" / program.name)
        note(program).write_text(program.version, "utf-8")


def stop(number: int, frame: object) -> None:
    """A signal ends it in order: what it started ends, too."""
    raise Unavailable("it was asked to end")


def main() -> int:
    """Exit code."""
    names = [program.name for program in PROGRAMS]
    parser = argparse.ArgumentParser(description="Install naabu and SeaweedFS for the tests, into .tools/go/bin.")
    parser.add_argument("programs", nargs="*", default=names, metavar="PROGRAM", help=f"{', '.join(names)}: all")
    parser.add_argument("--require", action="store_true", help="fail where they cannot be had")
    parser.add_argument("--within", type=float, default=WITHIN_S, metavar="SECONDS", help="give up after that")
    asked = parser.parse_args()
    if unknown := set(asked.programs) - set(names):
        parser.error(f"{', '.join(sorted(unknown))}: not one of {', '.join(names)}")
    signal.signal(signal.SIGTERM, stop)
    deadline, failed = time.monotonic() + asked.within, 0
    for program in PROGRAMS:
        if program.name not in asked.programs or installed(program):
            continue
        try:
            go = go_of()
            sys.stdout.write(f"Building {program.name} {program.version} with {go}\n")
            sys.stdout.flush()
            build(go, program, deadline)
        except Unavailable as why:
            sys.stdout.write(f"No {program.name}, its tests are skipped: {why}\n")
            failed = 1
        else:
            sys.stdout.write(f"{program.name} is in {TOOLS / 'bin'}\n")
    return failed if asked.require else 0


if __name__ == "__main__":
    raise SystemExit(main())
