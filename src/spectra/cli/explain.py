"""`spectra explain`: a host, a name or what a query finds, in three points that cite records.

For whoever is Pro a model that may see the facts is asked, and where none answers well in time rules answer; all others
have the rules' explanation of hosts, as `--rules` has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Final

import typer

from spectra.cli import completion
from spectra.cli.help import JsonOption, examples
from spectra.cli.hosts import canonical_address
from spectra.cli.local import Machine
from spectra.cli.output import Target, console, emit, note, terminal_width
from spectra.cli.pages import Command, Group
from spectra.cli.safe import safe
from spectra.cli.search import QueryCommand, unguarded
from spectra.cli.summarypage import STYLES, basis, wrapped
from spectra.cli.summarypage import page as summary_page
from spectra.errors import BadRequest

if TYPE_CHECKING:
    from rich.text import Text

    from spectra.cli.client import Client
    from spectra.model.explanations import Explanation, Risk
    from spectra.model.summaries import TargetKind

MAX_WIDTH: Final = 110
MAX_HOSTS: Final = 10
_BASIS: Final = "From the facts of the graph, by fixed rules; no language model was asked."
_FREE: Final = ("pro_required", "forbidden")
"""Why the server makes no summary for a caller whom it explains hosts to all the same."""

QuestionOption = Annotated[
    str, typer.Option("--question", "-q", metavar="TEXT", help="What to find out about it.", show_default=False)
]
RulesOption = Annotated[bool, typer.Option("--rules", help="By fixed rules alone; ask no language model.")]

explain = typer.Typer(cls=Group, help="Explain a host, a name or what a query finds: what it is, what to mind and do.")


def ip(
    context: typer.Context,
    *,
    address: Annotated[str, typer.Argument(metavar="IP", help="The address of a host.")],
    question: QuestionOption = "",
    rules: RulesOption = False,
    json: JsonOption = False,
) -> None:
    """Explain the host at an address."""
    canonical = canonical_address(address)
    if not canonical:
        raise BadRequest(f"{address!r} is not an IP address", hint=f"For a name: spectra explain host {address}")
    with Machine.of(context).client(notify=note) as client:
        _host(client, canonical, question, rules=rules, json=json)


def host(
    context: typer.Context,
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A hostname.")],
    question: QuestionOption = "",
    rules: RulesOption = False,
    json: JsonOption = False,
) -> None:
    """Explain the hosts that go by a name."""
    with Machine.of(context).client(notify=note) as client:
        if address := canonical_address(name):
            _host(client, address, question, rules=rules, json=json)
            return
        canonical = name.strip().lower().rstrip(".")
        if rules:
            _print(_of_name(client, canonical), json=json)
            return
        _summarised(
            client,
            "host",
            canonical,
            question,
            json=json,
            otherwise=lambda: _print(_of_name(client, canonical), json=json),
        )


def query(
    context: typer.Context,
    *,
    terms: Annotated[
        list[str],
        typer.Argument(metavar="QUERY...", help="Filters and words; all must hold.", autocompletion=completion.terms),
    ],
    question: QuestionOption = "",
    rules: RulesOption = False,
    json: JsonOption = False,
) -> None:
    """Explain what a query finds. Needs Pro."""
    with Machine.of(context).client(notify=note) as client:
        _summarised(client, "query", " ".join(unguarded(terms)), question, rules=rules, json=json)


explain.command(
    "ip",
    cls=Command,
    epilog=examples("spectra explain ip 192.0.2.10", 'spectra explain ip 192.0.2.10 --question "Who can log in?"'),
)(ip)
explain.command("host", cls=Command, epilog=examples("spectra explain host www.example.org --json"))(host)
explain.command("query", cls=QueryCommand, epilog=examples("spectra explain query port:22 country:FR"))(query)


def _host(client: Client, address: str, question: str, *, rules: bool, json: bool) -> None:
    def by_rules() -> None:
        _print([_asked(client, address)], json=json)

    if rules:
        by_rules()
    else:
        _summarised(client, "ip", address, question, json=json, otherwise=by_rules)


def _summarised(
    client: Client,
    kind: TargetKind,
    target: str,
    question: str,
    *,
    json: bool,
    rules: bool = False,
    otherwise: Callable[[], None] | None = None,
) -> None:
    """Print a summary; `otherwise` stands in for who may not have one."""
    from spectra.cli.problems import ApiError
    from spectra.model.summaries import AiSummary, SummaryRequest

    wanted = SummaryRequest(kind=kind, target=target, question=question, rules=rules)
    try:
        made = client.post("/v0/ai/summary", AiSummary, wanted)
    except ApiError as error:
        if otherwise is None or error.reason not in _FREE:
            raise
        otherwise()
        note(f"No summary by a model: {error.message}")
        return
    if json:
        emit([made], [], Target.of(json=True))
        return
    screen = console()
    for line in summary_page(made, min(terminal_width(), MAX_WIDTH)):
        screen.print(line)
    note(basis(made))


def _of_name(client: Client, name: str) -> list[Explanation]:
    """The hosts that go by a name, by rules."""
    from spectra.cli.client import segment
    from spectra.model.records import NameRecord

    record = client.get(f"/v0/hostname/{segment(name)}", NameRecord)
    if not record.addresses:
        note(f"No address is known for {record.name}: scan it.")
    if len(record.addresses) > MAX_HOSTS:
        note(f"{record.name} has {len(record.addresses)} addresses; these are the first {MAX_HOSTS}.")
    return [_asked(client, address) for address in record.addresses[:MAX_HOSTS]]


def _asked(client: Client, address: str) -> Explanation:
    from spectra.cli.client import segment
    from spectra.model.explanations import Explanation

    return client.get(f"/v0/explain/ip/{segment(address)}", Explanation)


def _print(found: list[Explanation], *, json: bool) -> None:
    if json:
        emit(found, [], Target.of(json=True))
        return
    screen = console()
    for explanation in found:
        for line in page(explanation, min(terminal_width(), MAX_WIDTH)):
            screen.print(line)
    if found:
        note(_BASIS)


def page(explanation: Explanation, width: int) -> Iterator[Text]:
    """The three points as lines, none wider than `width` cells."""
    from rich.text import Text

    yield Text(f" {safe(explanation.ip)}", style="bold cyan")
    yield Text()
    yield Text(" • Summary", style="bold")
    yield from wrapped(explanation.summary, "   ", width)
    yield Text(" • Risks", style="bold")
    for risk in explanation.risks:
        yield from _risk(risk, width)
    if not explanation.risks:
        yield Text("   None that the facts show.")
    yield Text(" • Next steps", style="bold")
    for number, step in enumerate(explanation.next_steps, 1):
        yield from wrapped(step, f"   {number}. ", width, "      ")
    yield Text()


def _risk(risk: Risk, width: int) -> Iterator[Text]:
    where = f"{risk.where}: " if risk.where else ""
    lines = list(wrapped(f"{where}{risk.says}", f"   {risk.level:<6}  ", width, " " * 11))
    lines[0].stylize(STYLES.get(risk.level, ""), 3, 3 + len(risk.level))
    yield from lines
