"""The command line's root: which commands there are, and the one place where errors become messages and exit codes.

Modules here import only the standard library and Typer at their top; what a command needs it imports when it runs, so
that help and completion answer at once.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from spectra import __version__
from spectra.cli import (
    accounts,
    agentcmds,
    agents,
    ai,
    alertrules,
    alerts,
    auth,
    bench,
    blocks,
    ca,
    chain,
    configs,
    correlate,
    coverage,
    diff,
    enrich,
    explain,
    export,
    feeds,
    findings,
    hosts,
    imports,
    insights,
    jobfiles,
    jobs,
    join,
    keys,
    mcp,
    node,
    nodelist,
    nodes,
    observations,
    places,
    plan,
    presets,
    provenance,
    report,
    reports,
    requests,
    scan,
    schedules,
    scopes,
    search,
    searches,
    stats,
    tail,
    tiers,
    triage,
    vectors,
    vex,
    vulns,
    workflows,
)
from spectra.cli.help import COLLECT, EXIT_CODES, LOOK, MESH, NODE, TRUST, examples
from spectra.cli.local import Machine
from spectra.cli.pages import Command, Group
from spectra.cli.problems import report as told
from spectra.errors import SpectraError

app = typer.Typer(
    name="spectra",
    cls=Group,
    help="A security-intelligence mesh on your own machine: scan, sign, submit, search, and keep the whole history.",
    epilog=EXIT_CODES,
    pretty_exceptions_enable=False,  # a traceback with local variables would print tokens
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"spectra {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    *,
    server: Annotated[
        str, typer.Option("--server", metavar="URL", help="The server to ask, instead of this machine's.")
    ] = "",
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", metavar="DIR", help="The node's folder, instead of the settings'.")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take what is said before the command."""
    context.obj = Machine(server=server, data_dir=data_dir)


def _register() -> None:
    """The single commands in the order help shows them."""
    single = (
        ("up", node.up, NODE, node.UP_EXAMPLES, Command),
        ("down", node.down, NODE, examples("spectra down --timeout 60"), Command),
        ("status", node.status, NODE, examples("spectra status", "spectra status --json"), Command),
        ("bench", bench.bench, NODE, bench.BENCH_EXAMPLES, Command),
        ("scan", scan.scan, COLLECT, scan.SCAN_EXAMPLES, Command),
        ("import", imports.import_, COLLECT, imports.IMPORT_EXAMPLES, Command),
        ("search", search.search, LOOK, search.SEARCH_EXAMPLES, search.QueryCommand),
        ("host", hosts.host, LOOK, hosts.HOST_EXAMPLES, Command),
        ("count", stats.count, LOOK, stats.COUNT_EXAMPLES, search.QueryCommand),
        ("stats", stats.stats, LOOK, stats.STATS_EXAMPLES, search.QueryCommand),
        ("diff", diff.diff, LOOK, diff.DIFF_EXAMPLES, search.QueryCommand),
        ("export", export.export, LOOK, export.EXPORT_EXAMPLES, search.QueryCommand),
        ("coverage", coverage.coverage, LOOK, coverage.COVERAGE_EXAMPLES, search.QueryCommand),
        ("vulns", vulns.vulns, LOOK, vulns.VULNS_EXAMPLES, vulns.TextCommand),
        ("tail", tail.tail, LOOK, tail.TAIL_EXAMPLES, Command),
        ("similar", vectors.similar, LOOK, vectors.SIMILAR_EXAMPLES, Command),
        ("mcp", mcp.mcp, LOOK, mcp.MCP_EXAMPLES, Command),
        ("report", report.report, LOOK, report.REPORT_EXAMPLES, search.QueryCommand),
        ("join", join.join, MESH, join.JOIN_EXAMPLES, Command),
        ("nodes", nodelist.nodes, MESH, nodelist.NODES_EXAMPLES, Command),
        ("presets", presets.presets, MESH, presets.PRESETS_EXAMPLES, Command),
        ("account", tiers.account, TRUST, tiers.ACCOUNT_EXAMPLES, Command),
        ("leaderboard", tiers.leaderboard, TRUST, tiers.LEADERBOARD_EXAMPLES, Command),
    )
    for name, function, panel, epilog, kind in single:
        app.command(name, cls=kind, rich_help_panel=panel, epilog=epilog)(function)


def _register_groups() -> None:
    """The groups of commands, after those."""
    groups = (
        ("findings", findings.findings, LOOK),
        ("place", places.place, LOOK),
        ("searches", searches.searches, LOOK),
        ("mesh", search.mesh, LOOK),
        ("plan", plan.plan, LOOK),
        ("explain", explain.explain, LOOK),
        ("enrich", enrich.enrich, LOOK),
        ("ai", ai.ai, LOOK),
        ("agents", agents.agents, LOOK),
        ("alerts", alerts.alerts, LOOK),
        ("insights", insights.insights, LOOK),
        ("reports", reports.reports, LOOK),
        ("observations", observations.observations, LOOK),
        ("workflows", workflows.workflows, LOOK),
        ("feeds", feeds.feeds, COLLECT),
        ("node", nodes.node, MESH),
        ("jobs", jobs.jobs, MESH),
        ("schedule", schedules.schedule, MESH),
        ("ca", ca.ca, MESH),
        ("provenance", provenance.provenance, TRUST),
        ("auth", auth.auth, TRUST),
        ("accounts", accounts.accounts, TRUST),
        ("keys", keys.keys, TRUST),
        ("scope", scopes.scope, TRUST),
        ("block", blocks.block, TRUST),
        ("config", configs.config, NODE),
    )
    alertrules.add_to(alerts.alerts)
    agentcmds.add_to(nodes.node)
    jobfiles.add_to(jobs.jobs)
    requests.add_to(scopes.scope)
    chain.add_to(provenance.provenance)
    correlate.add_to(feeds.feeds)
    vectors.add_to(feeds.feeds)
    tiers.add_to(accounts.accounts)
    triage.add_to(findings.findings)
    vex.add_to(findings.findings)
    for name, group, panel in groups:
        app.add_typer(group, name=name, rich_help_panel=panel)


_register()
_register_groups()


def main() -> None:
    """The `spectra` command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal without a character gets a `?`, not a traceback
            stream.reconfigure(errors="replace")
    code = 0
    try:
        with _just(_called(sys.argv[1:])):
            app(prog_name="spectra")
    except SpectraError as error:
        code = told(error, sys.stderr)
    finally:
        _flush()
    sys.exit(code)


def _called(words: Sequence[str]) -> str:
    """The command among the words after `spectra`; empty where none is called."""
    left = iter(words)
    for word in left:
        if word in ("--server", "--data-dir"):
            next(left, "")
        elif not word.startswith("-"):
            return word
        elif word in ("-h", "--help"):
            break
    return ""


@contextmanager
def _just(name: str) -> Generator[None]:
    """For as long, `app` has no other command than this, if it has it: making all two hundred of them takes a process
    longer than most of them do.
    """
    commands, groups = app.registered_commands, app.registered_groups
    command, group = [one for one in commands if one.name == name], [one for one in groups if one.name == name]
    if command or group:
        app.registered_commands, app.registered_groups = command, group
    try:
        yield
    finally:
        app.registered_commands, app.registered_groups = commands, groups


def _flush() -> None:
    """Whoever read our output has gone (`| head`): quietly let the rest go too."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
