"""`spectra config`: which settings hold, where each came from, and changing the user's own."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from spectra.cli.help import JsonOption, examples
from spectra.cli.local import Machine
from spectra.cli.output import Column, Target, emit, json_line, note
from spectra.cli.pages import Command, Group
from spectra.errors import BadRequest, SetupError

if TYPE_CHECKING:
    from spectra.settings.inforce import Setting

config = typer.Typer(cls=Group, help="Show and change settings.")
Mapping = dict[str, Any]


def show(
    context: typer.Context,
    *,
    running: Annotated[
        bool, typer.Option("--running", help="Those that the running node started with, asked of it.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Show every setting with its value and where it comes from; secrets are masked."""
    from spectra.settings import inforce

    machine = Machine.of(context)
    if running:
        rows = _of_the_node(machine)
    else:
        settings = machine.settings
        if json:
            sys.stdout.write(json_line(inforce.values_of(settings)) + "\n")
            return
        rows = inforce.in_force(settings)
    columns: list[Column[Setting]] = [
        Column("key", lambda row: row.key, "setting", style="cyan"),
        Column("value", lambda row: _shown(row.value), flexible=True),
        Column("from", lambda row: row.origin, style="dim", flexible=True, optional=True),
    ]
    emit(rows, columns, Target.of(json=json))


def _of_the_node(machine: Machine) -> tuple[Setting, ...]:
    import msgspec

    from spectra.settings import inforce

    with machine.client(notify=note) as client:
        found = client.get("/v0/settings", dict[str, Any])
    return msgspec.convert(found["settings"], tuple[inforce.Setting, ...])


def _shown(value: object) -> str:
    if value is None or value == "":
        return "(not set)"
    if isinstance(value, list):
        return ", ".join(str(item) for item in cast("list[object]", value)) or "(none)"
    return str(value)


def set_value(
    *,
    key: Annotated[str, typer.Argument(metavar="KEY", help="Such as api.port; `config show` lists them.")],
    value: Annotated[str, typer.Argument(metavar="VALUE", help="In YAML: a word, a number, [a, list].")],
) -> None:
    """Write one setting to your config.yaml, after checking it. The file gets mode 0600: settings can be secrets."""
    from spectra.settings.inforce import variable

    path = store(_known_key(key), _parsed(key, value))
    note(f"{key} is set in {path}; it holds from the next start.")
    if variable(key) in os.environ:
        note(f"{variable(key)} is set in the environment and stays stronger.")


def store(key: str, value: object) -> Path:
    """Put `value` at `key` (`section.name`) in the user's config.yaml, checked before it is written; returns the file.

    Raises `BadRequest` for a value the settings refuse, `SetupError` for a file that cannot be read or written.
    """
    from spectra.settings import config_dir
    from spectra.settings.inforce import read

    path = config_dir() / "config.yaml"
    held = read(path)
    section = held
    *parents, last = key.split(".")
    for parent in parents:
        inner = section.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise SetupError(f"{path}: {parent} is not a section", hint="Correct the file by hand.")
        section = cast("Mapping", inner)
    section[last] = value
    _validate(key, held)
    _write(path, held)
    return path


def _known_key(key: str) -> str:
    from spectra.settings import Settings
    from spectra.settings.inforce import flat, values_of

    known = [name for name, _ in flat(values_of(Settings.model_construct()))]
    if key not in known:
        import difflib

        near = difflib.get_close_matches(key, known, n=1)
        hint = f"Did you mean {near[0]}?" if near else "`spectra config show` lists the settings."
        raise BadRequest(f"there is no setting {key!r}", field="key", hint=hint)
    return key


def _parsed(key: str, value: str) -> object:
    import yaml

    try:
        return yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise BadRequest(f"{key}: {value!r} is not YAML", field="value", hint="Quote it.") from error


def _validate(key: str, held: Mapping) -> None:
    """Raises `BadRequest` for a value the settings would refuse; the environment is left out of the matter."""
    from pydantic import TypeAdapter, ValidationError

    from spectra.settings import Settings

    fields = Settings.model_fields
    for name, value in held.items():
        if name in fields:
            try:
                TypeAdapter[Any](fields[name].annotation or str).validate_python(value)
            except ValidationError as error:
                told = "; ".join(f"{'.'.join(map(str, (name, *e['loc'])))}: {e['msg']}" for e in error.errors())
                raise BadRequest(f"{key} was not set: {told}", field=key) from None


def _write(path: Path, held: Mapping) -> None:
    import yaml

    spare = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(spare, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
            yaml.safe_dump(held, stream, sort_keys=False, allow_unicode=True)
        spare.replace(path)
    except OSError as error:
        spare.unlink(missing_ok=True)
        raise SetupError(f"cannot write {path}: {error.strerror}") from error


config.command(
    "show",
    cls=Command,
    epilog=examples("spectra config show", "spectra config show --running", "spectra config show --json"),
)(show)
config.command(
    "set",
    cls=Command,
    epilog=examples("spectra config set api.port 9000", "spectra config set scan.allow '[10.0.0.0/8]'"),
)(set_value)
