"""The settings that this node started with, and what it runs on."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

import msgspec
from fastapi import APIRouter
from starlette.responses import Response

from spectra import __version__
from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, scope
from spectra.settings.inforce import Setting
from spectra.store import database, sizes

router = APIRouter(tags=["health"])


class Disk(msgspec.Struct, frozen=True):
    """The file system of a folder, in bytes."""

    folder: str
    total: int
    free: int


class Machine(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the node runs on. `database_bytes` is the size of the database, wherever that is."""

    version: str
    python: str
    system: str
    cores: int
    pid: int
    database_kind: str
    database_version: str
    database_bytes: int
    disk: Disk | None = None


class SettingsPage(msgspec.Struct, frozen=True):
    """Every setting in force, those of one section together."""

    settings: tuple[Setting, ...]
    machine: Machine


@router.get(
    "/v0/settings",
    summary="The settings in force",
    dependencies=[scope("settings:read")],
    responses=described(SettingsPage, 401, 403),
    response_class=Response,
)
def in_force(services: ServicesDep) -> Response:
    """As this node read them when it started, with where each came from; secrets are masked."""
    machine = Machine(
        version=__version__,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        cores=os.cpu_count() or 0,
        pid=os.getpid(),
        database_kind=services.database_kind,
        database_version=database.server_version(services.database),
        database_bytes=sizes.database_bytes(services.database),
        disk=_disk(services.data_dir) if services.data_dir else None,
    )
    return answer(SettingsPage(services.settings, machine))


def _disk(folder: Path) -> Disk | None:
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return None
    return Disk(str(folder), usage.total, usage.free)
