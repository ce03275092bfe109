"""The operating-system user PostgreSQL runs as, and what that user can reach.

PostgreSQL refuses to run as root, so root hands it to a system user of its own; anybody else runs it as themselves.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from spectra.errors import SetupError

SERVICE_USER = "spectra-db"
_ALTERNATIVE = "or set SPECTRA_DATABASE__URL to use a PostgreSQL server of your own."


@dataclass(frozen=True)
class Account:
    """A user and its first group. `switch`: child processes must change to it (this process is root)."""

    name: str
    uid: int
    gid: int
    switch: bool = False

    @property
    def user(self) -> int | None:
        """What `subprocess` takes as `user`."""
        return self.uid if self.switch else None

    @property
    def group(self) -> int | None:
        """What `subprocess` takes as `group`."""
        return self.gid if self.switch else None

    @property
    def extra_groups(self) -> list[int] | None:
        """What `subprocess` takes as `extra_groups`: root's own must not leak into the server."""
        return [] if self.switch else None

    def give(self, path: Path) -> None:
        """Make `path` (never a link) this user's, where this process is root."""
        if self.switch:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


def current_user() -> str:
    """Name of this process's user, as PostgreSQL's peer authentication will see it.

    Raises `SetupError` for a user id without a name (a container started with `--user 12345`).
    """
    uid = os.geteuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError as error:
        raise SetupError(
            f"User id {uid} has no name on this machine, and PostgreSQL will not run without one.",
            hint=f"Add an /etc/passwd entry for it {_ALTERNATIVE}",
        ) from error


def server_account() -> Account:
    """The account for the server, made on first use when this process is root."""
    if os.geteuid() != 0:
        return Account(current_user(), os.geteuid(), os.getegid())
    entry = _lookup(SERVICE_USER) or _create(SERVICE_USER)
    if entry.pw_uid == 0:
        raise SetupError(f"The user {SERVICE_USER} is another name of root.", hint=f"Give it an id {_ALTERNATIVE}")
    return Account(SERVICE_USER, entry.pw_uid, entry.pw_gid, switch=True)


def _lookup(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _create(name: str) -> pwd.struct_passwd:
    why = _useradd(name)
    entry = _lookup(name)  # looked up in any case: another process may have made it at the same moment
    if entry is None:
        raise SetupError(
            f"PostgreSQL will not run as root, and its system user {name} could not be made: {why}",
            hint=f"Make it (useradd --system {name}), start Spectra as an ordinary user, {_ALTERNATIVE}",
        )
    return entry


def _useradd(name: str) -> str:
    """Run useradd; returns why it failed, or ""."""
    tool = shutil.which("useradd", path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin")
    if tool is None:
        return "there is no useradd on this machine."
    options = ["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    command = [tool, *options, "--shell", "/usr/sbin/nologin", name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{error}."
    return done.stderr.strip() if done.returncode else ""


def first_unreachable(path: Path, account: Account) -> Path | None:
    """The first folder on the way to `path`, itself included, that `account` may not enter (mode bits only)."""
    for folder in (*reversed(path.parents), path):
        status = folder.stat()
        in_group = 0o010 if status.st_gid == account.gid else 0o001
        if not status.st_mode & (0o100 if status.st_uid == account.uid else in_group):
            return folder
    return None
