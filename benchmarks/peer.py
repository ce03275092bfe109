"""cve-bin-tool beside Spectra: the same CVEs, the same services, precision, recall and speed of both in one run.

    .venv/bin/python benchmarks/peer.py ../shared/data

Installs cve-bin-tool 3.4 with pip into a virtual environment of its own (`--venv`), so it needs the package index once,
and nothing of it is imported here. Its database (`cve.db`, SQLite) is filled by its own code (`NVD_Source.
format_data_api2`, `CVEDB.populate_db`) with the folder's NVD records, which have the configurations of Anchore's
overrides where the NVD has none: what Spectra takes of both, too. Records without a score that it can read would end it
with an error, so those get one of 0, by which nothing is left out. CISA's records, which it cannot read, are left out
on both sides. Then both are asked for the services of search_vulns' labels, each in its newest version
(`spectra.bench.accuracy.labels`): Spectra gets the CPE name or the text of the label; cve-bin-tool does not know what a
text or a name means, so it gets vendor, product and version as Spectra understands the label, and where one of its
checkers has several vendors for a product, all of those, as a scan of its own would ask. Its database has the version
of a CPE name without the update (`9.2` of `9.2` and `p1`): it is asked for both ways to write that, and both counted.

Counting is that of `make accuracy`. Prints a table, or with `--json` one object. Takes some minutes and 2 GB of disk.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PEER = "cve-bin-tool==3.4"
FORMS = ("version", "version+update")
CHUNK = 5000
SCORES = {"cvssMetricV31", "cvssMetricV30", "cvssMetricV2"}


# In the peer's environment -------------------------------------------------------------------------------------------


def work(folder: Path) -> None:
    """Fill the database with `folder/cves.jsonl`, ask for what standard input says, print the answers as JSON."""
    import logging
    import pkgutil
    from importlib import import_module

    checkers: Any = import_module("cve_bin_tool.checkers")
    scanner: Any = import_module("cve_bin_tool.cve_scanner")
    info: Any = import_module("cve_bin_tool.util").ProductInfo
    logging.disable(logging.CRITICAL)
    aliases: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for module in pkgutil.iter_modules(checkers.__path__):
        try:
            found = vars(import_module(f"cve_bin_tool.checkers.{module.name}")).values()
        except Exception:  # noqa: BLE001, S112 - one of them fetches a list from the web when it is imported
            continue
        for checker in found:
            pairs = [tuple(pair) for pair in getattr(checker, "VENDOR_PRODUCT", None) or ()]
            for pair in pairs:
                aliases.setdefault(pair, set()).update(pairs)
    began = time.perf_counter()
    _fill(folder)
    answers: dict[str, Any] = {"load_s": round(time.perf_counter() - began, 1), "cases": {}}
    scanner.CVEScanner.dbname = str(folder / "cve.db")
    for case in json.load(sys.stdin):
        pair = (case["vendor"], case["product"])
        for form in FORMS:
            began = time.perf_counter()
            cves: set[str] = set()
            with scanner.CVEScanner() as one:
                for vendor, product in sorted(aliases.get(pair, {pair})):
                    asked = info(vendor, product, case[form], "/usr/bin/x", None)
                    one.get_cves(asked, {"default": {}, "paths": set()})
                    cves |= {cve.cve_number for cve in one.all_cve_data[asked]["cves"] or ()}
            ms = (time.perf_counter() - began) * 1000
            answers["cases"].setdefault(case["name"], {})[form] = {"cves": sorted(cves), "ms": ms}
    print(json.dumps(answers))


def _fill(folder: Path) -> None:
    from importlib import import_module

    db = import_module("cve_bin_tool.cvedb").CVEDB([], str(folder), str(folder / "backup"), version_check=False)
    source = import_module("cve_bin_tool.data_sources.nvd_source").NVD_Source()
    db.init_database()
    with (folder / "cves.jsonl").open() as file:
        while rows := [{"cve": json.loads(line)} for _, line in zip(range(CHUNK), file, strict=False)]:
            db.data = [(source.format_data_api2(rows), "NVD")]
            db.populate_db()


# Here ----------------------------------------------------------------------------------------------------------------


def install(folder: Path) -> Path:
    """cve-bin-tool in a virtual environment; returns its Python."""
    python = folder / "bin" / "python"
    if not (folder / "bin" / "cve-bin-tool").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=120)
        subprocess.run([str(folder / "bin" / "pip"), "install", "-q", PEER], check=True, timeout=900)
    return python


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a packed file, one JSON object a line."""
    import io

    import zstandard

    with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
        for line in io.TextIOWrapper(stream, "utf-8"):
            yield json.loads(line)


