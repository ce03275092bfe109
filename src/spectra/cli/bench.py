"""`spectra bench`: the door to the benchmark, which lives in `spectra.bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spectra.cli.help import JsonOption, examples


def bench(
    *,
    hosts: Annotated[int, typer.Option("--hosts", min=100, help="How many hosts of three services each.")] = 10_000,
    batch: Annotated[int, typer.Option("--batch", min=1, max=10_000, help="How many hosts in one submission.")] = 1000,
    output: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write the JSON object there too.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Measure ingest, search and host pages in a scratch database on this machine."""
    from spectra.bench.main import main

    raise typer.Exit(main(hosts, as_json=json, batch=batch, output=output))


BENCH_EXAMPLES = examples("spectra bench", "spectra bench --hosts 100000 --json", "spectra bench -o today.json")
