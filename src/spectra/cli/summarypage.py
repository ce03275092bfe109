"""A summary on the terminal: three points, each sentence with the numbers of the records it cites."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from spectra.cli.safe import safe

if TYPE_CHECKING:
    from rich.text import Text

    from spectra.model.summaries import AiSummary, Claim

STYLES: Final = {"high": "bold red", "medium": "yellow", "low": "cyan"}


def page(summary: AiSummary, width: int) -> Iterator[Text]:
    """The three points and the records as lines, none wider than `width` cells."""
    from rich.text import Text

    numbers = {record.id: str(number) for number, record in enumerate(summary.records, 1)}
    yield Text(textwrap.shorten(f" {safe(summary.target)}", max(width, 20), placeholder=" …"), style="bold cyan")
    yield Text()
    yield Text(" • Summary", style="bold")
    for claim in summary.summary:
        yield from wrapped(_cited(claim, numbers), "   ", width)
    yield Text(" • Risks", style="bold")
    for risk in summary.risks:
        lines = list(wrapped(_cited(risk, numbers), f"   {risk.level:<6}  ", width, " " * 11))
        lines[0].stylize(STYLES.get(risk.level, ""), 3, 3 + len(risk.level))
        yield from lines
    if not summary.risks:
        yield Text("   None that the facts show.")
    yield Text(" • Next steps", style="bold")
    for number, step in enumerate(summary.next_steps, 1):
        yield from wrapped(_cited(step, numbers), f"   {number}. ", width, "      ")
    yield Text(" • Records", style="bold")
    for record in summary.records:
        yield from wrapped(record.id, f"   [{numbers[record.id]}] ", width, "       ")
    yield Text()


def basis(summary: AiSummary) -> str:
    """Who drew the conclusions, in a sentence."""
    if summary.by == "rules":
        return f"From the facts of the graph, by fixed rules. {safe(summary.why)}".strip()
    who = f"{safe(summary.model)} of {safe(summary.provider)}" if summary.model else safe(summary.provider)
    kept = f", kept since {summary.at:%Y-%m-%d %H:%M} UTC" if summary.cached else ""
    return f"By {who} from {summary.facts} facts, told as {safe(summary.label)}{kept}."


def wrapped(text: str, indent: str, width: int, following: str = "") -> Iterator[Text]:
    """Text as lines after an indent."""
    from rich.text import Text

    lines = textwrap.wrap(
        safe(text),
        max(width, 20),
        initial_indent=indent,
        subsequent_indent=following or indent,
        break_on_hyphens=False,
    )
    yield from (Text(line) for line in lines or [indent])


def _cited(claim: Claim, numbers: dict[str, str]) -> str:
    cites: Sequence[str] = [numbers[record] for record in claim.cites if record in numbers]
    return f"{claim.says} [{', '.join(cites)}]" if cites else claim.says
