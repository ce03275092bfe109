"""PostgreSQL processes whose supervisor is gone: found, told apart from strangers, and ended.

Two cases. Our process was killed: the whole server goes on alone. The postmaster was killed: its children may still
hold shared memory, and PostgreSQL refuses to start beside them ("pre-existing shared memory block is still in use").
"""

from __future__ import annotations

import signal
from pathlib import Path

from spectra.engines.layout import PORT, Layout
from spectra.engines.locks import FolderLock
from spectra.engines.processes import end_all, find_processes
from spectra.errors import SetupError

# "Fast", "immediate" and last resort: https://www.postgresql.org/docs/18/server-shutdown.html
STOP_LADDER = ((signal.SIGQUIT, 10.0), (signal.SIGKILL, 5.0))
_FAST_S = 60.0


def postmaster_pid(cluster: Path) -> int | None:
    """The pid in the first line of postmaster.pid, whoever has it now; None without one."""
    try:
        first = (cluster / "postmaster.pid").read_text("utf-8", "replace").partition("\n")[0].strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return int(first) if first.isdecimal() and len(first) < 10 else None


def is_ready(cluster: Path, pid: int) -> bool:
    """Whether the postmaster `pid` accepts connections: line 8 of postmaster.pid says so, as it does to pg_ctl."""
    try:
        lines = (cluster / "postmaster.pid").read_text("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return False
    return len(lines) >= 8 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"


def servers_of(layout: Layout) -> list[int]:
    """Every live PostgreSQL process on this folder, postmaster and children."""
    try:
        owner = layout.cluster.stat().st_uid
    except FileNotFoundError:
        return []
    return find_processes("postgres", owner, layout.cluster, layout.mark)


def end_leftovers(layout: Layout) -> bool:
    """End what runs on the folder (the caller holds its lock) and clear its pid files; True if anything ran.

    PostgreSQL trusts any live pid in these files; after a reboot that pid may be a stranger's, hence the removal.
    Raises `SetupError` for processes that not even SIGKILL ends.
    """
    found = servers_of(layout)
    if found:
        postmaster = postmaster_pid(layout.cluster)
        if postmaster in found:
            end_all([postmaster], [(signal.SIGINT, _FAST_S)])
        left = end_all(servers_of(layout), STOP_LADDER)
        if left:
            raise SetupError(f"Processes {left} of an earlier PostgreSQL on {layout.cluster} cannot be ended.")
    (layout.cluster / "postmaster.pid").unlink(missing_ok=True)
    (layout.sockets / f".s.PGSQL.{PORT}.lock").unlink(missing_ok=True)
    return bool(found)


def stop_orphan(data_dir: Path) -> bool:
    """Stop a PostgreSQL that a killed Spectra left running on `data_dir`; whether there was one.

    Raises `SetupError` while a live supervisor holds the folder: stop that process instead.
    """
    layout = Layout.of(data_dir)
    if not layout.cluster.is_dir():
        return False
    with FolderLock(layout.lock, "The database folder"):
        return end_leftovers(layout)