def write_cves(nvd: Path, overrides: Path, target: Path) -> None:
    """The NVD's records, with the configurations of the overrides where it has none, and what only those have."""
    others = {row["_annotation"]["cve_id"]: row["cve"].get("configurations") for row in rows(overrides)}
    with target.open("w") as file:

        def write(row: dict[str, Any], told: Any) -> None:
            row |= {"configurations": told or [], "descriptions": row.get("descriptions") or [{"value": "none"}]}
            if not SCORES & (row.get("metrics") or {}).keys():
                row["metrics"] = {"cvssMetricV31": [{"cvssData": {"baseScore": 0.0, "baseSeverity": "NONE"}}]}
            file.write(json.dumps(row) + "\n")

        for row in rows(nvd):
            other = others.pop(row["id"], None)
            write(row, row.get("configurations") or other)
        for cve, told in others.items():
            write({"id": cve, "published": "", "lastModified": ""}, told)


def peer(python: Path, folder: Path, asked: list[dict[str, str]]) -> dict[str, Any]:
    """What the peer answers; nothing of this user's is read or written."""
    environment = {**os.environ, "HOME": str(folder), "NO_COLOR": "1"}
    done = subprocess.run(
        [str(python), __file__, str(folder), "--work"],
        input=json.dumps(asked), text=True, stdout=subprocess.PIPE, check=True, env=environment, timeout=7200,
    )  # fmt: skip
    return json.loads(done.stdout.strip().splitlines()[-1])


def compare(data: Path, python: Path, folder: Path) -> dict[str, Any]:
    """Ask both; figures by who was asked, and how."""
    from spectra.bench.accuracy import labels
    from spectra.bench.accuracy.corpus import read
    from spectra.bench.accuracy.main import MORE, NVD
    from spectra.bench.accuracy.score import Score, judge, total
    from spectra.intel.correlate.rules import name_of
    from spectra.intel.enrich.cpename import ANY, NA

    cases = labels.cases(data / "labels", "newest")
    write_cves(data / NVD, data / MORE[0], folder / "cves.jsonl")
    began = time.perf_counter()
    corpus = read([data / NVD, data / MORE[0]], lambda text: print(text, file=sys.stderr))
    read_s = time.perf_counter() - began
    judged = [judge(corpus, case) for case in cases]
    took: list[float] = []
    for case in cases:
        began = time.perf_counter()
        corpus.match(corpus.identify(case.service))
        took.append((time.perf_counter() - began) * 1000)
    asked: list[dict[str, str]] = []
    for case in cases:
        names = [name for i in corpus.identify(case.service).identities if (name := name_of(i.cpe)) is not None]
        if names:
            said = next((n for text in case.service.cpe if (n := name_of(text)) is not None), names[0])
            version = said.version.replace("\\", "")
            update = "" if said.update in (ANY, NA) else said.update.replace("\\", "")
            pair = {"vendor": said.vendor.replace("\\", ""), "product": said.product.replace("\\", "")}
            asked.append({"name": case.name, **pair, FORMS[0]: version, FORMS[1]: version + update})
    theirs = peer(python, folder, asked)
    figures = {"spectra": _figures(total(judged), took)}
    for form in FORMS:
        scores: list[Score] = []
        ms: list[float] = []
        for case in cases:
            answer = theirs["cases"].get(case.name, {}).get(form, {"cves": [], "ms": 0.0})
            found = frozenset(answer["cves"]) & corpus.told.keys()
            known = frozenset(cve for cve in case.expected if cve in corpus.told and corpus.told[cve].configured)
            false = [cve for cve in found - case.expected if corpus.told[cve].published <= case.as_of or not case.as_of]
            scores.append(Score(len(known & found), len(known - found), len(false)))
            ms.append(answer["ms"])
        figures[f"cve-bin-tool, {form}"] = _figures(Score(*(sum(column) for column in zip(*scores, strict=True))), ms)
    return {"cases": len(cases), "read_s": round(read_s, 1), "peer_load_s": theirs["load_s"], **figures}


def _figures(score: Any, ms: list[float]) -> dict[str, float]:
    ordered = sorted(ms)
    return {
        **score._asdict(),
        "precision": round(score.precision, 3),
        "recall": round(score.recall, 3),
        "f1": round(score.f1, 3),
        "ms_mean": round(sum(ms) / len(ms), 1),
        "ms_median": round(ordered[len(ordered) // 2], 1),
    }


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder of feeds and labels")
    parser.add_argument("--venv", type=Path, default=Path(tempfile.gettempdir()) / "spectra-bench-cve-bin-tool")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.data)
        return
    python = install(options.venv)
    folder = Path(tempfile.mkdtemp(prefix="spectra-peer-"))
    try:
        result = compare(options.data, python, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        print(json.dumps(result))
        return
    columns = ("found", "missed", "false", "precision", "recall", "f1", "ms_mean", "ms_median")
    print(f"{result['cases']} services; read in {result['read_s']} s, loaded by the peer in {result['peer_load_s']} s")
    print(f"{'':<32}" + "".join(f"{name:>11}" for name in columns))
    for name, values in result.items():
        if isinstance(values, dict):
            print(f"{name:<32}" + "".join(f"{values[column]:>11}" for column in columns))


if __name__ == "__main__":
    main()
