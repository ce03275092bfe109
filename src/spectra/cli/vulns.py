"""`spectra vulns`: CVEs by words and by what is known of them, and one with all of that."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
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
from spectra.cli.output import Column, Format, Target, console, emit, finish, note, terminal_width, text
from spectra.cli.pages import Command
from spectra.cli.times import parse_when, span
from spectra.errors import BadRequest

if TYPE_CHECKING:
    from rich.text import Text

    from spectra.cli.client import Client
    from spectra.model.vulnrecords import VulnHost, VulnSummary, VulnTotal

SEVERITY_STYLE = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan"}
_CVE = re.compile(r"CVE-\d{4}-\d{4,9}", re.IGNORECASE | re.ASCII)
_EXCLUDED = re.compile(r'-(?:[A-Za-z0-9]{2}|").*', re.DOTALL)
_GUARD = "\0"  # cannot occur in an argument, so it marks one without ambiguity


class TextCommand(Command):
    """A command whose words may start with `-`, as in `-windows`, without being options.

    `-o` and `-f` stand alone then, with their value after a blank.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Mark words that exclude, so that the option parser leaves them alone."""
        return super().parse_args(ctx, list(self._marked(args)))

    def _marked(self, args: list[str]) -> Iterator[str]:
        valued = {name for p in self.params if not getattr(p, "is_flag", True) for name in p.opts}
        before = ""
        for arg in args:
            yield _GUARD + arg if before not in valued and _EXCLUDED.fullmatch(arg) else arg
            before = arg


# Tables --------------------------------------------------------------------------------------------------------------


def severity(vuln: VulnSummary) -> Text:
    """`critical 9.8`, in its colour."""
    score = "" if vuln.cvss is None else f" {vuln.cvss:.1f}"
    return text(f"{vuln.severity or '-'}{score}", SEVERITY_STYLE.get(vuln.severity, "dim"))


def percent(share: float | None) -> str:
    """`94.3%`, `0.04%`; empty for None."""
    if share is None:
        return ""
    return f"{share:.1%}" if share >= 0.001 else f"{share:.2%}"


def _exploited(vuln: VulnSummary) -> Text:
    """Whether it is known to be used: by ransomware, at all, or that there is code for it."""
    if vuln.ransomware:
        return text("ransom", "bold red")
    if vuln.kev or vuln.exploitation == "active":
        return text("yes", "red")
    return text("poc" if vuln.exploitation == "poc" else "", "yellow")


def _age(vuln: VulnSummary) -> str:
    """For how long it has been published, in one unit."""
    return span(datetime.now(UTC) - vuln.published, 1) if vuln.published else ""


def _says(vuln: VulnSummary) -> str:
    said = ": ".join(part for part in (vuln.title, vuln.description) if part)
    return f"({vuln.status}) {said}" if vuln.status in ("rejected", "disputed") else said


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


COLUMNS: list[Column[VulnSummary]] = [
    Column("cve", lambda v: v.cve, style="cyan"),
    Column("is", severity, "severity", data=False),
    Column("severity", lambda v: v.severity, table=False),
    Column("cvss", lambda v: _rounded(v.cvss, 1), table=False),
    Column("cvss_version", lambda v: v.cvss_version, table=False),
    Column("likely", lambda v: percent(v.epss), "epss", data=False, right=True),
    Column("epss", lambda v: _rounded(v.epss, 5), table=False),
    Column("epss_percentile", lambda v: _rounded(v.epss_percentile, 5), table=False),
    Column("exploited", _exploited, "used", data=False),
    Column("kev", lambda v: v.kev, table=False),
    Column("ransomware", lambda v: v.ransomware, table=False),
    Column("exploitation", lambda v: v.exploitation, table=False),
    Column("weight", lambda v: f"{v.risk:.0f}", "risk", data=False, right=True),
    Column("risk", lambda v: _rounded(v.risk, 1), table=False),
    Column("age", _age, data=False, right=True, style="dim"),
    Column("says", _says, data=False, flexible=True, main=True),
    Column("status", lambda v: v.status, table=False),
    Column("published", lambda v: v.published, table=False),
    Column("modified", lambda v: v.modified, table=False),
    Column("products", lambda v: v.products, table=False),
    Column("title", lambda v: v.title, table=False),
    Column("description", lambda v: v.description, table=False),
    Column("relevance", lambda v: v.relevance, table=False, data=False),
]


def host_columns() -> list[Column[VulnHost]]:
    """An endpoint that a CVE concerns, and why."""
    from spectra.model.findingrecords import level

    return [
        Column("ip", lambda h: h.ip, "address", style="cyan"),
        Column("endpoint", lambda h: f"{h.port}/{h.protocol}", "port", data=False, right=True),
        Column("port", lambda h: h.port, table=False),
        Column("protocol", lambda h: h.protocol, table=False),
        Column("software", lambda h: f"{h.product} {h.version}".strip(), data=False, flexible=True, main=True),
        Column("service", lambda h: h.service, table=False),
        Column("product", lambda h: h.product, table=False),
        Column("version", lambda h: h.version, table=False),
        Column("range", lambda h: h.range, "affected", flexible=True),
        Column("sure", lambda h: level(h.confidence), data=False),
        Column("confidence", lambda h: _rounded(h.confidence, 3), table=False),
        Column("patched", lambda h: text(h.patched, "yellow"), optional=True),
        Column("cpe", lambda h: h.cpe, table=False),
        Column("criterion", lambda h: h.criterion, table=False),
        Column("source", lambda h: h.source, table=False),
        Column("requires", lambda h: h.requires, table=False),
        Column("names", lambda h: h.hostnames, data=False, flexible=True, optional=True),
        Column("hostnames", lambda h: h.hostnames, table=False),
        Column("since", lambda h: h.since, table=False),
        Column("last_seen", lambda h: h.last_seen, table=False),
    ]


# The command ---------------------------------------------------------------------------------------------------------


def _narrow(name: str, shown: str, help: str) -> Any:
    return typer.Option(f"--{name}", metavar=shown, help=help)


WordsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="TEXT|CVE", help="Words to look for, or the id of one CVE.")
]
LeastEpss = Annotated[
    float | None, typer.Option("--min-epss", min=0, max=1, help="Exploited within 30 days this probably (0..1).")
]
AffectingOption = Annotated[
    bool | None, typer.Option("--affecting/--not-affecting", help="That concern a service seen here, or none.")
]
StatusOption = Annotated[
    str, _narrow("status", "WORD", "published, awaiting, deferred, disputed, rejected or all; else not rejected.")
]
SortOption = Annotated[
    str, typer.Option("--sort", help="relevance, risk, cvss, epss, published, modified or cve; -cve turns it.")
]


def vulns(
    context: typer.Context,
    *,
    words: WordsArgument = None,
    severity: Annotated[str, _narrow("severity", "high,critical", "Of these severities.")] = "",
    min_cvss: Annotated[float | None, typer.Option("--min-cvss", min=0, max=10, help="From this score on.")] = None,
    max_cvss: Annotated[float | None, typer.Option("--max-cvss", min=0, max=10, help="Up to this score.")] = None,
    min_epss: LeastEpss = None,
    kev: Annotated[bool | None, typer.Option("--kev/--no-kev", help="Known to be exploited (CISA), or not.")] = None,
    ransomware: Annotated[bool, typer.Option("--ransomware", help="Known to be used for ransomware.")] = False,
    affecting: AffectingOption = None,
    product: Annotated[str, _narrow("product", "openssh", "Of this product, or vendor:product.")] = "",
    cwe: Annotated[str, _narrow("cwe", "79,89", "Of these weaknesses.")] = "",
    year: Annotated[str, _narrow("year", "2019-2021", "With ids of these years.")] = "",
    since: Annotated[str, _narrow("since", "TIME", "Published since then: 7d, 2024-07-01.")] = "",
    before: Annotated[str, _narrow("before", "TIME", "Published before.")] = "",
    modified: Annotated[str, _narrow("modified", "TIME", "Changed by a source since then.")] = "",
    status: StatusOption = "",
    sort: SortOption = "",
    hosts: Annotated[bool, typer.Option("--hosts", help="With a CVE: the endpoints it concerns.")] = False,
    limit: LimitOption = 50,
    everything: AllOption = False,
    json: JsonOption = False,
    csv: CsvOption = False,
    format: FormatOption = "",
    fields: FieldsOption = "",
    out: FileOption = None,
) -> None:
    """Find CVEs by words and by what is known of them, or show one with everything: scores, exploitation, what is
    affected, which endpoints it concerns, references, and what each source says.

    Words are looked for in all their forms; "exact words" stand in this order, a leading `-` excludes, `or` is between
    alternatives, and an id or the beginning of one (CVE-2024-63*) finds by id. With words the best matches come
    first, else the riskiest.
    """
    target = Target.of(json=json, csv=csv, fields=fields, path=out, format=format)
    said = [word.removeprefix(_GUARD) for word in words or []]
    cve, most = one_of(said), 0 if everything else limit
    given: dict[str, object] = {
        "severity": severity, "min_cvss": min_cvss, "max_cvss": max_cvss, "min_epss": min_epss, "kev": kev,
        "ransomware": ransomware or None, "affecting": affecting, "product": product, "cwe": cwe, "year": year,
        "published_since": _when(since), "published_before": _when(before), "modified_since": _when(modified),
        "status": status, "sort": sort,
    }  # fmt: skip
    asked = {name: _param(value) for name, value in given.items() if value not in ("", None)}
    if hosts and not cve:
        raise BadRequest("--hosts needs the id of a CVE", field="hosts", hint="spectra vulns CVE-2024-6387 --hosts")
    with Machine.of(context).client(notify=note) as client:
        if hosts:
            _hosts(client, cve, most, target)
        elif cve and not asked and target.format is not Format.CSV and not target.fields:
            _show(client, cve, target)
        else:
            words_of = {"text": cve or " ".join(said)} if said else {}
            _list(client, words_of | ({"status": "all"} if cve else {}) | asked, most, target)


VULNS_EXAMPLES = examples(
    "spectra vulns openssh race --severity high,critical",
    "spectra vulns CVE-2024-6387",
    "spectra vulns --affecting --kev --sort epss",
    """spectra vulns '"sql injection"' -wordpress --since 90d --csv -o found.csv""",
    "spectra vulns CVE-2024-6387 --hosts --json",
)


def one_of(words: Sequence[str]) -> str:
    """The CVE that is asked for by its id alone, also after `show`; empty where words are looked for."""
    last = words[-1].strip() if words else ""
    alone = len(words) == 1 or (len(words) == 2 and words[0] == "show")
    return last.upper() if alone and _CVE.fullmatch(last) else ""


def _when(moment: str) -> str:
    return parse_when(moment, datetime.now(UTC)).isoformat().replace("+00:00", "Z") if moment else ""


def _param(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _list(client: Client, asked: dict[str, str], limit: int, target: Target) -> None:
    from spectra.cli.paging import Paged, watched
    from spectra.model.vulnrecords import VulnPage

    params: dict[str, str | int] = {**asked}
    counted = bool(limit) and target.format is Format.TABLE
    params |= {"total": "true"} if counted else {}
    pages = Paged(client, "/v0/vulns", VulnPage, lambda page: page.vulns, params=params, limit=limit)
    count = emit(watched(pages, target), COLUMNS, target)
    total = pages.first.total if pages.first else None
    if pages.more and total and not target.path:
        note(f"{count:,} of {_number(total)} shown; --all prints all.")
        return
    finish(count, target, more=pages.more, what="CVE", nothing=_nothing(asked))


def _number(total: VulnTotal) -> str:
    return f"{total.count:,}" if total.exact else f"about {total.count:,}"


def _nothing(asked: dict[str, str]) -> str:
    if "affecting" in asked or not asked:
        return "No CVE matches. `spectra feeds status` shows which feeds are loaded."
    return "No CVE matches."


def _show(client: Client, cve: str, target: Target) -> None:
    from spectra.cli.client import segment
    from spectra.cli.output import opened
    from spectra.cli.vulnpage import page
    from spectra.model.vulnrecords import VulnDetail

    found = client.get(f"/v0/vulns/{segment(cve)}", VulnDetail)
    if target.format is Format.JSON:
        finish(emit([found], [], target), target, what="CVE")
        return
    with opened(target.path) as stream:
        screen = console(stream)
        for line in page(found, datetime.now(UTC), terminal_width()):
            screen.print(line)


def _hosts(client: Client, cve: str, limit: int, target: Target) -> None:
    from spectra.cli.client import segment
    from spectra.cli.paging import Paged, watched
    from spectra.model.vulnrecords import VulnHosts

    pages = Paged(client, f"/v0/vulns/{segment(cve)}/hosts", VulnHosts, lambda page: page.hosts, params={}, limit=limit)
    count = emit(watched(pages, target), host_columns(), target)
    if pages.more and pages.first and not target.path:
        note(f"{count:,} of {pages.first.endpoints:,} shown; --all prints all.")
        return
    finish(count, target, more=pages.more, what="endpoint", nothing=f"No open endpoint is affected by {cve}.")
