"""What `make demo` shows: Spectra from its start to its end, on a node of its own in a temporary folder.

Every command is printed before it runs and its output is its own. Nothing is kept and nothing is left running.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[1]
SPECTRA = Path(sys.executable).with_name("spectra")
WIDTH = min(80, shutil.get_terminal_size((80, 24)).columns)
COLOUR = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
COMMAND_TIMEOUT_S = 120
STOP_WITHIN_S = 30
PORTS = "22,25,53,80,443,3306,5432,6379,8080,9200"


class Failed(Exception):
    """A command of the tour did not work."""


class Demo:
    """A node in `folder`, and the commands run against it."""

    def __init__(self, folder: Path) -> None:
        self.node = folder / "node"
        # Settings of the user's own must not reach this node, nor this node's the user's.
        own = {name: value for name, value in os.environ.items() if not name.startswith("SPECTRA_")}
        self.environment = own | {
            "SPECTRA_DATA_DIR": str(self.node),
            "SPECTRA_API__PORT": "0",
            "XDG_CONFIG_HOME": str(folder / "config"),
            "COLUMNS": str(WIDTH),
        }

    def run(self, *arguments: str) -> None:
        """Print a command and run it; `Failed` if it fails."""
        line = f"$ spectra {shlex.join(arguments)}"
        shown = textwrap.wrap(line, WIDTH - 2, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
        print(paint(" \\\n".join(shown), "36"), flush=True)
        done = subprocess.run(
            [SPECTRA, *arguments],
            env=self.environment,
            cwd=ROOT,
            stderr=subprocess.STDOUT,  # in one stream, so that a pipe keeps the order
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
        if done.returncode:
            raise Failed(f"`spectra {arguments[0]}` ended with code {done.returncode}")

    def port(self) -> int:
        """The port the API was given."""
        command = [SPECTRA, "status", "--json"]
        done = subprocess.run(
            command, env=self.environment, stdout=subprocess.PIPE, timeout=COMMAND_TIMEOUT_S, check=True
        )
        url: str = json.loads(done.stdout)["url"]
        return urlsplit(url).port or 0


def paint(text: str, code: str) -> str:
    """`text` in a colour, on a terminal."""
    return f"\x1b[{code}m{text}\x1b[0m" if COLOUR else text


def say(head: str, text: str = "") -> None:
    """A heading, and what comes next in a sentence or two."""
    print(f"\n{paint(f'── {head} '.ljust(WIDTH, '─'), '1')}")
    if text:
        print(textwrap.fill(text, WIDTH))


def show(demo: Demo) -> None:
    """The tour."""
    say("1. Start", "A database, an API and workflows, on a node of its own in a temporary folder.")
    demo.run("up", "--detach")

    say("2. Scan this machine", "The scanner is built in. Loopback is special-use: it needs your word first.")
    where = ("--ports", f"{PORTS},{demo.port()}", "--allow", "127.0.0.0/8", "--consent", "my own machine")
    demo.run("scan", "127.0.0.1", "--scanner", "connect", *where, "--submit")
    demo.run("search", "net:127.0.0.0/8")

    say("3. Import", "What nmap and masscan wrote about a small network, on two days.")
    demo.run("import", "samples/day1", "samples/day2")

    say("4. Context", "Where is all that, and whose network? Feeds say; these are made up, like the network.")
    for name in ("places.csv", "networks.txt", "names.json"):
        demo.run("feeds", "add", name.partition(".")[0], f"samples/feeds/{name}")
    demo.run("feeds", "apply", "--watch")

    say("5. Ask", "Which OpenSSH is in France? Who else than nginx speaks of the bakery? What is there most of?")
    demo.run("search", "product:openssh", "country:FR", "--fields", "ip,port,version,city,org")
    demo.run("search", "bakery", "-product:nginx", "--fields", "ip,port,product,title,banner")
    demo.run("stats", "net:192.0.2.0/24", "--facets", "city,product:4,port:-3")

    say("6. What changed", "Two upgrades, a new certificate, a Redis that is gone and a host that came.")
    demo.run("diff", "2026-11-20T12:00:00Z", "now", "net:192.0.2.0/24")

    say("7. One host, now and the day before", "Nothing is overwritten: any past moment can be asked for.")
    demo.run("host", "192.0.2.10")
    demo.run("host", "192.0.2.10", "--at", "2026-11-20T12:00:00Z")

    say(
        "8. What is due",
        "HTTP is stale after six hours, SSH after a day, or when you say so.",
    )
    demo.run("mesh", "plan", "city", "Paris", "--min-age", "1h", "--limit", "3")

    say("9. Trust", "All of it was signed and chained. This checks signatures, chain and originals.")
    demo.run("provenance", "verify")
    demo.run("status")


def running(folder: Path) -> dict[int, str]:
    """Processes of this demo's node, by pid: its folder stands in their command line or environment."""
    if not Path("/proc/self").exists():
        done = subprocess.run(["/bin/ps", "-A", "-o", "pid=,command="], stdout=subprocess.PIPE, text=True, check=True)
        lines = [line.split(maxsplit=1) for line in done.stdout.splitlines() if str(folder) in line]
        return {int(pid): command for pid, command in lines}
    found: dict[int, str] = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command, environment = (process / "cmdline").read_bytes(), (process / "environ").read_bytes()
        except OSError:  # it has ended meanwhile
            continue
        if os.fsencode(folder) in command + environment:
            found[int(process.name)] = command.replace(b"\0", b" ").decode("utf-8", "replace")
    return found


def stop(demo: Demo, folder: Path) -> bool:
    """Stop the node, also one that was cut off while starting, and remove its folder; whether nothing is left."""
    with contextlib.suppress(Failed, subprocess.TimeoutExpired):
        demo.run("down")
    deadline = time.monotonic() + STOP_WITHIN_S
    while (left := running(folder)) and time.monotonic() < deadline:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        threading.Event().wait(0.2)
    for pid, command in left.items():
        print(f"demo: still running: {pid} {command}", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        print(f"demo: could not remove {folder}", file=sys.stderr)
    return not left and not folder.exists()


def terminated(number: int, _frame: object) -> None:
    """SIGTERM ends the tour the way Ctrl-C does: with everything stopped."""
    raise SystemExit(128 + number)


def main() -> int:
    """Show the tour, then stop and remove everything, however it ends."""
    signal.signal(signal.SIGTERM, terminated)
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="spectra-demo-"))
    folder.chmod(0o755)  # where root runs this, PostgreSQL's own user has to pass through
    demo = Demo(folder)
    code = 1
    try:
        show(demo)
        code = 0
    except Failed as error:
        print(f"demo: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        code = 130
    finally:
        say("10. Stop")
        clean = stop(demo, folder)
    if not clean:
        return 1
    print(f"Checked: no process and no file is left. The whole tour took {time.monotonic() - began:.0f} s.")
    if code == 0:
        print("To keep a node: `make up`, then `.venv/bin/spectra --help`.")
    return code


if __name__ == "__main__":
    sys.exit(main())
