"""`spectra bench`: the door to the benchmark, which lives in `spectra.bench`."""

from __future__ import annotations

from typing import Annotated

import typer

from spectra.cli.help import JsonOption, examples


def bench(
    *,
    hosts: Annotated[int, typer.Option("--hosts", min=100, help="How many hosts of three services each.")] = 10_000,
    json: JsonOption = False,
) -> None:
    """Measure ingest, search and host pages in a scratch database on this machine."""
    from spectra.bench.main import run

    raise typer.Exit(run(hosts=hosts, json=json) or 0)


BENCH_EXAMPLES = examples("spectra bench", "spectra bench --hosts 100000 --json")
