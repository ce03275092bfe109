"""`spectra coverage`: how fresh a selection is, and where nobody ever looked."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import typer

from spectra.cli.help import JsonOption, examples
from spectra.cli.local import Machine
from spectra.cli.output import Target, console, emit, note, plural, terminal_width
from spectra.cli.plan import (
    AsnOption,
    CityOption,
    CloudOption,
    CountryOption,
    NetOption,
    PortOption,
    RegionOption,
    ServiceOption,
    WordsArgument,
    words_of,
)
from spectra.cli.safe import safe
from spectra.cli.times import ago, span

if TYPE_CHECKING:
    from rich.text import Text

    from spectra.model.plans import Coverage, Gaps

MAX_BAR = 40
SHOWN_BLOCKS = 20
NAME = 14


def coverage(
    context: typer.Context,
    *,
    words: WordsArgument = None,
    city: CityOption = "",
    country: CountryOption = "",
    region: RegionOption = "",
    asn: AsnOption = "",
    cloud: CloudOption = "",
    service: ServiceOption = "",
    port: PortOption = "",
    net: NetOption = "",
    json: JsonOption = False,
) -> None:
    """Show how fresh a selection is: when its endpoints were last seen, and what has outlived its lifetime.

    Where networks or an AS are selected, also which of their blocks were never seen.
    """
    from spectra.model.plans import Coverage

    params: dict[str, str | int] = {"q": words_of(words or []), "city": city, "country": country, "region": region}
    params |= {"asn": asn, "cloud": cloud, "service": service, "port": port, "net": net}
    with Machine.of(context).client(notify=note) as client:
        found = client.get("/v0/coverage", Coverage, {name: value for name, value in params.items() if value})
    if json:
        emit([found], [], Target.of(json=True))
        return
    screen = console()
    for line in page(found, datetime.now(UTC), terminal_width()):
        screen.print(line)


COVERAGE_EXAMPLES = examples(
    'spectra coverage --city "Tokyo"', "spectra coverage asn 3215 --service http", "spectra coverage net:10.0.0.0/8"
)


def page(found: Coverage, now: datetime, width: int) -> Iterator[Text]:
    """What there is to say of `found`, in lines of at most `width` cells."""
    from rich.text import Text

    about = "" if found.exact else "about "
    yield Text(f" {about}{plural(found.endpoints, 'open endpoint')}, {found.fresh:,} fresh, {found.stale:,} stale")
    if found.oldest and found.median_age_s is not None:
        middle = span(timedelta(seconds=found.median_age_s))
        yield Text(f" oldest seen {ago(found.oldest, now)}; half were seen within {middle}", style="dim")
        yield from _ages(found, width)
        yield from _services(found, width)
    if found.gaps:
        yield from _gaps(found.gaps)


def _ages(found: Coverage, width: int) -> Iterator[Text]:
    from rich.text import Text

    most = max((age.endpoints for age in found.ages), default=0)
    yield Text()
    yield Text(" LAST SEEN WITHIN", style="bold")
    for age in found.ages:
        yield Text.assemble(
            f" {age.within:<{NAME}} ",
            (_bar(age.endpoints, most, width), "cyan"),
            f" {age.endpoints:>11,} {_share(age.endpoints, found.endpoints)}",
        )


def _services(found: Coverage, width: int) -> Iterator[Text]:
    from rich.text import Text

    most = max((one.fresh + one.stale for one in found.services), default=0)
    yield Text()
    yield Text(" SERVICES: FRESH, STALE", style="bold")
    for one in found.services:
        both = one.fresh + one.stale
        bar = _bar(both, most, width).rstrip()
        fresh = round(len(bar) * one.fresh / both) if both else 0
        yield Text.assemble(
            f" {safe(one.service, NAME) or '(unknown)':<{NAME}} ",
            (bar[:fresh], "green"),
            (bar[fresh:], "yellow"),
            " " * (_room(width) - len(bar)),
            f" {one.fresh:>11,} {one.stale:>11,}",
            (f"  stale after {span(timedelta(seconds=one.lifetime_s))}", "dim"),
        )


def _gaps(gaps: Gaps) -> Iterator[Text]:
    from rich.text import Text

    yield Text()
    about = "" if gaps.exact else " (not all of them were looked through)"
    yield Text(f" GAPS in {plural(gaps.networks, 'network')}{about}", style="bold")
    kinds = (
        ("never seen", gaps.never_seen, gaps.never_seen_blocks),
        ("silent: probed, no answer", gaps.silent, gaps.silent_blocks),
    )
    for what, listed, total in kinds:
        yield Text(f" {plural(total, 'block')} {what}")
        for block in listed[:SHOWN_BLOCKS]:
            yield Text(f"   {safe(block, 60)}", style="cyan")
        if total > min(len(listed), SHOWN_BLOCKS):
            yield Text(f"   and {total - min(len(listed), SHOWN_BLOCKS):,} more; --json lists more", style="dim")


def _room(width: int) -> int:
    return max(min(MAX_BAR, width - NAME - 26), 5)


def _bar(count: int, most: int, width: int) -> str:
    """A bar as long as `count` is of `most`, padded; what is there at all has at least one cell."""
    room = _room(width)
    cells = max(round(room * count / most), 1) if count and most else 0
    return (_block() * cells).ljust(room)


def _block() -> str:
    return "█" if "utf" in (sys.stdout.encoding or "").lower() else "#"


def _share(count: int, total: int) -> str:
    return f"{100 * count / total:4.0f} %" if total else ""
