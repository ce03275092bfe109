"""Write the generated parts of the documentation; `--check` only compares.

    python scripts/generate_docs.py [--check]

A part stands between `<!-- generated: NAME -->` and `<!-- end -->` in README.md, CONTRIBUTING.md or docs/**.md, and is
made by the function of that name in `PARTS`. `tests/test_repository.py` fails where a part is out of date. Pages that
are generated as a whole are written too; each has a test beside the code it describes.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer
from prometheus_client import Metric
from prometheus_client.metrics import MetricWrapperBase
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from spectra.api.metrics import Metrics
from spectra.cli.main import app
from spectra.ingest import parsers
from spectra.settings import Settings

ROOT = Path(__file__).parents[1]
PART = re.compile(r"(<!-- generated: (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
TARGET = re.compile(r"^([a-z][a-z-]*):.*?## (.+)$", re.MULTILINE)
# Defaults that depend on who asks, in words.
COMPUTED = {"data_dir": "`/var/lib/spectra` for root, else `~/.local/share/spectra`"}
BYTES = 1024 * 1024


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n" for row in lines)


def settings() -> str:
    """Every setting with its environment variable, default and meaning."""
    rows = [(f"`{name}`", f"`{variable}`", default, what) for name, variable, default, what in _settings(Settings, {})]
    return table(("in config.yaml", "environment", "default", "what it does"), rows)


def _settings(
    model: type[BaseModel],
    told: dict[type[BaseModel], tuple[str, Any]],
    above: tuple[str, ...] = (),
    given: BaseModel | None = None,
) -> Iterator[tuple[str, str, str, str]]:
    """`given`: the section as it is by default; of sections of one kind (`told`), all but the first are one row."""
    for name, field in model.model_fields.items():
        path = (*above, name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            section = getattr(given, name, None) if given else field.get_default(call_default_factory=True)
            if field.annotation in told:
                yield _same(path, told[field.annotation], section)
                continue
            if above:
                told[field.annotation] = (".".join(path), section)
            yield from _settings(field.annotation, told, path, section)
        else:
            value = getattr(given, name) if given else field.get_default(call_default_factory=True)
            yield ".".join(path), _variable(path), COMPUTED.get(name) or _default(value), field.description or ""


def _variable(path: tuple[str, ...]) -> str:
    return f"SPECTRA_{'__'.join(path).upper()}"


def _same(path: tuple[str, ...], first: tuple[str, Any], section: Any) -> tuple[str, str, str, str]:
    differs = [f"{key} `{value}`" for key, value in section if value != getattr(first[1], key)]
    return f"{'.'.join(path)}.*", f"{_variable(path)}__*", ", ".join(differs), f"The same as `{first[0]}.*`."


def _default(value: Any) -> str:
    if value is PydanticUndefined:
        return "needed"
    if value in (None, "", []):
        return "unset"
    if isinstance(value, int) and value >= BYTES and value % BYTES == 0:
        return f"`{value}` ({value // BYTES} MiB)"
    return f"`{value}`"


def metrics() -> str:
    """Every metric at /metrics with its labels."""
    rows: list[tuple[str, ...]] = []
    for thing in vars(Metrics()).values():
        if isinstance(thing, MetricWrapperBase):
            family = next(iter(thing.collect()))
            labels: tuple[str, ...] = getattr(thing, "_labelnames", ())
            shown = ", ".join(f"`{name}`" for name in labels)
            rows.append((f"`{_exposed(family)}`", family.type, shown, family.documentation))
    return table(("metric", "type", "labels", "what it counts"), rows)


def _exposed(family: Metric) -> str:
    return f"{family.name}_total" if family.type == "counter" else family.name


def commands() -> str:
    """Every command of the command line with the first sentence of its help."""
    root = typer.main.get_command(app)
    return table(("command", "what it does"), list(_commands(root, "spectra")))


def _commands(group: Any, path: str) -> Iterator[tuple[str, str]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{path} {name}")
        else:
            yield f"`{path} {name}`", " ".join((command.help or "").split("\n\n")[0].split())


def targets() -> str:
    """What `make` can do."""
    found = TARGET.findall((ROOT / "Makefile").read_text("utf-8"))
    return table(("command", "what it does"), [(f"`make {name}`", what) for name, what in found])


PARTS: dict[str, Callable[[], str]] = {
    "settings": settings,
    "metrics": metrics,
    "commands": commands,
    "targets": targets,
}


def pages() -> None:
    """Write the pages that are generated as a whole. In processes of their own: help looks at the terminal early."""
    module = [sys.executable, "-m"]
    said = subprocess.run([*module, "spectra.cli.docs"], stdout=subprocess.PIPE, text=True, check=True)
    (ROOT / "docs" / "cli.md").write_text(said.stdout, "utf-8")
    subprocess.run([*module, "spectra.api.document", str(ROOT / "docs" / "openapi.json")], check=True)
    (ROOT / "docs" / "formats.md").write_text(parsers.table(), "utf-8")


def documents() -> list[Path]:
    """The files that may hold generated parts."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def renewed(text: str) -> str:
    """`text` with its generated parts as they should be; `KeyError` for a part nobody makes."""
    return PART.sub(lambda part: f"{part[1]}{PARTS[part['name']]()}{part[3]}", text)


def main() -> int:
    """Write, or with `--check` compare the parts; 1 where something is out of date."""
    check = "--check" in sys.argv
    stale = [path for path in documents() if renewed(old := path.read_text("utf-8")) != old]
    for path in stale:
        print(f"{path.relative_to(ROOT)}: {'out of date' if check else 'written'}")
        if not check:
            path.write_text(renewed(path.read_text("utf-8")), "utf-8")
    if not check:
        pages()
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
