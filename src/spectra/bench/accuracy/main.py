"""`python -m spectra.bench.accuracy.main`: precision, recall and F1 on every labelled set there is, and the misses."""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from spectra.bench.accuracy import labels
from spectra.bench.accuracy.corpus import Corpus, read
from spectra.bench.accuracy.labels import Case, Named
from spectra.bench.accuracy.score import Judged, Score, identified, judge, reviewed, total
from spectra.intel.correlate import products_of

NVD: Final = "big/nvd_cves.jsonl.zst"
MORE: Final = ("big/anchore_nvd_overrides.jsonl.zst", "big/cisa_vulnrichment.jsonl.zst")
_SHOWN: Final = 400  # misses of one set


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report; 0 when it was made, 2 where there is nothing to make it from."""
    parser = argparse.ArgumentParser(prog="make accuracy", description=__doc__)
    parser.add_argument("data", type=Path, help="the folder of feeds and labels (with big/ and labels/)")
    parser.add_argument("--misses", action="store_true", help="list every miss and every false finding")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the report")
    chosen = parser.parse_args(arguments)
    folder: Path = chosen.data
    if not (folder / NVD).exists():
        print(f"There is no {NVD} in {folder}: nothing to match against.", file=sys.stderr)
        return 2
    report = Report(verbose=chosen.misses, quiet=chosen.json)
    report.run(folder)
    if chosen.json:
        sys.stdout.buffer.write(msgspec.json.encode(report.numbers) + b"\n")
    return 0


class Report:
    """The report as it is printed, and its numbers for `--json`."""

    def __init__(self, *, verbose: bool, quiet: bool) -> None:
        self.numbers: dict[str, Any] = {}
        self._verbose = verbose
        self._quiet = quiet

    def run(self, folder: Path) -> None:
        """Every set of `folder`."""
        found, started = folder / "labels", time.perf_counter()
        corpus = read([folder / NVD], self._progress)
        self._say(f"NVD alone: {len(corpus.told)} CVEs")
        self._head()
        self._cves("search_vulns, oldest labels", corpus, labels.cases(found, "oldest"))
        self._cves("avain", corpus, labels.avain(found))
        del corpus
        present = [folder / name for name in (NVD, *MORE) if (folder / name).exists()]
        corpus = read(present, self._progress)
        self._say(f"\nAll feeds: {len(corpus.told)} CVEs")
        self._head()
        self._cves("search_vulns, newest labels", corpus, labels.cases(found, "newest"))
        self._cves("search_vulns, distributions' builds", corpus, labels.builds(found))
        self._cves("grype", corpus, labels.grype(found))
        self._names(corpus, list(labels.named(found)))
        self._say(f"\n{time.perf_counter() - started:.0f} s in all")

    def _progress(self, text: str) -> None:
        if not self._quiet:
            print(text, file=sys.stderr)

    def _say(self, text: str) -> None:
        if not self._quiet:
            print(text)

    def _head(self) -> None:
        self._say(f"{'':<46}{'found':>7}{'missed':>8}{'false':>7}{'precision':>11}{'recall':>8}{'F1':>7}")

    def _cves(self, name: str, corpus: Corpus, cases: Sequence[Case]) -> None:
        started = time.perf_counter()
        judged = [judge(corpus, case) for case in cases]
        took = time.perf_counter() - started
        plain, better = total(judged), reviewed(judged)
        self._line(name, plain)
        if better != plain:
            self._line("  as later versions of the labels have it", better)
        by_source: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for j in judged:
            self._line(f"    {_short(j.case.name)}", total([j]))
            for a in j.findings:
                by_source[a.source][0 if a.cve in j.found else 1] += a.cve in j.found or a in j.false
        for source, (right, false) in sorted(by_source.items()):
            self._say(f"    by {source}: {right} found, {false} false")
        self.numbers[name] = {"labels": _numbers(plain), "reviewed": _numbers(better), "seconds": round(took, 2)}
        if self._verbose:
            for j in judged:
                self._misses(j)

    def _line(self, name: str, score: Score) -> None:
        counts = f"{score.found:>7}{score.missed:>8}{score.false:>7}"
        self._say(f"{name:<46}{counts}{score.precision:>11.3f}{score.recall:>8.3f}{score.f1:>7.3f}")

    def _misses(self, judged: Judged) -> None:
        products = ", ".join(map(str, products_of(judged.software)))
        for cve in sorted(judged.missed)[:_SHOWN]:
            note = " (its newest label has it no more)" if cve in judged.disowned else ""
            self._say(f"      missed {cve} of {_short(judged.case.name)} as {products or 'nothing'}{note}")
        for a in judged.false[:_SHOWN]:
            note = " (a later label has it)" if a.cve in judged.reviewed else ""
            said = f"{a.criterion} {a.range}".strip()
            self._say(f"      false {a.cve} ({a.source}, {a.confidence:.2f}) by {said}{note}")

    def _names(self, corpus: Corpus, items: Sequence[Named]) -> None:
        groups: dict[str, list[Named]] = defaultdict(list)
        for item in items:
            groups[item.group].append(item)
        self._say(f"\n{'what services are':<46}{'of':>7}{'product':>9}{'version':>9}{'wrong':>7}")
        for group, its in sorted(groups.items()):
            found, misses = identified(corpus, its)
            self._say(f"{group:<46}{found.total:>7}{found.product:>9}{found.version:>9}{found.wrong:>7}")
            self.numbers[group] = found._asdict()
            for item, made in misses[:_SHOWN] if self._verbose else ():
                self._say(f"      {item.said[:60]!r} is {item.vendor}:{item.product}, read as {made or 'nothing'}")


def _numbers(score: Score) -> dict[str, float]:
    figures = {"precision": score.precision, "recall": score.recall, "f1": score.f1}
    return {**score._asdict(), **{name: round(value, 4) for name, value in figures.items()}}


def _short(name: str) -> str:
    """The name of a case without the parts that all of them share, at most 42 characters."""
    return name.removeprefix("test_cve_completeness::test_search_").removesuffix("#0")[:42]


if __name__ == "__main__":
    sys.exit(main())
