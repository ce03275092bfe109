"""Serves a folder in a process of its own until standard input closes: `holder.py FOLDER [UID]`.

With UID it first gives up root for that user. Everything is imported before, and the programs are copied to where
that user reaches them, because Python and the virtual environment may lie below a closed /root.
"""

from __future__ import annotations

import codecs
import os
import sys
from pathlib import Path

import psycopg

from spectra.engines.account import Account
from spectra.engines.binaries import installed_tree, usable_engine
from spectra.engines.postgres import PostgresServer
from spectra.errors import SetupError


def become(uid: int, folder: Path) -> Path:
    """Turn into user `uid`, who gets `folder`; returns an installation that user can run."""
    for encoding in ("ascii", "latin-1", "utf-8", "idna"):
        codecs.lookup(encoding)
    os.chown(folder, uid, uid)
    tree = usable_engine(
        installed_tree(), folder / "programs", Account(str(uid), uid, uid, switch=True)
    ).programs.parent
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    return tree


def main() -> int:
    """Print the URL, the pid and the database's view of the user, one a line, or the SetupError."""
    folder = Path(sys.argv[1])
    engine_dir = become(int(sys.argv[2]), folder) if len(sys.argv) > 2 else None
    server = PostgresServer(folder, shared_buffers_mb=32, engine_dir=engine_dir)
    try:
        url = server.start()
    except SetupError as error:
        print(f"SetupError: {error}", flush=True)
        return 1
    with psycopg.connect(url, connect_timeout=10) as connection:
        row = connection.execute("SELECT current_user, current_setting('dynamic_shared_memory_type')").fetchone()
    print(url, server.pid, row, sep="\n", flush=True)
    sys.stdin.read()
    server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
