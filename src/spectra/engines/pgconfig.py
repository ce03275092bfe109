"""The three configuration files of the embedded PostgreSQL, as text. Rewritten at every start.

The settings suit one machine that mostly inserts and then searches: https://www.postgresql.org/docs/18/runtime-config.html
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from spectra.engines.layout import PORT
from spectra.errors import SetupError

INCLUDED = "spectra.conf"
ROLE = "spectra"
DATABASE = "spectra"
_MIB = 1024 * 1024
# Parallel queries share memory through /dev/shm; containers often give it 64 MiB and such queries then fail.
_ENOUGH_SHM = 512 * _MIB

_FIXED: dict[str, str] = {
    # Reached through the socket only.
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    # An acknowledged commit is on the disk.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # Large imports write much WAL: fewer, smoother checkpoints.
    "wal_compression": "on",
    "max_wal_size": "2GB",
    "min_wal_size": "256MB",
    "checkpoint_timeout": "15min",
    "checkpoint_completion_target": "0.9",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    # Solid-state disks.
    "random_page_cost": "1.1",
    "effective_io_concurrency": "64",
    "work_mem": "16MB",
    "maintenance_work_mem": "256MB",
    "huge_pages": "off",
    # Short queries: compiling them costs more than it saves.
    "jit": "off",
    # Tables that only grow are vacuumed and analysed early, so that index-only scans and estimates stay good.
    "autovacuum_naptime": "15s",
    "autovacuum_vacuum_scale_factor": "0.05",
    "autovacuum_vacuum_insert_scale_factor": "0.05",
    "autovacuum_analyze_scale_factor": "0.02",
    "autovacuum_vacuum_cost_limit": "1000",
    # The same answers on every machine.
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "datestyle": "ISO, YMD",
    # The supervisor owns the log file and bounds it.
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_line_prefix": "%m [%p] ",
    "log_checkpoints": "off",
    "log_autovacuum_min_duration": "-1",
    "log_lock_waits": "on",
    # Failing statements may carry data in their text.
    "log_min_error_statement": "panic",
    "update_process_title": "off",
    "allow_alter_system": "off",
}


def shared_memory_type(shm: Path = Path("/dev/shm")) -> str:  # noqa: S108 - only looked at
    """`posix` where `shm` has room for parallel queries, else `mmap`: files in PGDATA, which always starts."""
    try:
        room = os.statvfs(shm)
    except OSError:
        return "mmap"
    return "posix" if room.f_bavail * room.f_frsize >= _ENOUGH_SHM and os.access(shm, os.W_OK) else "mmap"


def settings(*, sockets: Path, mark: str, shared_buffers_mb: int, extra: Mapping[str, str]) -> str:
    """The included file. `extra` overrides by name; `effective_cache_size` is half of this machine's memory."""
    half_memory_mb = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // _MIB // 2
    values = _FIXED | {
        "unix_socket_directories": str(sockets),
        "cluster_name": mark,
        "dynamic_shared_memory_type": shared_memory_type(),
        "shared_buffers": f"{shared_buffers_mb}MB",
        "effective_cache_size": f"{max(half_memory_mb, 2 * shared_buffers_mb)}MB",
    }
    lines = [f"{name} = {_quoted(name, value)}" for name, value in (values | dict(extra)).items()]
    return "\n".join(["# Written by Spectra at every start; changes are lost.", *lines, ""])


def _quoted(name: str, value: str) -> str:
    if not name.replace("_", "").replace(".", "").isalnum() or any(ord(c) < 0x20 for c in value):
        raise SetupError(f"The PostgreSQL setting {name!r} cannot be written to a configuration file.")
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def host_based_authentication() -> str:
    """pg_hba.conf: the operating system vouches for one user as one role; everybody else is refused."""
    return f"# Written by Spectra at every start; changes are lost.\nlocal all {ROLE} peer map={ROLE}\n"


def identity_map(os_user: str) -> str:
    """pg_ident.conf: `os_user`, the user this process runs as, may be the role."""
    if '"' in os_user or os_user.startswith("/") or not os_user.isprintable():
        raise SetupError(f"The user name {os_user!r} cannot be used with PostgreSQL's peer authentication.")
    return f'# Written by Spectra at every start; changes are lost.\n{ROLE} "{os_user}" {ROLE}\n'
