"""`python -m spectra.bench.retrieval`: how many of the right CVEs each way of finding them has among its first twenty.

Questions with known answers, made from the feeds and from scans of made-up hosts with real products in real versions:

- `exploited`: which weaknesses of this host are known to be exploited; the answers are those in CISA's catalogue;
- `class`: which weaknesses of this host are of a kind, in words; the answers are those with that CWE at the NVD;
- `described`: the second half of what the NVD says of a weakness of this host; the answer is that one;
- `reworded`: what CISA's catalogue says, in its own words, of a weakness of this host; the answer is that one;
- `elsewhere`: the same of a CVE that does not concern this host.

Ways: by the graph alone (findings by urgency), by words, by vectors, and all fused, as `ai/retrieval` does. `context`
is how many of the answers are in the context of 8 KB that a model is shown.
"""

from __future__ import annotations

import argparse
import gzip
import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from spectra.ai.retrieval.collect import Found, gather, look, rank
from spectra.ai.retrieval.publicwords import names_of
from spectra.bench import aiworld, feeds
from spectra.bench.aiworld import World
from spectra.bench.saying import Say, silent
from spectra.bench.server import scratch
from spectra.model.summaries import Target
from spectra.store import vulntexts

K: Final = 20
SERVICES: Final = 2000
PER_KIND: Final = 60
WAYS: Final = ("graph", "text", "vector", "hybrid", "context")
_PATIENCE_S: Final = 60.0
_LEAST: Final = 60  # characters of a description that is cut in half
_CLASSES: Final = {
    "CWE-22": "path traversal: reading files outside of the directory that is served",
    "CWE-79": "cross-site scripting in pages that users see",
    "CWE-89": "SQL injection into the database",
    "CWE-78": "injection of operating system commands",
    "CWE-94": "injection and execution of code",
    "CWE-190": "integer overflow or wraparound",
    "CWE-200": "disclosure of sensitive information to somebody unauthorised",
    "CWE-287": "improper authentication, bypassing the sign-in",
    "CWE-295": "improper validation of certificates",
    "CWE-352": "cross-site request forgery",
    "CWE-400": "uncontrolled consumption of resources, denial of service",
    "CWE-416": "use of memory after it was freed",
    "CWE-444": "request smuggling between proxies and servers",
    "CWE-476": "dereference of a null pointer, crash",
    "CWE-787": "writing beyond the end of a buffer",
}


class Asked(NamedTuple):
    """A question about a host, and the CVEs that answer it."""

    kind: str
    target: Target
    question: str
    answers: frozenset[str]


class Row(msgspec.Struct, frozen=True):
    """How one kind of question was answered: how many there are, and the mean recall@20 (0..1) of each way."""

    kind: str
    questions: int
    recall: dict[str, float]


class _Host(NamedTuple):
    target: Target
    found: Found
    cves: list[str]
    classes: Mapping[str, frozenset[str]]


def run(n_services: int = SERVICES, *, folder: Path | None = None, say: Say | None = None) -> list[Row]:
    """Build the world in a scratch database and measure. Raises `BadRequest` where there are no feeds."""
    tell, files = say or silent, feeds.feeds(folder)
    with scratch() as data_dir:
        tell("starting the server")
        count = aiworld.build(data_dir, files, n_services, tell)
        with aiworld.opened(data_dir, count) as world:
            return measured(world, catalogue(files.get("kev")), tell)


def measured(world: World, words: Mapping[str, str], tell: Say, *, per_kind: int = PER_KIND) -> list[Row]:
    """One row for each kind of question, and the mean of all; `words` are CISA's, by CVE."""
    known = {one.cve for one in vulntexts.of(world.database, sorted(words))}
    asked = list(questions(world, {cve: text for cve, text in words.items() if cve in known}, per_kind))
    scores: dict[str, list[dict[str, float]]] = {}
    for number, one in enumerate(asked):
        if number % 50 == 0:
            tell(f"question {number}/{len(asked)}")
        scores.setdefault(one.kind, []).append(_recall(world, one))
    rows = [_row(kind, found) for kind, found in scores.items()]
    return [*rows, _row("all", [one for found in scores.values() for one in found])]


def _row(kind: str, found: Sequence[Mapping[str, float]]) -> Row:
    means = {way: round(sum(one[way] for one in found) / len(found), 3) if found else 0.0 for way in WAYS}
    return Row(kind, len(found), means)


def _recall(world: World, asked: Asked) -> dict[str, float]:
    """The part of the answers that each way has."""
    now = datetime.now(UTC)
    found = look(world.sources, asked.target, now)
    published = vulntexts.published(world.database, names_of(found.cpes))
    ranked = rank(world.sources, found, asked.question, published, _PATIENCE_S)
    context = gather(world.sources, asked.target, asked.question, now=now, patience_s=_PATIENCE_S)
    shown = {item.record.rpartition("~")[2].removeprefix("cve:") for item in context.items}
    ways = {"graph": ranked.graph, "text": ranked.text, "vector": ranked.vector, "hybrid": ranked.fused}
    recall = {way: len(asked.answers & set(cves[:K])) / len(asked.answers) for way, cves in ways.items()}
    return recall | {"context": len(asked.answers & shown) / len(asked.answers)}


