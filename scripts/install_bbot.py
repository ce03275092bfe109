"""Install BBOT for the tests that scan with it: into an environment of its own, `.tools/bbot`.

    python scripts/install_bbot.py

By the uv of `make install`, in a pinned version and from the quarantine of pyproject.toml; some 160 MB and a quarter of
a minute. What is there in the right version stays. Where it cannot be had it says why and ends with 0: the tests are
skipped then. `--require` makes that an error.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLACE = ROOT / ".tools" / "bbot"
VERSION = "3.0.2"
WITHIN_S = 5 * 60.0

_ASK = "import importlib.metadata as m; print(m.version('bbot'))"


class Unavailable(Exception):
    """What keeps this machine from having it."""


def installed() -> bool:
    """Whether it is there in the version that is wanted."""
    python = PLACE / "bin" / "python"
    if not os.access(python, os.X_OK):
        return False
    done = subprocess.run([python, "-I", "-c", _ASK], capture_output=True, text=True, timeout=60, check=False)
    return done.stdout.strip() == VERSION


def _serves(python: Path) -> bool:
    """Whether it is new enough for BBOT 3."""
    if not os.access(python, os.X_OK):
        return False
    ask = "import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))"
    return subprocess.run([python, "-I", "-c", ask], timeout=60, check=False).returncode == 0


def install(within_s: float) -> None:
    """Make the environment anew. Raises `Unavailable`."""
    if installed():
        return
    uv = ROOT / ".tools" / "bin" / "uv"
    if not uv.exists():
        raise Unavailable("there is no uv in .tools: make install")
    until = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["uv"]["exclude-newer"]
    # The system's own Python, if it can: scanners run as a user who need not be able to enter where ours is from.
    own = next((path for path in map(Path, ("/usr/bin/python3", "/usr/local/bin/python3")) if _serves(path)), None)
    python = PLACE / "bin" / "python"
    shutil.rmtree(PLACE, ignore_errors=True)
    for command in (
        [uv, "venv", "--quiet", "--python", own or uv.parent / "python", PLACE],
        [uv, "pip", "install", "--quiet", "--python", python, "--exclude-newer", until, f"bbot=={VERSION}"],
    ):
        environment = os.environ | {"UV_COMPILE_BYTECODE": "false"}  # of its 160 MB few are ever imported
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=within_s, check=False, env=environment
            )
        except subprocess.TimeoutExpired:
            raise Unavailable("installing it takes too long") from None
        if done.returncode:
            raise Unavailable(f"installing it failed:\n{done.stderr.strip()[-1000:]}")
    if not installed():
        raise Unavailable(f"it was installed and does not say that it is {VERSION}")


def main() -> int:
    """Exit code."""
    parser = argparse.ArgumentParser(description="Install BBOT for the tests, into .tools/bbot.")
    parser.add_argument("--require", action="store_true", help="fail where it cannot be had")
    parser.add_argument("--within", type=float, default=WITHIN_S, metavar="SECONDS", help="give up after that")
    asked = parser.parse_args()
    try:
        install(asked.within)
    except Unavailable as why:
        sys.stdout.write(f"No BBOT, its tests are skipped: {why}\n")
        return 1 if asked.require else 0
    sys.stdout.write(f"BBOT {VERSION} is in {PLACE}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
