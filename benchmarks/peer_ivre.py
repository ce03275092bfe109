"""IVRE 0.9.20 beside Spectra: the same made-up hosts, as nmap XML, into the same embedded PostgreSQL, in one run.

    .venv/bin/python benchmarks/peer_ivre.py --hosts 2000

Installs IVRE with pip into a folder of its own (it needs SQLAlchemy < 2), so it needs the package index once. Prints
one
JSON object. What is compared is what a user waits for: an nmap XML file on disk until its hosts can be searched.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg

from spectra.bench import hosts, load
from spectra.bench.server import running
from spectra.engines.postgres import PostgresServer

IVRE = ("ivre==0.9.20", "sqlalchemy<2", "psycopg2-binary")


def install(folder: Path) -> Path:
    """IVRE in a virtual environment; returns its command."""
    command = folder / "bin" / "ivre"
    if not command.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=120)
        subprocess.run([str(folder / "bin" / "pip"), "install", "-q", *IVRE], check=True, timeout=600)
    return command


def ivre_hosts_per_s(command: Path, documents: list[Path], url: str, folder: Path) -> float:
    """Hosts a second through `ivre scan2db`, without its one-time initialisation."""
    config = folder / "ivre.conf"
    config.write_text(f"DB = {url!r}\nDEBUG = False\n")
    environment = os.environ | {"IVRE_CONF": str(config), "HOME": str(folder)}

    def run(*arguments: str) -> None:
        subprocess.run(
            [str(command), *arguments], check=True, env=environment, input=b"y\n", timeout=3600, capture_output=True
        )

    run("scancli", "--init")
    began = time.perf_counter()
    run("scan2db", "-c", "bench", "-s", "bench", *map(str, documents))
    return time.perf_counter() - began


def main() -> None:
    """Measure both and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=2000)
    parser.add_argument("--venv", type=Path, default=Path(tempfile.gettempdir()) / "spectra-bench-ivre")
    options = parser.parse_args()
    command = install(options.venv)
    folder = Path(tempfile.mkdtemp(prefix="spectra-peer-"))
    try:
        documents: list[Path] = []
        for first in range(0, options.hosts, 1000):
            document = folder / f"{first:09d}.xml"
            document.write_bytes(hosts.nmap_xml(first, min(1000, options.hosts - first)))
            documents.append(document)
        with running() as server:
            ours = time.perf_counter()
            files = load.prepare(server, folder / "envelopes", options.hosts, 1000)
            load.submit_all(server, files, clients=1, progress=lambda _: None)
            ours = time.perf_counter() - ours
            own = PostgresServer(server.data_dir).url
            with psycopg.connect(own, autocommit=True) as admin:
                admin.execute("CREATE DATABASE ivre")
            theirs = ivre_hosts_per_s(command, documents, own.replace("/spectra?", "/ivre?"), folder)
        result = {
            "hosts": options.hosts,
            "spectra_hosts_per_s": round(options.hosts / ours),
            "ivre_hosts_per_s": round(options.hosts / theirs),
            "ratio": round(theirs / ours, 1),
        }
        print(json.dumps(result))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
