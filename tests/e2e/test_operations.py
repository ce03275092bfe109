"""The handbook's commands, run as they are printed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from spectra.engines.binaries import installed_tree

ROOT = Path(__file__).parents[2]
HANDBOOK = ROOT / "docs" / "operations.md"
BIN = Path(sys.executable).parent
TRIED = re.compile(r"<!-- tried: (?P<name>[a-z]+) -->\n```sh\n(?P<script>.*?)```", re.DOTALL)

pytestmark = [pytest.mark.e2e, pytest.mark.engine, pytest.mark.slow]


def scripts() -> dict[str, str]:
    """The handbook's tried blocks by name."""
    return {found["name"]: found["script"] for found in TRIED.finditer(HANDBOOK.read_text("utf-8"))}


class Place:
    """A folder that PostgreSQL's user can pass through, with an environment in which `spectra` is this checkout's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "node"
        self.backup = folder / "backup"
        own = {name: value for name, value in os.environ.items() if not name.startswith("SPECTRA_")}
        self.environment = own | {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "XDG_CONFIG_HOME": str(folder / "config"),
            "SPECTRA_API__PORT": "0",
            "SPECTRA_DATA_DIR": str(self.data),
            "DATA": str(self.data),
            "BACKUP": str(self.backup),
            "PG": str(installed_tree() / "bin"),
        }

    def run(self, *command: str) -> str:
        """Run a command to its end; returns its standard output, fails with all of its output."""
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def host(self) -> object:
        """One host with its whole history, as the node tells it."""
        return json.loads(self.run("spectra", "host", "192.0.2.10", "--history", "--json"))


@pytest.fixture
def place() -> Iterator[Place]:
    """A place whose node is stopped and whose files are removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="spectra-e2e-"))
    folder.chmod(0o755)
    place = Place(folder)
    try:
        yield place
    finally:
        place.run("spectra", "down")
        shutil.rmtree(folder)


def test_what_was_backed_up_comes_back(place: Place) -> None:
    """Backup, loss of the whole data folder, restore: the same history, the same head, and the chain holds in depth."""
    place.run("spectra", "up", "--detach")
    place.run("spectra", "import", "samples/day1", "samples/day2")
    before, chain = place.host(), json.loads(place.run("spectra", "provenance", "show", "--json"))
    place.run("sh", "-ec", scripts()["backup"])
    place.run("spectra", "down")
    shutil.rmtree(place.data)

    said = place.run("sh", "-ec", scripts()["restore"])

    assert "intact" in said
    assert place.host() == before
    assert json.loads(place.run("spectra", "provenance", "show", "--json"))["head"] == chain["head"]
    # And the node goes on: what it has is known, with the key it had.
    place.run("spectra", "import", "samples/day1")
    place.run("spectra", "provenance", "verify")


def test_the_demo_answers_and_leaves_nothing(tmp_path: Path) -> None:
    """`make demo`'s script runs to its end, shows the upgrade and the port that went, and its folder is gone."""
    done = subprocess.run(
        [sys.executable, "scripts/demo.py"],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": "/tmp", "XDG_CONFIG_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no process and no file is left" in done.stdout
    assert "6379/tcp" in done.stdout
    assert "intact:" in done.stdout
    folder = re.search(r"its data is in (\S+)/node", done.stdout)
    assert folder
    assert not Path(folder[1]).exists()
