"""`spectra findings triage`, `reopen` and `decisions`: what was decided about findings."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

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
from spectra.cli.output import Column, Target, emit, finish, note, plural
from spectra.cli.pages import Command
from spectra.cli.times import ago, parse_until, stamp
from spectra.errors import BadRequest, NotFound

if TYPE_CHECKING:
    from spectra.cli.client import Client
    from spectra.model.triage import DecisionRecord

CHUNK = 1000
"""Findings that are decided about in one call."""
_STATUSES = ("accepted", "false_positive", "not_affected", "fixed", "investigating", "affected")
_SYNONYMS = {"accept": "accepted", "dismissed": "false_positive", "dismiss": "false_positive", "fix": "fixed"}
_UUID_LENGTH = 36

IdsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="ID...", help="Ids of findings as lists have them; - reads them.")
]
HostOption = Annotated[bool, typer.Option("--host", help="For the whole host, also its other ports.")]
EverywhereOption = Annotated[bool, typer.Option("--everywhere", help="For every host; a CVE alone is enough then.")]
CpeOption = Annotated[
    str, typer.Option("--cpe", metavar="CPE", help="Only for this software: cpe:2.3:a:openbsd:openssh or more of it.")
]


def _columns(now: datetime) -> list[Column[DecisionRecord]]:
    return [
        Column("id", lambda d: d.id, table=False),
        Column("short", lambda d: d.id[:8], "decision", data=False, style="cyan"),
        Column("cve", lambda d: d.cve),
        Column("status", lambda d: d.status.replace("_", " "), style="bold", data=False),
        Column("decided", lambda d: d.status, table=False),
        Column("where", _place, "for", data=False),
        Column("scope", lambda d: d.scope, table=False),
        Column("ip", lambda d: d.ip, table=False),
        Column("port", lambda d: d.port, table=False),
        Column("protocol", lambda d: d.protocol, table=False),
        Column("cpe", lambda d: d.cpe, "software", flexible=True, optional=True),
        Column("note", lambda d: d.note, flexible=True, main=True),
        Column("justification", lambda d: d.justification, optional=True, flexible=True),
        Column("until", lambda d: stamp(d.until) if d.until else "", optional=True, data=False),
        Column("ends", lambda d: d.until, table=False),
        Column("age", lambda d: ago(d.at, now), "made", data=False, style="dim"),
        Column("at", lambda d: d.at, table=False),
        Column("by", lambda d: d.by, optional=True, flexible=True),
        Column("origin", lambda d: d.origin, optional=True, flexible=True),
        Column("gone", lambda d: ago(d.removed, now) if d.removed else "", "removed", data=False, optional=True),
        Column("removed", lambda d: d.removed, table=False),
        Column("removed_by", lambda d: d.removed_by, table=False),
    ]


def _place(decision: DecisionRecord) -> str:
    return f"{decision.ip} {decision.port}/{decision.protocol}" if decision.port else decision.ip or "every host"


def triage(
    context: typer.Context,
    *,
    status: Annotated[
        str,
        typer.Argument(
            metavar="STATUS", help="accepted, false_positive, not_affected, fixed, investigating or affected."
        ),
    ],
    ids: IdsArgument = None,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="Why, for those who read it later.")] = "",
    until: Annotated[
        str, typer.Option("--until", metavar="TIME", help="90d, or a date: then it ends and the finding is back.")
    ] = "",
    justification: Annotated[
        str,
        typer.Option("--justification", metavar="WORD", help="Of not_affected: vulnerable_code_not_present ... (VEX)."),
    ] = "",
    host: HostOption = False,
    everywhere: EverywhereOption = False,
    cpe: CpeOption = "",
    where: Annotated[
        str, typer.Option("--where", metavar="QUERY", help="The open findings of --cve there, instead of ids.")
    ] = "",
    cve: Annotated[str, typer.Option("--cve", metavar="CVE", help="Which CVE's findings --where means.")] = "",
    json: JsonOption = False,
) -> None:
    """Decide about findings: accepted (a risk that is taken), false_positive, not_affected, fixed, investigating or
    affected (it is one, and somebody works on it).

    The first four settle a finding: lists and numbers leave it out from then on. A decision is for the endpoint of the
    finding, for its host or for every host; the narrowest holds. It stays through scans and feeds until it ends, is
    taken back (spectra findings reopen) or another one takes its place.
    """
    word = status.lower().replace("-", "_")
    if (word := _SYNONYMS.get(word, word)) not in _STATUSES:
        raise BadRequest(f"{status!r} is no status", field="status", hint=f"Statuses are {', '.join(_STATUSES)}.")
    if bool(ids) == bool(where or cve):
        raise BadRequest("Name either findings, or --cve and perhaps --where", field="id")
    body: dict[str, object] = {"status": word, "scope": _scope(host, everywhere)}
    given = {"note": note, "justification": justification, "cpe": cpe}
    body |= {name: value for name, value in given.items() if value}
    if until:
        body["until"] = parse_until(until, datetime.now(UTC)).isoformat().replace("+00:00", "Z")
    wishes = [{"q": where, "cve": cve}] if not ids else [{"findings": part} for part in _chunks(_read(ids))]
    _decide(Machine.of(context), [body | wish for wish in wishes], json)


def _decide(machine: Machine, bodies: list[dict[str, Any]], json: bool) -> None:
    from spectra.model.triage import Decided

    made: list[DecisionRecord] = []
    replaced = unchanged = 0
    with machine.client(notify=note) as client:
        for body in bodies:
            found = client.post("/v0/triage", Decided, body)
            made += found.decisions
            replaced += len(found.replaced)
            unchanged += found.unchanged
    emit(made, _columns(datetime.now(UTC)), Target.of(json=json))
    words = [plural(len(made), "decision")]
    words += [f"{replaced:,} took the place of another"] if replaced else []
    words += [f"{unchanged:,} stood already"] if unchanged else []
    note(", ".join(words))


def reopen(
    context: typer.Context,
    *,
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of findings or of decisions; - reads them.")],
    host: HostOption = False,
    everywhere: EverywhereOption = False,
    cpe: CpeOption = "",
    json: JsonOption = False,
) -> None:
    """Take decisions back, so that what they were about is open again.

    A finding's own decision; with --host or --everywhere the wider one. The id of a decision (spectra findings
    decisions) names it whatever it is about.
    """
    from urllib.parse import urlencode

    from spectra.cli.client import segment
    from spectra.model.triage import DecisionRecord

    scope = _scope(host, everywhere)
    gone: list[DecisionRecord] = []
    with Machine.of(context).client(notify=note) as client:
        for word in _read(ids):
            if "~" in word or word.upper().startswith("CVE-"):
                query = urlencode({"scope": scope} | ({"cpe": cpe} if cpe else {}))
                path = f"/v0/findings/{segment(word)}/triage?{query}"
            else:
                path = f"/v0/triage/{segment(_whole(client, word))}"
            gone.append(client.call("DELETE", path, DecisionRecord))
    emit(gone, _columns(datetime.now(UTC)), Target.of(json=json))


def _whole(client: Client, word: str) -> str:
    """The id of the decision that stands and begins so."""
    from spectra.cli.paging import Paged
    from spectra.model.triage import DecisionPage

    if len(word) >= _UUID_LENGTH:
        return word
    pages = Paged(client, "/v0/triage", DecisionPage, lambda page: page.decisions, params={}, limit=0)
    found = [one.id for one in pages if one.id.startswith(word.lower())] if len(word) >= 8 else []
    if not found:
        raise NotFound(f"{word} is no decision that stands", hint="`spectra findings decisions` lists those.")
    if len(found) > 1:
        raise BadRequest(f"{len(found)} decisions begin with {word}", field="id", hint="Give more digits.")
    return found[0]


def decisions(
    context: typer.Context,
    *,
    cve: Annotated[str, typer.Option("--cve", metavar="CVE", help="Only about this CVE.")] = "",
    status: Annotated[str, typer.Option("--status", metavar="A,B", help="accepted, false_positive, fixed ...")] = "",
    scope: Annotated[str, typer.Option("--scope", help="endpoint, host or everywhere.")] = "",
    net: Annotated[str, typer.Option("--net", metavar="CIDR", help="For endpoints and hosts there.")] = "",
    by: Annotated[str, typer.Option("--by", metavar="ACCOUNT", help="Only those of this account.")] = "",
    origin: Annotated[str, typer.Option("--origin", metavar="ID", help="Only those of this VEX document.")] = "",
    state: Annotated[
        str, typer.Option("--state", help="standing, ended (their time is over), removed, or all.")
    ] = "standing",
    limit: LimitOption = 100,
    everything: AllOption = False,
    json: JsonOption = False,
    csv: CsvOption = False,
    format: FormatOption = "",
    fields: FieldsOption = "",
    out: FileOption = None,
) -> None:
    """List decisions about findings, the newest first."""
    from spectra.cli.paging import Paged, watched
    from spectra.model.triage import DecisionPage

    given = {"cve": cve, "status": status, "scope": scope, "net": net, "by": by, "origin": origin, "state": state}
    params: dict[str, str | int] = {name: value for name, value in given.items() if value}
    target = Target.of(json=json, csv=csv, fields=fields, path=out, format=format)
    most = 0 if everything else limit
    with Machine.of(context).client(notify=note) as client:
        pages = Paged(client, "/v0/triage", DecisionPage, lambda page: page.decisions, params=params, limit=most)
        count = emit(watched(pages, target), _columns(datetime.now(UTC)), target)
    finish(count, target, more=pages.more, what="decision", nothing="No decision.")


def _scope(host: bool, everywhere: bool) -> str:
    if host and everywhere:
        raise BadRequest("--host and --everywhere exclude each other", field="host")
    return "host" if host else "everywhere" if everywhere else "endpoint"


def _read(words: Iterable[str]) -> list[str]:
    """Each once; `-` stands for the lines of standard input: ids, or JSON lines that have one."""
    found: dict[str, None] = {}
    for word in words:
        for text in _lines() if word == "-" else [word]:
            found[text] = None
    if not found:
        raise BadRequest("no id was given", field="id", hint="Lists have them: spectra findings --json")
    return list(found)


def _lines() -> Iterator[str]:
    import msgspec

    class Identified(msgspec.Struct):
        """A record with an id."""

        id: str

    for number, line in enumerate(sys.stdin, 1):
        text = line.strip()
        if text.startswith("{"):
            try:
                text = msgspec.json.decode(text, type=Identified).id
            except msgspec.DecodeError as error:
                raise BadRequest(f"line {number} of standard input has no id: {error}", field="id") from error
        if text:
            yield text


def _chunks(found: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(found), CHUNK):
        yield found[start : start + CHUNK]


def add_to(group: typer.Typer) -> None:
    """Make them commands of `spectra findings`."""
    group.command(
        "triage",
        cls=Command,
        epilog=examples(
            "spectra findings triage accepted 192.0.2.7~22~tcp~CVE-2024-6387 --until 90d",
            "spectra findings triage false_positive 192.0.2.7~CVE-2024-6387 --host --note 'not built in'",
            "spectra findings triage fixed CVE-2024-6387 --everywhere --cpe cpe:2.3:a:openbsd:openssh",
            "spectra findings triage accepted --cve CVE-2024-6387 --where net:10.0.0.0/8 --until 2027-03-01",
            "spectra findings severity:low --all --json | spectra findings triage accepted - --until 1y",
        ),
    )(triage)
    group.command(
        "reopen",
        cls=Command,
        epilog=examples(
            "spectra findings reopen 192.0.2.7~22~tcp~CVE-2024-6387",
            "spectra findings reopen CVE-2024-6387 --everywhere",
        ),
    )(reopen)
    group.command(
        "decisions",
        cls=Command,
        epilog=examples(
            "spectra findings decisions",
            "spectra findings decisions --cve CVE-2024-6387 --state all",
            "spectra findings decisions --status accepted --net 10.0.0.0/8 --csv -o accepted.csv",
        ),
    )(decisions)
