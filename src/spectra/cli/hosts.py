"""`spectra host`: one host or name with its graph, now or at any past moment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING, Annotated

import typer

from spectra.cli.help import JsonOption, examples
from spectra.cli.local import Machine
from spectra.cli.output import Target, console, emit, note, terminal_width
from spectra.cli.times import parse_when
from spectra.errors import BadRequest

if TYPE_CHECKING:
    from rich.text import Text

    from spectra.cli.client import Client

MAX_NAME = 253  # RFC 1035 section 2.3.4


def host(
    context: typer.Context,
    *,
    who: Annotated[str, typer.Argument(metavar="IP|NAME", help="An address or a hostname.")],
    at: Annotated[str, typer.Option("--at", metavar="TIME", help="As it was then: 2h ago, 7d, 2025-11-01.")] = "",
    history: Annotated[bool, typer.Option("--history", help="With every version of every endpoint.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="With why each finding is one, all of them.")] = False,
    around: Annotated[
        bool, typer.Option("--around", help="Instead: other hosts that share something with it.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Show a host: names, endpoints, certificates, findings, evidence, who saw it, and its past."""
    now = datetime.now(UTC)
    moment = parse_when(at, now) if at else None
    address = canonical_address(who)
    with Machine.of(context).client(notify=note) as client:
        if around:
            _around(client, address or who, json=json)
            return
        look = _Look(client, now, moment, history, explain, json)
        look.host(address) if address else look.name(who)


HOST_EXAMPLES = examples(
    "spectra host 192.0.2.10",
    "spectra host 192.0.2.10 --explain",
    "spectra host 192.0.2.10 --at '2h ago'",
    "spectra host 192.0.2.10 --around",
    "spectra host www.example.org --history --json",
)


def canonical_address(text: str) -> str:
    """`text` in the canonical form of its address, or empty if it is none."""
    try:
        return str(ip_address(text.strip().strip("[]")))
    except ValueError:
        return ""


@dataclass(frozen=True)
class _Look:
    """What the user asked to see of whatever is named."""

    client: Client
    now: datetime
    at: datetime | None
    history: bool
    explain: bool
    json: bool

    def host(self, address: str) -> None:
        """Print the host at `address`."""
        from spectra.cli.client import segment
        from spectra.cli.hostpage import host_page
        from spectra.model.records import HostRecord

        params: dict[str, str | int] = {"at": self.at.isoformat().replace("+00:00", "Z")} if self.at else {}
        if self.history:
            params["history"] = "true"
        record = self.client.get(f"/v0/host/{segment(address)}", HostRecord, params)
        if self.json:
            emit([record], [], Target.of(json=True))
        else:
            _print(host_page(record, self.now, terminal_width(), explain=self.explain))
            if record.findings_hidden:
                note("What is vulnerable there is told to who is Pro: `spectra account` shows where you stand.")

    def name(self, name: str) -> None:
        """Print what is known of a hostname, and its host where it has one address or a past was asked for."""
        from spectra.cli.client import segment
        from spectra.cli.hostpage import name_page
        from spectra.model.records import NameRecord

        if len(name) > MAX_NAME:
            raise BadRequest(f"a hostname has at most {MAX_NAME} characters", field="who")
        record = self.client.get(f"/v0/hostname/{segment(name.strip().lower().rstrip('.'))}", NameRecord)
        past = bool(self.at or self.history)
        if self.json and not past:
            emit([record], [], Target.of(json=True))
            return
        if not self.json:
            _print(name_page(record, self.now, terminal_width()))
        if len(record.addresses) == 1 or past:  # with several, one page each would bury the list
            for address in record.addresses:
                self.host(address)
        elif record.addresses:
            note(f"Look at one: spectra host {record.addresses[0]}")


def _around(client: Client, address: str, *, json: bool) -> None:
    """Print what ties the host at `address` to others."""
    from spectra.cli.aroundpage import around_page
    from spectra.cli.client import segment
    from spectra.model.around import Around

    record = client.get(f"/v0/hosts/{segment(address)}/around", Around)
    if json:
        emit([record], [], Target.of(json=True))
    elif record.ties:
        _print(around_page(record, terminal_width()))
    else:
        note(f"{record.ip} shares nothing that is known.")


def _print(rows: Iterable[Text]) -> None:
    screen = console()
    for row in rows:
        screen.print(row)