# Questions -----------------------------------------------------------------------------------------------------------


def questions(world: World, words: Mapping[str, str], per_kind: int) -> Iterator[Asked]:
    """At most `per_kind` of each kind, always the same ones for the same world."""
    rng = random.Random(20_260_801)  # noqa: S311 - repeatable, not secret
    known = [one for number in range(world.hosts) if (one := _host(world, number)).cves]
    rng.shuffle(known)
    makers: tuple[Callable[[_Host, random.Random], Asked | None], ...] = (
        lambda host, _: _exploited(host),
        _class,
        lambda host, chance: _described(world, host, chance),
        lambda host, chance: _reworded(host, words, chance),
        lambda host, chance: _elsewhere(host, words, chance),
    )
    for maker in makers:
        made = (asked for host in known if (asked := maker(host, rng)))
        yield from (asked for _, asked in zip(range(per_kind), made, strict=False))


def _host(world: World, number: int) -> _Host:
    target = world.target(number)
    found = look(world.sources, target, datetime.now(UTC))
    cves = list(dict.fromkeys(one.cve for one in found.findings))
    with world.database.connection() as connection:
        rows = connection.execute(
            "SELECT v.cve, t.weaknesses FROM vuln v JOIN vuln_text t USING (num) WHERE v.cve = ANY(%s)", [cves]
        )
        of: dict[str, set[str]] = {}
        for cve, weaknesses in rows:
            for weakness in weaknesses:
                of.setdefault(weakness, set()).add(cve)
    return _Host(target, found, cves, {name: frozenset(cves) for name, cves in of.items()})


def _exploited(host: _Host) -> Asked | None:
    answers = frozenset(one.cve for one in host.found.findings if one.kev)
    question = "Which weaknesses of this machine are known to be exploited?"
    return Asked("exploited", host.target, question, answers) if 0 < len(answers) <= K else None


def _class(host: _Host, chance: random.Random) -> Asked | None:
    """Only where the answers are a part of what there is."""
    fit = [name for name in _CLASSES if 0 < len(host.classes.get(name, ())) <= min(K, len(host.cves) // 2)]
    if not fit or len(host.cves) <= K:
        return None
    name = chance.choice(fit)
    return Asked("class", host.target, f"Is there {_CLASSES[name]}?", host.classes[name])


def _described(world: World, host: _Host, chance: random.Random) -> Asked | None:
    cve = chance.choice(host.cves)
    told = vulntexts.of(world.database, [cve])
    text = told[0].description if told else ""
    if len(host.cves) <= K or len(text) < _LEAST:
        return None
    return Asked("described", host.target, text[len(text) // 2 :].partition(" ")[2], frozenset({cve}))


def _reworded(host: _Host, words: Mapping[str, str], chance: random.Random) -> Asked | None:
    fit = [cve for cve in host.cves if cve in words]
    if not fit or len(host.cves) <= K:
        return None
    cve = chance.choice(fit)
    return Asked("reworded", host.target, words[cve], frozenset({cve}))


def _elsewhere(host: _Host, words: Mapping[str, str], chance: random.Random) -> Asked | None:
    fit = sorted(words.keys() - set(host.cves))
    if not fit:
        return None
    cve = chance.choice(fit)
    return Asked("elsewhere", host.target, words[cve], frozenset({cve}))


def catalogue(file: Path | None) -> dict[str, str]:
    """What CISA's catalogue says of each CVE in it; nothing where there is no file of it."""
    if file is None:
        return {}
    raw = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    entries: list[dict[str, Any]] = msgspec.json.decode(raw)["vulnerabilities"]
    return {one["cveID"]: one["shortDescription"] for one in entries if one.get("shortDescription")}


# The table -----------------------------------------------------------------------------------------------------------


def markdown(rows: Sequence[Row]) -> str:
    """The rows as a table for `docs/ai.md`."""
    head = ["| question | asked | graph alone | text alone | vectors alone | hybrid | in the context |"]
    head.append("|---|---|---|---|---|---|---|")
    lines = (
        f"| {row.kind} | {row.questions} | {' | '.join(f'{row.recall[way]:.3f}' for way in WAYS)} |" for row in rows
    )
    return "\n".join([*head, *lines])


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, or with `--json` the rows."""
    parser = argparse.ArgumentParser(prog="python -m spectra.bench.retrieval", description="recall@20 of retrieval")
    parser.add_argument("--feeds", type=Path, help="the folder of feeds; as for spectra bench --vulns")
    parser.add_argument("--services", type=int, default=SERVICES, help="how many distinct services")
    parser.add_argument("--json", action="store_true", help="print one JSON array instead of the table")
    chosen = parser.parse_args(arguments)
    rows = run(chosen.services, folder=chosen.feeds, say=lambda text: print(f"  {text}", file=sys.stderr))
    print(msgspec.json.encode(rows).decode() if chosen.json else markdown(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
