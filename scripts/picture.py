"""Draw the README's picture: what `spectra host` prints about a sample host, as an SVG in docs/images/host.svg.

    .venv/bin/python scripts/picture.py

Starts a node of its own in a temporary folder, imports samples/, asks on a pseudo-terminal, and stops it.
"""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "images" / "host.svg"
COLUMNS = 100
CELL = 12.2  # pixels: what rich's export_svg takes for the width of a character
BLANK = "&#160;"
HOST = "192.0.2.10"

# Rich's own template loads a font from elsewhere; a picture in a README loads nothing.
TEMPLATE = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
  font-size: {char_height}px; line-height: {line_height}px; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}<g class="{unique_id}-matrix">{matrix}</g></g>
</svg>
"""


def on_terminal(command: list[str], environment: dict[str, str]) -> str:
    """What `command` prints where it thinks it is on a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, env=environment, stdout=theirs, stderr=subprocess.DEVNULL) as process:
        os.close(theirs)
        said = bytearray()
        while True:
            try:
                said += os.read(ours, 65536)
            except OSError:  # Linux tells the end of a pseudo-terminal so
                break
        process.wait(60)
    os.close(ours)
    return said.decode().replace("\r\n", "\n")


def unindented(svg: str) -> str:
    """Some viewers drop the leading blanks of a text: each piece begins at its first letter instead."""

    def moved(found: re.Match[str]) -> str:
        cells = found[4].count(BLANK)
        return f'{found[1]}"{float(found[2]) + cells * CELL:.1f}"{found[3]}'

    return re.sub(rf'(<text [^>]*?x=)"([\d.]+)"([^>]*>)((?:{BLANK})+)', moved, re.sub(r' textLength="[\d.]+"', "", svg))


def main() -> None:
    """Draw it."""
    folder = Path(tempfile.mkdtemp(prefix="spectra-picture-"))
    folder.chmod(0o755)  # as root, the database's own user has to get through
    environment = os.environ | {
        "SPECTRA_DATA_DIR": str(folder / "node"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "SPECTRA_API__PORT": "0",
        "COLUMNS": str(COLUMNS),
        "TERM": "xterm-256color",
    }
    spectra = [sys.executable, "-m", "spectra"]

    def run(*words: str) -> None:
        subprocess.run([*spectra, *words], env=environment, check=True, timeout=120, stdout=subprocess.DEVNULL)

    try:
        run("up", "--detach")
        run("import", str(ROOT / "samples" / "day1"), str(ROOT / "samples" / "day2"))
        page = on_terminal([*spectra, "host", HOST, "--history"], environment)
    finally:
        run("down")
        shutil.rmtree(folder)
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True)
        console.print(Text.assemble(("$ ", "dim"), (f"spectra host {HOST} --history", "bold")))
        console.print(Text.from_ansi(page))
    PICTURE.parent.mkdir(exist_ok=True)
    svg = console.export_svg(title="spectra", code_format=TEMPLATE, unique_id="host")
    PICTURE.write_text(unindented(svg), encoding="utf-8")
    print(f"{PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
