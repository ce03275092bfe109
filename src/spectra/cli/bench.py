"""`spectra bench`: the door to the benchmark, which lives in `spectra.bench`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from spectra.cli.help import JsonOption, examples
from spectra.cli.output import json_line, note


def bench(
    *,
    hosts: Annotated[int, typer.Option("--hosts", min=100, help="How many hosts of three services each.")] = 10_000,
    json: JsonOption = False,
) -> None:
    """Measure ingest, search and host pages in a scratch database on this machine."""
    import msgspec

    from spectra.bench.main import run

    result = run(hosts, say=note)
    if json:
        sys.stdout.write(json_line(result) + "\n")
        return
    for field in msgspec.structs.fields(result):
        value: object = getattr(result, field.name)
        sys.stdout.write(f"{field.name:<32}{value if not isinstance(value, float) else format(value, ',.1f'):>14}\n")


BENCH_EXAMPLES = examples("spectra bench", "spectra bench --hosts 100000 --json")
