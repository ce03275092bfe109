"""`make privacy`: what would have left this machine, by every way to a model, and what the detector finds in free text.

Three coordinators in turn, with every provider posed as by a server that keeps what it is sent: providers of the EU
with free text that the detector looks through, the same with free text that stays here, and providers elsewhere. It
ends with 1 where a labelled value arrived anywhere.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from spectra.bench.privacy import corpus
from spectra.bench.privacy.corpus import Marked
from spectra.bench.privacy.posing import posing
from spectra.bench.privacy.quality import Quality, measure
from spectra.bench.privacy.routes import AWAY, Pushing, Ways, coordinator, network, submit
from spectra.bench.server import scratch
from spectra.settings.ai import Residency

_SHOWN: Final = 200
_RUNS: Final[tuple[tuple[str, Residency, str], ...]] = (
    ("providers in the EU, free text looked through", "eu", "detected"),
    ("providers in the EU, free text stays here", "eu", "local"),
    ("providers elsewhere", "elsewhere", "detected"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report; 1 where something leaked."""
    parser = argparse.ArgumentParser(prog="make privacy", description=__doc__)
    parser.add_argument("data", type=Path, nargs="?", help="a folder of scan outputs, such as ../shared/data/scans")
    parser.add_argument("--texts", type=int, default=120, help="made-up texts that are pushed through")
    parser.add_argument("--hosts", type=int, default=5, help="hosts that are told of")
    parser.add_argument(
        "--runs", type=int, default=len(_RUNS), choices=range(1, len(_RUNS) + 1), help="how many of them"
    )
    parser.add_argument("--providers", default=",".join(AWAY), help="which of them, with commas between")
    parser.add_argument("--misses", action="store_true", help="list what the detector missed, and found wrongly")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the report")
    chosen = parser.parse_args(arguments)
    report = Report(quiet=chosen.json, misses=chosen.misses)
    real = list(corpus.real(chosen.data, chosen.texts // 2)) if chosen.data and chosen.data.is_dir() else []
    report.quality("made-up texts", measure(corpus.made(5 * chosen.texts)))
    report.quality("outputs of real scans", measure(real))
    report.quality("where no word tells", measure(corpus.bare(chosen.texts)))
    report.ways(corpus.made(chosen.texts), real, chosen.hosts, chosen.runs, chosen.providers.split(","))
    if chosen.json:
        sys.stdout.buffer.write(msgspec.json.encode(report.numbers) + b"\n")
    return 1 if report.leaked else 0


class Report:
    """The report as it is printed, and its numbers for `--json`."""

    def __init__(self, *, quiet: bool, misses: bool) -> None:
        self.numbers: dict[str, Any] = {"free_text": {}, "ways": {}, "leaked": 0}
        self._quiet = quiet
        self._misses = misses

    @property
    def leaked(self) -> int:
        """Labelled values that arrived somewhere."""
        return self.numbers["leaked"]

    def quality(self, name: str, quality: Quality) -> None:
        """What the detector makes of some texts."""
        self._say(f"\nFree text, {name:<30}{'values':>8}{'found':>8}{'recall':>9}{'precision':>11}")
        for kind, score in [*sorted(quality.kinds.items()), ("all", quality.total)]:
            precise = f"{score.precision:>11.3f}" if score.spans else f"{'-':>11}"
            self._say(f"  {kind:<39}{score.values:>8}{score.found:>8}{score.recall:>9.3f}{precise}")
        self.numbers["free_text"][name] = {
            kind: {
                "values": s.values,
                "recall": round(s.recall, 4),
                "precision": round(s.precision, 4) if s.spans else None,
            }
            for kind, s in [*quality.kinds.items(), ("all", quality.total)]
        }
        for said in [*quality.missed[:_SHOWN], *(f"not private: {one}" for one in quality.wrong[:_SHOWN])]:
            if self._misses:
                self._say(f"    {said}")

    def ways(self, made: list[Marked], real: list[Marked], hosts: int, runs: int, names: list[str]) -> None:
        """Every way, by coordinators that are set up differently."""
        scan, addresses, values = network(hosts)
        logs = "\n".join(text.text for text in made[:40]).encode()
        with scratch() as data_dir, posing() as recorder:
            for number, (name, residency, free_text) in enumerate(_RUNS[:runs]):
                began = time.perf_counter()
                place = coordinator(data_dir, recorder, residency=residency, free_text=free_text, names=names)
                with place as (server, client):
                    if not number:
                        submit(server, client, scan)
                    pushing = Pushing(client, recorder, detected=free_text == "detected", names=names)
                    pushing.chats([*made, *real] if not number else made[: max(6, len(made) // 5)])
                    pushing.others(addresses, values, server.token, logs)
                self.told(name, pushing.ways, time.perf_counter() - began)

    def told(self, name: str, ways: Ways, seconds: float) -> None:
        """What became of the values, by each way."""
        self._say(f"\n{name} ({seconds:.0f} s)")
        self._say(
            f"  {'':<20}{'asked':>7}{'refused':>9}{'left':>7}{'values':>8}{'LEAKED':>8}{'unseen':>8}{'unrestored':>12}"
        )
        for way, its in ways.items():
            counts = f"{its.asked:>7}{its.refused:>9}{its.left:>7}{its.values:>8}{len(its.leaked):>8}"
            self._say(f"  {way:<20}{counts}{its.unseen:>8}{its.unrestored:>12}")
            for one in its.leaked[:_SHOWN]:
                self._say(f"    LEAKED {one}")
            self.numbers["leaked"] += len(its.leaked)
        self.numbers["ways"][name] = {way: msgspec.to_builtins(its) for way, its in ways.items()}

    def _say(self, text: str) -> None:
        if not self._quiet:
            print(text)


if __name__ == "__main__":
    sys.exit(main())
