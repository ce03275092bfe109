"""The page on the command line cannot lie."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def test_the_page_is_what_the_program_says() -> None:
    """`docs/cli.md` is the output of `python -m spectra.cli.docs`, whatever the terminal."""
    env = {**os.environ, "COLUMNS": "60", "FORCE_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "spectra.cli.docs"], capture_output=True, text=True, env=env, check=True
    )
    assert done.stdout == PAGE.read_text(encoding="utf-8"), "run: python -m spectra.cli.docs > docs/cli.md"


def test_every_command_has_an_example() -> None:
    """Each command's page ends with a whole call."""
    sections = PAGE.read_text(encoding="utf-8").split("\n## `spectra`")[1].split("\n##")[1:]
    for section in sections:
        name = section.splitlines()[0].strip("#` ")
        if "COMMAND [ARGS]" not in section:
            assert f"$ {name}" in section or f"| {name}" in section, name
