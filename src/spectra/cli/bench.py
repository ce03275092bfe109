"""`spectra bench`: the door to the benchmark, which lives in `spectra.bench`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spectra.cli.help import JsonOption, examples
from spectra.errors import BadRequest

if TYPE_CHECKING:
    import msgspec

    Measure = Callable[[Callable[[str], None] | None], msgspec.Struct]


def bench(
    *,
    hosts: Annotated[int, typer.Option("--hosts", min=100, help="How many hosts of three services each.")] = 10_000,
    batch: Annotated[int, typer.Option("--batch", min=1, max=10_000, help="How many hosts in one submission.")] = 1000,
    vulns: Annotated[
        bool, typer.Option("--vulns", help="Measure weaknesses instead: feeds, matching, search.")
    ] = False,
    feeds: Annotated[
        Path | None, typer.Option("--feeds", metavar="DIR", help="With --vulns or --ai: the folder of feeds.")
    ] = None,
    services: Annotated[
        int, typer.Option("--services", min=10, max=1_000_000, help="With --vulns: how many distinct services.")
    ] = 100_000,
    mesh: Annotated[
        bool, typer.Option("--mesh", help="Measure the mesh instead: joining, renewing, revoking, presence.")
    ] = False,
    nodes: Annotated[
        int, typer.Option("--nodes", min=40, max=10_000, help="With --mesh: how many simulated nodes.")
    ] = 1000,
    work: Annotated[
        bool, typer.Option("--work", help="Measure work instead: leases, no-op scans, what is killed, spools.")
    ] = False,
    quality: Annotated[
        bool, typer.Option("--quality", help="Scan a network made for it with the built-in scanner and with nmap.")
    ] = False,
    ai: Annotated[
        bool, typer.Option("--ai", help="Measure the gateway to models instead, retrieval, and summaries.")
    ] = False,
    web: Annotated[
        bool, typer.Option("--web", help="Measure the dashboard instead: pages, alerts, live clients.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write the JSON object there too.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Measure ingest and questions in a scratch database on this machine; or CVEs, mesh, work, scans, AI, pages."""
    kinds = (("vulns", vulns), ("mesh", mesh), ("work", work), ("quality", quality), ("ai", ai), ("web", web))
    chosen = [name for name, wanted in kinds if wanted]
    if len(chosen) > 1:
        both = " and ".join(f"--{name}" for name in chosen[:2])
        raise BadRequest(f"{both} are two benchmarks.", field=chosen[1], hint="Run one after the other.")
    if chosen:
        measure = _measure(chosen[0], hosts=hosts, nodes=nodes, services=services, feeds=feeds)
        from spectra.bench.main import printed

        raise typer.Exit(printed(measure, as_json=json, output=output))
    if feeds is not None:
        raise BadRequest("--feeds is for --vulns and --ai.", field="feeds", hint="spectra bench --vulns --feeds DIR")
    from spectra.bench.main import main

    raise typer.Exit(main(hosts, as_json=json, batch=batch, output=output))


def _measure(kind: str, *, hosts: int, nodes: int, services: int, feeds: Path | None) -> Measure:
    """The benchmark of that name, which is told where to say how far it is."""
    from spectra.bench import ai, mesh, quality, vulns, web, work

    measures: dict[str, Measure] = {
        "ai": lambda say: ai.run(folder=feeds, say=say),
        "web": lambda say: web.run(hosts, say=say),
        "work": lambda say: work.run(say=say),
        "quality": lambda say: quality.run(say=say),
        "mesh": lambda say: mesh.run(nodes, say=say),
        "vulns": lambda say: vulns.run(services, folder=feeds, say=say),
    }
    return measures[kind]


BENCH_EXAMPLES = examples(
    "spectra bench",
    "spectra bench --hosts 100000 --json",
    "spectra bench --vulns --feeds ~/feeds --json",
    "spectra bench --mesh --json",
    "spectra bench --work --json",
    "spectra bench --quality --json",
    "spectra bench --ai --json",
    "spectra bench --web --hosts 1000000 --json",
    "spectra bench -o today.json",
)
