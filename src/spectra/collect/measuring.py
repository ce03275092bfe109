"""What runs on this machine, as hashes: Spectra's own files, the Python under it, and the settings in force."""

from __future__ import annotations

import hashlib
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import spectra
from spectra import __version__
from spectra.errors import SetupError
from spectra.identity.measure import Measurement

if TYPE_CHECKING:
    from spectra.settings import Settings  # an agent has none: they cost it a fifth of its memory

_CHUNK: Final = 1024 * 1024
_RUNNING: Final = Path("/proc/self/exe")
_LEFT_OUT: Final = {"data_dir", "server", "log", "node"}
"""Where a process keeps its files and how it talks, different for each of them; and what was settled by joining."""


def configuration_of(settings: Settings) -> str:
    """The hash of the settings in force. Secrets among them are left out."""
    said = settings.model_dump_json(exclude=_LEFT_OUT)  # a SecretStr is stars here
    return hashlib.sha256(said.encode()).hexdigest()


def measure(configuration: str) -> Measurement:
    """What this process runs, as it was when first asked for: an upgrade meanwhile shows once it is started again.

    `configuration` is the hash of the settings in force. Raises `SetupError` where a file cannot be read.
    """
    try:
        binary, interpreter = running()
    except OSError as error:
        raise SetupError(f"cannot read what runs here: {error.filename}: {error.strerror}.") from error
    return Measurement(
        binary=binary,
        interpreter=interpreter,
        configuration=configuration,
        software=__version__,
        python=" ".join(sys.version.split()),
    )


@cache
def running() -> tuple[str, str]:
    """SHA-256 of Spectra's files and of the interpreter. Linux has the one that runs, also where it was replaced."""
    interpreter = _RUNNING if _RUNNING.exists() else Path(sys.executable).resolve()
    return of_folder(Path(spectra.__file__).parent), _file(interpreter)


def of_folder(folder: Path) -> str:
    """SHA-256 of every file's path below the folder and its content, in order; without what Python compiled of them."""
    total = hashlib.sha256()
    files = (path for path in folder.rglob("*") if path.suffix != ".pyc" and path.is_file())
    for name, path in sorted((path.relative_to(folder).as_posix(), path) for path in files):
        total.update(f"{_file(path)}  {name}\n".encode())  # as sha256sum writes it
    return total.hexdigest()


def _file(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
