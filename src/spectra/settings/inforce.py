"""Settings as people read them: every one with its value, what it is for and where the value comes from.

Secrets are masked before anything leaves this file: a field of a secret type, and what stands before the `@` of a URL.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Final, Union, cast, get_args, get_origin

import msgspec
from pydantic import BaseModel

from spectra.errors import SetupError
from spectra.settings import Settings, config_dir

MASK: Final = "********"
SYSTEM_FILE: Final = Path("/etc/spectra/config.yaml")


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One setting: `key` is `section.name`, `value` what is in force (a secret is masked), `default` what holds by
    itself. `origin`: a variable of the environment, a file, `command line` or `default`.
    """

    key: str
    value: Any
    default: Any
    origin: str
    description: str = ""
    secret: bool = False


def in_force(settings: Settings) -> tuple[Setting, ...]:
    """Every setting, in the order of the settings' sections; raises `SetupError` for a file that cannot be read."""
    values = values_of(settings)
    defaults = dict(flat(values_of(Settings.model_construct())))
    origins = Origins.here()
    return tuple(
        Setting(
            key=key,
            value=value,
            default=defaults.get(key),
            origin=origins.of(key, changed=key not in defaults or value != defaults[key]),
            description=_description(key),
            secret=_is_mask(value),
        )
        for key, value in flat(values)
    )


def values_of(settings: Settings) -> dict[str, Any]:
    """Section -> name -> value, as JSON has it and without what is secret."""
    values = settings.model_dump(mode="json")
    _mask_urls(values)
    return values


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """`section.name` -> value, in order; an empty section is a value of its own."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from flat(cast("dict[str, Any]", value), f"{prefix}{key}.")
        else:
            yield prefix + key, value


def variable(key: str) -> str:
    """The environment variable of a setting: `api.port` is `SPECTRA_API__PORT`."""
    return f"SPECTRA_{key.replace('.', '__')}".upper()


def read(path: Path) -> dict[str, Any]:
    """What a file of settings holds, nothing where there is none; raises `SetupError`."""
    import yaml

    try:
        held: object = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise SetupError(f"cannot read {path}: {error}") from error
    if held is not None and not isinstance(held, dict):
        raise SetupError(f"{path} does not hold settings", hint="It has `key: value` lines.")
    return cast("dict[str, Any]", held or {})


class Origins:
    """Where values come from: the environment over the user's file over the system's."""

    def __init__(self, variables: set[str], files: Mapping[Path, dict[str, Any]]) -> None:
        self._variables = variables
        self._files = files

    @classmethod
    def here(cls) -> Origins:
        """Those of this process."""
        files = (config_dir() / "config.yaml", SYSTEM_FILE)
        return cls({name.upper() for name in os.environ}, {file: read(file) for file in files})

    def of(self, key: str, *, changed: bool = False) -> str:
        """Where the value of `key` comes from; `changed`: it is another than the default."""
        parts = key.split(".")
        named = (variable(".".join(parts[:count])) for count in range(len(parts), 0, -1))
        for name in named:  # a section may be given as a whole, in JSON
            if name in self._variables:
                return name
        for file, held in self._files.items():
            if _holds(held, parts):
                return str(file)
        return "command line" if changed else "default"


def _holds(held: object, parts: list[str]) -> bool:
    for part in parts:
        held = cast("dict[str, object]", held).get(part) if isinstance(held, dict) else None
    return held is not None


def _description(key: str) -> str:
    """What the settings say of the deepest part of `key` that they know."""
    model: type[BaseModel] | None = Settings
    told = ""
    for part in key.split("."):
        field = model.model_fields.get(part) if model else None
        if field is None:
            return told
        told = field.description or told
        model = _section(field.annotation)
    return told


def _section(annotation: Any) -> type[BaseModel] | None:
    if get_origin(annotation) in (Union, UnionType):
        return next((found for one in get_args(annotation) if (found := _section(one))), None)
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _is_mask(value: object) -> bool:
    return isinstance(value, str) and bool(value) and not value.strip("*")


def _mask_urls(values: dict[str, Any]) -> None:
    """A URL in a plain setting or in a list may still carry a password (`s3://key:secret@...`)."""
    for key, value in values.items():
        if isinstance(value, dict):
            _mask_urls(cast("dict[str, Any]", value))
        elif isinstance(value, list):
            values[key] = [_masked(item) for item in cast("list[object]", value)]
        else:
            values[key] = _masked(value)


def _masked(value: object) -> object:
    if isinstance(value, dict):
        _mask_urls(cast("dict[str, Any]", value))
        return cast("object", value)
    if not isinstance(value, str) or "://" not in value or "@" not in value:
        return value
    scheme, _, rest = value.partition("://")
    return f"{scheme}://{MASK}@{rest.rpartition('@')[2]}"
