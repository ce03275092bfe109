"""`spectra similar`, and `spectra feeds vectors` and `vectorize`: weaknesses that are alike, and how that is known."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from spectra.cli.help import CsvOption, FieldsOption, FileOption, FormatOption, JsonOption, examples
from spectra.cli.local import Machine
from spectra.cli.output import Column, Target, emit, json_line, note, plural
from spectra.cli.pages import Command
from spectra.cli.safe import safe

if TYPE_CHECKING:
    from spectra.model.records import WorkflowRecord
    from spectra.model.similar import EmbedderRecord, SimilarPage, SimilarVuln, VectorStatus

SIMILAR_EXAMPLES = examples(
    "spectra similar CVE-2024-6387",
    'spectra similar "race in a signal handler of an ssh server" --kev',
    "spectra similar CVE-2021-44228 --severity critical -k 5 --json",
)
_CVE = re.compile(r"CVE-\d{4}-\d{4,9}", re.IGNORECASE)


def similar(
    context: typer.Context,
    *,
    what: Annotated[list[str], typer.Argument(metavar="TEXT|CVE", help="A description in any words, or a CVE.")],
    k: Annotated[int, typer.Option("-k", "--limit", min=1, max=200, help="How many to print.")] = 20,
    severity: Annotated[str, typer.Option("--severity", help="Only these, such as high,critical.")] = "",
    min_cvss: Annotated[
        float | None, typer.Option("--min-cvss", min=0, max=10, help="Only from this score on.")
    ] = None,
    kev: Annotated[
        bool | None, typer.Option("--kev/--no-kev", help="Only those CISA knows to be exploited, or none of them.")
    ] = None,
    json: JsonOption = False,
    csv: CsvOption = False,
    fields: FieldsOption = "",
    out: FileOption = None,
    format: FormatOption = "",
) -> None:
    """Find the CVEs that are most like a description or like another CVE, by words and by meaning."""
    from spectra.model.similar import SimilarPage

    text = " ".join(what)
    asked: dict[str, str | int] = {"cve": text} if _CVE.fullmatch(text) else {"text": text}
    asked |= {"k": k}
    asked |= {"severity": severity} if severity else {}
    asked |= {"min_cvss": str(min_cvss)} if min_cvss is not None else {}
    asked |= {"kev": str(kev).lower()} if kev is not None else {}
    target = Target.of(json=json, csv=csv, fields=fields, path=out, format=format)
    with Machine.of(context).client(notify=note) as client:
        page = client.get("/v0/vulns/similar", SimilarPage, asked)
    if not emit(page.similar, _columns(), target):
        note("Nothing is like it.")
    _remarks(page)


def _columns() -> list[Column[SimilarVuln]]:
    return [
        Column("cve", lambda v: v.cve, "CVE", style="cyan", main=True),
        Column("severity", lambda v: v.severity),
        Column("cvss", lambda v: v.cvss, right=True),
        Column("kev", lambda v: v.kev, "exploited", style="red", optional=True),
        Column("text_rank", lambda v: v.text_rank, "by words", right=True),
        Column("vector_rank", lambda v: v.vector_rank, "by vectors", right=True),
        Column("cosine", lambda v: None if v.cosine is None else f"{v.cosine:.2f}", right=True),
        Column("score", lambda v: v.score, table=False),
        Column("risk", lambda v: v.risk, table=False),
        Column("products", lambda v: ",".join(v.products), flexible=True, optional=True),
        Column("title", lambda v: v.title, table=False),
        Column("description", lambda v: v.description, flexible=True, style="dim"),
    ]


def _remarks(page: SimilarPage) -> None:
    if page.note:
        note(page.note)
    elif page.vectors != "ready":
        why = "are being made" if page.vectors == "filling" else "are not there yet"
        note(f"By words alone: vectors {why}. `spectra feeds vectors` tells how far that is.")


def vectors(context: typer.Context, *, json: JsonOption = False) -> None:
    """Show what makes the vectors by which CVEs are compared, and how many texts have none yet."""
    from spectra.model.similar import VectorStatus

    with Machine.of(context).client(notify=note) as client:
        status = client.get("/v0/vulns/vectors", VectorStatus)
    lines = [json_line(status)] if json else _status(status)
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def _status(status: VectorStatus) -> list[str]:
    said = [_embedder("answers", status.ready)] if status.ready else []
    said += [_embedder("is being filled", status.filling)] if status.filling else []
    said = said or ["There are no vectors: similar CVEs are found by words alone."]
    return [*said, f"{plural(status.behind, 'text')} to go."] if status.behind else said


def _embedder(does: str, one: EmbedderRecord) -> str:
    of = f" at {one.place}" if one.place else f", learned from {plural(one.texts, 'text')}" if one.texts else ""
    how = "indexed" if one.indexed else "not indexed"
    return safe(f"{one.model}{of} {does}: {one.done:,} of {plural(one.total, 'text')}, {one.dims} dimensions, {how}.")


def vectorize(
    context: typer.Context,
    *,
    anew: Annotated[bool, typer.Option("--anew", help="Learn and make all anew, though they would do.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it until it ends; failing exits with 1.")] = False,
    json: JsonOption = False,
) -> None:
    """Bring the vectors of CVE texts up to date: durable, one at a time. What was there answers until the end.

    Not needed after a sync, which is followed by itself within minutes.
    """
    from spectra.cli.workflows import tell
    from spectra.model.similar import Vectorizing

    params = {"anew": "true"} if anew else {}
    with Machine.of(context).client(notify=note) as client:
        begun = client.slow("POST", "/v0/vulns/vectorize", Vectorizing, params=params)
        said = f"{plural(begun.behind, 'text')} without a vector"
        tell(client, begun, said, _ended, name="wf.vuln_vectorize", watch=watch, json=json)


def _ended(record: WorkflowRecord) -> str:
    return f"{plural(record.done, 'text')} looked at"


def add_to(group: typer.Typer) -> None:
    """Make two of them commands of `spectra feeds`."""
    group.command("vectors", cls=Command, epilog=examples("spectra feeds vectors"))(vectors)
    group.command("vectorize", cls=Command, epilog=examples("spectra feeds vectorize --watch"))(vectorize)
