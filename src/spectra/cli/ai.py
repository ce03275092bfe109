"""`spectra ai`: language models, what they took, and asking one."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from spectra.cli.help import (
    AllOption,
    CsvOption,
    FieldsOption,
    FileOption,
    FormatOption,
    JsonOption,
    LimitOption,
    examples,
)
from spectra.cli.local import Machine
from spectra.cli.output import Column, Target, emit, finish, json_line, note, plural, text
from spectra.cli.pages import Command, Group
from spectra.cli.times import parse_when
from spectra.errors import BadRequest, SpectraError

if TYPE_CHECKING:
    from spectra.cli.chatting import Reply
    from spectra.model.ai import ProviderState
    from spectra.model.aiusage import EgressRecord, UsageRow

MAX_QUESTION_BYTES = 1024 * 1024
ASK_WAIT_S = 660.0
"""Longest the server may be silent: a model may take as long as its settings let it."""
STYLES = {"ready": "green", "broken": "red", "blocked": "red", "spent": "yellow", "off": "dim"}
BY = ("day", "account", "provider", "model", "purpose", "label", "outcome")

ai = typer.Typer(cls=Group, help="Language models: which there are, what they took, and asking one.")


def providers(
    context: typer.Context,
    *,
    json: JsonOption = False,
    csv: CsvOption = False,
    fields: FieldsOption = "",
    out: FileOption = None,
    format: FormatOption = "",
) -> None:
    """List the providers in the order in which they are asked: what may go there, and why one is not."""
    from spectra.model.aiusage import ProviderPage

    target = Target.of(json=json, csv=csv, fields=fields, path=out, format=format)
    with Machine.of(context).client(notify=note) as client:
        page = client.get("/v0/ai/providers", ProviderPage)
    finish(emit(page.providers, _provider_columns(), target), target, what="provider")
    if not any(provider.state == "ready" for provider in page.providers):
        note("No model is ready: answers are drawn from the graph alone. docs/ai.md tells how to configure one.")
    if page.free_text == "detected":
        note("What people type may leave this machine, without what the detector finds in it (ai.free_text).")


def _provider_columns() -> list[Column[ProviderState]]:
    return [
        Column("name", lambda p: p.name, "provider", style="cyan", main=True),
        Column("state", lambda p: text(p.state, STYLES[p.state])),
        Column("model", lambda p: p.model, flexible=True),
        Column("residency", lambda p: p.residency, optional=True),
        Column("takes", lambda p: p.takes),
        Column("tokens_today", lambda p: p.tokens_today, "tokens today", right=True),
        Column("cost_today", lambda p: _cost(p.cost_today), "cost today", right=True, optional=True),
        Column("until", lambda p: p.until, table=False),
        Column("why", lambda p: p.why, flexible=True),
    ]


def usage(
    context: typer.Context,
    *,
    by: Annotated[str, typer.Option("--by", metavar="WHAT", help=f"One of {', '.join(BY)}.")] = "day",
    since: Annotated[str, typer.Option("--since", metavar="TIME", help="7d, 2h ago, 2026-01-31.")] = "7d",
    account: Annotated[str, typer.Option("--account", help="Of this account; admins may.")] = "",
    everybody: Annotated[bool, typer.Option("--everybody", help="Of all accounts; admins may.")] = False,
    json: JsonOption = False,
    csv: CsvOption = False,
    fields: FieldsOption = "",
    out: FileOption = None,
    format: FormatOption = "",
) -> None:
    """Show what models were asked and what that took: your own requests, without their content."""
    from spectra.model.aiusage import UsagePage

    if by not in BY:
        raise BadRequest(f"usage cannot be told by {by!r}", field="by", hint=f"One of {', '.join(BY)}.")
    whose = _whose(account, everybody=everybody)
    target = Target.of(json=json, csv=csv, fields=fields, path=out, format=format)
    start = parse_when(since, datetime.now(UTC))
    params = {"by": by, "since": start.isoformat().replace("+00:00", "Z")}
    if whose:
        params["account"] = whose
    with Machine.of(context).client(notify=note) as client:
        page = client.get("/v0/ai/usage", UsagePage, params)
    count = emit(page.usage, _usage_columns(by), target)
    finish(count, target, nothing="No model was asked.")


def _usage_columns(by: str) -> list[Column[UsageRow]]:
    return [
        Column("group", lambda u: u.group or "none", by, style="cyan", flexible=True, main=True),
        Column("requests", lambda u: u.requests, right=True),
        Column("answered", lambda u: u.answered, right=True),
        Column("cached", lambda u: u.cached, right=True),
        Column("failed", lambda u: u.failed, right=True),
        Column("away", lambda u: u.away, "left here", right=True),
        Column("input", lambda u: u.input, "tokens in", right=True),
        Column("output", lambda u: u.output, "tokens out", right=True),
        Column("cost", lambda u: _cost(u.cost), right=True, optional=True),
        Column("median_ms", lambda u: u.median_ms, "median ms", right=True, optional=True),
        Column("slowest_ms", lambda u: u.slowest_ms, "slowest ms", right=True, optional=True),
    ]


def left(
    context: typer.Context,
    *,
    account: Annotated[str, typer.Option("--account", help="Of this account; admins may.")] = "",
    everybody: Annotated[bool, typer.Option("--everybody", help="Of all accounts; admins may.")] = False,
    limit: LimitOption = 50,
    everything: AllOption = False,
    json: JsonOption = False,
    csv: CsvOption = False,
    fields: FieldsOption = "",
    out: FileOption = None,
    format: FormatOption = "",
) -> None:
    """List the requests that left this machine, the newest first: when, where to, of which class, and their SHA-256.

    They stand in the provenance chain since before they were sent. No content of any is kept.
    """
    from spectra.cli.paging import Paged, watched
    from spectra.model.aiusage import EgressPage

    target = Target.of(json=json, csv=csv, fields=fields, path=out, format=format)
    params: dict[str, str | int] = {"account": whose} if (whose := _whose(account, everybody=everybody)) else {}
    with Machine.of(context).client(notify=note) as client:
        limit = 0 if everything else limit
        rows = Paged(client, "/v0/ai/egress", EgressPage, lambda page: page.left, params=params, limit=limit)
        count = emit(watched(rows, target), _left_columns(), target)
    finish(count, target, more=rows.more, what="request", nothing="Nothing has left this machine.")


def _left_columns() -> list[Column[EgressRecord]]:
    return [
        Column("seq", lambda e: e.seq, table=False),
        Column("at", lambda e: e.at, "when", style="dim"),
        Column("account", lambda e: e.account, optional=True, flexible=True),
        Column("provider", lambda e: e.provider, style="cyan", main=True),
        Column("model", lambda e: e.model, optional=True, flexible=True),
        Column("class", lambda e: e.label),
        Column("bytes", lambda e: e.bytes, right=True),
        Column("purpose", lambda e: e.purpose),
        Column("host", lambda e: e.host, flexible=True),
        Column("sha256", lambda e: e.sha256, table=False),
        Column("digest", lambda e: e.sha256[:16], "sha-256", data=False, optional=True),
    ]


def _whose(account: str, *, everybody: bool) -> str:
    if account and everybody:
        raise BadRequest("--account and --everybody exclude each other", field="account")
    return "*" if everybody else account


def ask(
    context: typer.Context,
    *,
    question: Annotated[
        list[str] | None, typer.Argument(metavar="[QUESTION]...", help="What to ask; `-` or nothing: standard input.")
    ] = None,
    model: Annotated[str, typer.Option("--model", "-m", help="A model or provider alone, such as local.")] = "",
    system: Annotated[str, typer.Option("--system", metavar="TEXT", help="Instructions before the question.")] = "",
    max_tokens: Annotated[int, typer.Option("--max-tokens", min=0, help="Longest answer, in tokens.")] = 0,
    json: JsonOption = False,
) -> None:
    """Ask a model, with nothing but what you type: its answer is printed as it comes.

    What you type stays on this machine unless the settings say otherwise. For answers about hosts with sources to
    check, see spectra explain.
    """
    from spectra.cli.chatting import replies

    asked: dict[str, object] = {"model": model or "spectra", "stream": True, "stream_options": {"include_usage": True}}
    before = [{"role": "system", "content": system}] if system else []
    asked["messages"] = [*before, {"role": "user", "content": _question(question or [])}]
    if max_tokens:
        asked["max_completion_tokens"] = max_tokens
    with Machine.of(context).client(attempts=1, notify=note) as client:
        said = replies(client.lines("POST", "/v1/chat/completions", body=asked, wait_s=ASK_WAIT_S))
        last = said.whole() if json else said.tell(sys.stdout)
    if json:
        sys.stdout.write(json_line(last) + "\n")
    else:
        _tell(last)


def _tell(reply: Reply) -> None:
    words = f"{reply.provider} ({reply.model}), {reply.label}: {plural(reply.input + reply.output, 'token')}"
    note(f"{words}; it was cut off there" if reply.finish == "length" else words)


def _question(words: list[str]) -> str:
    question = " ".join(words)
    if question in ("", "-"):
        if sys.stdin.isatty() and not question:
            raise BadRequest("what is asked?", field="question", hint='spectra ai ask "what is HSTS?"')
        question = sys.stdin.read(MAX_QUESTION_BYTES + 1)
    if len(question.encode(errors="replace")) > MAX_QUESTION_BYTES:
        raise SpectraError("the question is longer than 1 MiB", reason="too_large")
    if not question.strip():
        raise BadRequest("the question is empty", field="question")
    return question


def _cost(cost: float) -> str:
    return f"{cost:.4f}" if cost else ""


ai.command(
    "providers", cls=Command, epilog=examples("spectra ai providers", "spectra ai providers --fields name,state,why")
)(providers)
ai.command(
    "usage",
    cls=Command,
    epilog=examples("spectra ai usage", "spectra ai usage --by provider --since 30d", "spectra ai usage --everybody"),
)(usage)
ai.command(
    "left",
    cls=Command,
    epilog=examples("spectra ai left", "spectra ai left --everybody --json", "spectra ai left --all"),
)(left)
ai.command(
    "ask",
    cls=Command,
    epilog=examples(
        'spectra ai ask "what is HSTS?"', "spectra ai ask --model local < question.txt", "spectra ai ask hello --json"
    ),
)(ask)
