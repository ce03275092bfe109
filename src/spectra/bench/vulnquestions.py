"""Questions about CVEs: by words and filters over HTTP, and the nearest by vectors against an exact search."""

from __future__ import annotations

import time
from typing import Final, NamedTuple

from spectra.bench.load import spread
from spectra.bench.questions import Question
from spectra.bench.saying import Say
from spectra.errors import SpectraError
from spectra.flow.vectorflow import Vectors
from spectra.store import vectors
from spectra.store.database import Database
from spectra.store.embedders import Embedder
from spectra.store.vectors import Near, Text

K: Final = 20
NEAREST: Final = 200
"""Questions by vectors."""
_WARM: Final = 100  # asked before, of other texts: an index that was just made is not in memory yet
_CLOSE: Final = 1e-6  # two cosines that differ by less are those of equal texts

_TEXTS: Final = (
    "openssh",
    "race condition signal handler sshd",
    '"use after free" chrome',
    "sql injection",
    "apache",
    "buffer overflow",
    "wordpress plugin stored cross-site scripting",
    "remote code execution",
    "log4j",
    '"directory traversal" -windows',
    "heartbleed or shellshock",
    "CVE-2021-44228",
    "CVE-2024-63*",
    "nginx http2",
    "denial of service",
    "kernel privilege escalation",
    '"integer overflow" image',
    "deserialization of untrusted data java",
    "missing authentication router",
    "bind resolver assertion failure",
    "openssl certificate verification",
    "xml external entity",
    "hard-coded credentials camera",
    "qwertzuiop",
)
_FILTERED: Final[tuple[dict[str, str], ...]] = (
    {},
    {"severity": "critical"},
    {"kev": "true"},
    {"min_epss": "0.5"},
    {"product": "openssh"},
    {"product": "apache:http_server", "min_cvss": "7"},
    {"cwe": "CWE-79", "year": "2024"},
    {"year": "2019-2021", "severity": "high,critical"},
    {"published_since": "2024-01-01", "sort": "published"},
    {"modified_since": "2025-01-01", "sort": "-modified"},
    {"status": "disputed"},
    {"status": "awaiting", "sort": "cve"},
    {"affecting": "true", "severity": "critical"},
    {"affecting": "true", "sort": "epss"},
    {"ransomware": "true", "sort": "cvss"},
    {"text": "overflow", "severity": "critical", "year": "2023"},
    {"text": "injection", "kev": "true"},
    {"text": "cisco", "min_cvss": "9", "sort": "published"},
    {"text": "windows", "cwe": "416,787", "total": "true"},
    {"text": "buffer", "sort": "risk", "limit": "500"},
    {"text": "linux kernel", "max_cvss": "5", "sort": "epss"},
    {"text": "php", "product": "php", "year": "2007"},
    {"text": "authentication bypass", "affecting": "true"},
    {"text": "memory", "published_before": "2005-01-01"},
)


def words() -> list[Question]:
    """Forty-eight questions by words, by filters and by both, from selective to unselective."""
    asked = [*({"text": text} for text in _TEXTS), *_FILTERED]
    return [Question("/v0/vulns", {"limit": "100"} | one) for one in asked]


def similar(database: Database, count: int = NEAREST) -> list[Question]:
    """Questions by a text: the first half of what is said of CVEs all over the corpus."""
    return [Question("/v0/vulns/similar", {"text": text, "k": str(K)}) for text in _halves(database, count)]


def _halves(database: Database, count: int) -> list[str]:
    """`count` halves of descriptions, always the same ones; fewer where there are no more."""
    told = [text.description for text in _sample(database, count) if text.description]
    return [text[: max(20, len(text) // 2)][:1000] for text in told]


def _sample(database: Database, count: int) -> list[Text]:
    """Some more are asked for than are wanted, because which ones these are is left to chance."""
    total = vectors.texts(database)
    return vectors.sample(database, min(count + count // 4, total), total)[:count]


class Nearest(NamedTuple):
    """p95 of finding the nearest, milliseconds, and how many of the really nearest were found (0..1)."""

    ms_p95: float
    recall: float


def nearest(made: Vectors, say: Say, *, k: int = K, count: int = NEAREST) -> Nearest:
    """Half of the questions by vectors of stored CVEs, half by texts; raises `SpectraError` where there is no vector.

    One that is as near as the last of the exact answer counts as found, whichever of equal texts it is of.
    """
    database, embedder = made.database, made.current()[0]
    maker = made.maker(embedder) if embedder else None
    if embedder is None or maker is None:
        raise SpectraError("There is no vector to search.", reason="bench")
    texts = _halves(database, 2 * (_WARM + count))
    asked = [vectors.written(v.tolist()) for v in maker.embed(texts[1::2]) if v.any()]
    warm, free = asked[: min(_WARM, len(asked) // 2)], asked[min(_WARM, len(asked) // 2) :]
    questions = [*free[: count // 2], *_stored(database, embedder, count - count // 2)]
    for vector in warm:
        vectors.nearest(database, embedder, vector, k)
    say(f"{len(questions)} questions by vectors")
    answers: list[list[Near]] = []
    took: list[float] = []
    for vector in questions:
        began = time.perf_counter()
        answers.append(vectors.nearest(database, embedder, vector, k))
        took.append((time.perf_counter() - began) * 1000)
    say("the same, exactly")
    hits = wanted = 0
    for vector, found in zip(questions, answers, strict=True):
        exact = vectors.exact(database, embedder, vector, k)
        hits += sum(near.cosine >= exact[-1].cosine - _CLOSE for near in found) if exact else 0
        wanted += len(exact)
    return Nearest(spread(took).p95, hits / wanted if wanted else 1.0)


def _stored(database: Database, embedder: Embedder, count: int) -> list[str]:
    """Stored vectors from all over the corpus."""
    told = _sample(database, count)
    with database.connection() as connection:
        found = [vectors.stored(connection, embedder, text.num) for text in told]
    return [vector for vector in found if vector]
