"""Install smallstep's `step` and `step-ca` for the tests that put them against Spectra: into `.tools/go/bin`.

    python scripts/install_step.py

Built from source by `go install` at pinned versions, whose modules Go's checksum database vouches for; without cgo and
without databases and key stores that no test uses. That takes two and a half minutes of one processor, once: what is
there in the right version stays. Where there is no Go, or nothing can be fetched, it says why and ends with 0: the
tests are skipped then. `--require` makes that an error.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

TOOLS = Path(__file__).parents[1] / ".tools" / "go"
WITHIN_S = 20 * 60.0
OLDEST_GO = (1, 21)  # from here on Go fetches the version that a module asks for


class Program(NamedTuple):
    """A main package and the version of its module."""

    name: str
    module: str
    version: str
    variable: str  # where it keeps its version


PROGRAMS = (
    Program("step", "github.com/smallstep/cli", "v0.30.2", "main.Version"),
    Program("step-ca", "github.com/smallstep/certificates", "v0.30.2", "main.Version"),
)
# One set for both, so that what they share is compiled once.
TAGS = "nobadger,nopgx,nomysql,noazurekms,notpmkms"


class Unavailable(Exception):
    """What keeps this machine from having the programs."""


def installed(program: Program) -> bool:
    """Whether it is there in the version that is wanted."""
    path = TOOLS / "bin" / program.name
    if not os.access(path, os.X_OK):
        return False
    try:
        done = subprocess.run([path, "version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return f"/{program.version.removeprefix('v')} " in done.stdout


def go_of() -> str:
    """The Go that can build them. Raises `Unavailable`."""
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin:/usr/lib/go/bin")
    if go is None:
        raise Unavailable("there is no Go on this machine")
    said = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, timeout=30, check=False).stdout
    found = re.match(r"go(\d+)\.(\d+)", said)
    if found is None or (int(found[1]), int(found[2])) < OLDEST_GO:
        raise Unavailable(f"its Go is {said.strip() or 'unusable'}; 1.21 or later is needed")
    return go


def build(go: str, program: Program, within_s: float) -> None:
    """Compile and install. Everything else that Go writes is below `TOOLS` too. Raises `Unavailable`."""
    flags = f"{os.environ.get('GOFLAGS', '')} -modcacherw".strip()  # so that it can be removed
    own = {"GOBIN": TOOLS / "bin", "GOPATH": TOOLS / "work", "GOCACHE": TOOLS / "work" / "cache"}
    environment = os.environ | {k: str(v) for k, v in own.items()} | {"GOFLAGS": flags, "CGO_ENABLED": "0"}
    linked = f"-s -w -X {program.variable}={program.version.removeprefix('v')}"
    package = f"{program.module}/cmd/{program.name}@{program.version}"
    command = [go, "install", "-trimpath", "-tags", TAGS, "-ldflags", linked, package]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        said, _ = process.communicate(timeout=max(0.0, within_s))
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # the compilers it started, too
        process.communicate()
        raise Unavailable(f"building {program.name} takes too long") from None
    if process.returncode:
        last = "\n".join(said.splitlines()[-5:])
        raise Unavailable(f"building {program.name} {program.version} failed:\n{last}")


def install(within_s: float) -> None:
    """Build what is missing. Raises `Unavailable`."""
    missing = [program for program in PROGRAMS if not installed(program)]
    if not missing:
        return
    go, deadline = go_of(), time.monotonic() + within_s
    for program in missing:
        sys.stdout.write(f"Building {program.name} {program.version} with {go}\n")
        sys.stdout.flush()
        build(go, program, deadline - time.monotonic())
        if not installed(program):
            raise Unavailable(f"{program.name} was built and does not say that it is {program.version}")
    shutil.rmtree(TOOLS / "work", ignore_errors=True)  # 1.3 GB that nothing needs any more


def main() -> int:
    """Exit code."""
    parser = argparse.ArgumentParser(description="Install step and step-ca for the tests, into .tools/go/bin.")
    parser.add_argument("--require", action="store_true", help="fail where they cannot be had")
    parser.add_argument("--within", type=float, default=WITHIN_S, metavar="SECONDS", help="give up after that")
    asked = parser.parse_args()
    try:
        install(asked.within)
    except Unavailable as why:
        sys.stdout.write(f"No step and step-ca, their tests are skipped: {why}\n")
        return 1 if asked.require else 0
    sys.stdout.write(f"step and step-ca are in {TOOLS / 'bin'}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
