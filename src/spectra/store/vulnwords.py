"""Weaknesses by the words of a whole text: the rare ones say what it is about, and bound what is read.

`store.vulnsearch` looks for texts that have all words of a question. A text has many words, which no other text has all
of: any of its rare words is enough here; one that has none is looked for by all of its common ones together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, LiteralString, NamedTuple

from spectra.store.database import Connection, Database
from spectra.store.vectors import Filter

_MAX_TEXT: Final = 4000  # characters that are read
_MAX_WORDS: Final = 24  # that are looked for
_RARE_ROWS: Final = 2000  # texts that rare words may be in together
_MAX_ROWS: Final = 3000  # texts that are ranked
_LENGTH: Final = 75  # words that are added to a text's length: a short one is not better for being short

# What ANALYZE found (https://www.postgresql.org/docs/current/view-pg-stats.html): of a tsvector the most common lexemes
# with the part of the rows that have each; after those, the least such part. One that is not among them is rarer.
_FREQUENCIES: Final = """
WITH wanted AS (SELECT DISTINCT lexeme FROM unnest(to_tsvector('english', %(text)s))),
stats AS (
  SELECT most_common_elems::text::text[] AS words, most_common_elem_freqs AS parts FROM pg_stats
  WHERE schemaname = current_schema() AND tablename = 'vuln_text' AND attname = 'words'),
common AS (SELECT c.word, c.part FROM stats, unnest(words, parts[:cardinality(words)]) AS c (word, part))
SELECT w.lexeme, coalesce(c.part, (SELECT parts[cardinality(words) + 1] / 2 FROM stats), 0),
  (SELECT greatest(reltuples, 0) FROM pg_class WHERE oid = 'vuln_text'::regclass)
FROM wanted w LEFT JOIN common c ON c.word = w.lexeme"""


class Wording(NamedTuple):
    """Texts to be looked for: those with any of the words in `rare`; where there is none, those with all in `common`.

    `weights` are by how rare each of `words` is: the inverse document frequency, which `ts_rank` does not know.
    """

    rare: tuple[str, ...] = ()
    common: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """All of them, the rarest first."""
        return self.rare + self.common


def ranked(database: Database, text: str, limit: int, *, only: Filter = Filter()) -> tuple[list[int], Wording]:  # noqa: B008
    """The numbers of the weaknesses whose texts match best, the best first, and what was looked for.

    By the weights of the words a text has, against its length. At most some thousand matches are ranked, whatever the
    text is.
    """
    with database.connection() as connection:
        wording = _wording(connection, text)
        if not wording.words:
            return [], wording
        condition, values = only.condition
        query: LiteralString = f"""
            WITH found AS MATERIALIZED (
              SELECT t.num, t.words FROM vuln_text t JOIN vuln v ON v.num = t.num
              WHERE t.words @@ %(wanted)s::tsquery AND {condition} LIMIT %(rows)s)
            SELECT num FROM found
            CROSS JOIN unnest(%(words)s::tsquery[], %(weights)s::float8[]) AS w (word, weight)
            WHERE words @@ word GROUP BY num, words
            ORDER BY sum(weight) / (%(length)s + length(words)) DESC, num LIMIT %(limit)s"""
        words = [_quoted(word) for word in wording.words]
        asked = {"wanted": _matching(wording), "words": words, "weights": list(wording.weights)}
        asked |= {"rows": _MAX_ROWS, "length": _LENGTH, "limit": limit}
        return [num for (num,) in connection.execute(query, values | asked)], wording


def _wording(connection: Connection, text: str) -> Wording:
    """The words of `text` that are worth looking for."""
    rows = connection.execute(_FREQUENCIES, {"text": text[:_MAX_TEXT].replace("\0", " ")}).fetchall()
    return chosen([(word, part * total) for word, part, total in rows], max((total for *_, total in rows), default=0))


def chosen(expected: Sequence[tuple[str, float]], total: float) -> Wording:
    """Of words with in how many of `total` texts each is expected: the rare ones, as far as they bound what is read,
    and the rest.
    """
    rare: list[str] = []
    common: list[str] = []
    weights: list[float] = []
    rows = 0.0
    for word, some in sorted(expected, key=lambda one: (one[1], one[0]))[:_MAX_WORDS]:
        rows += some
        (rare if rows <= _RARE_ROWS else common).append(word)
        weights.append(math.log(1 + (1 + total) / (1 + some)))
    return Wording(tuple(rare), tuple(common), tuple(weights))


def _matching(wording: Wording) -> str:
    return " | ".join(map(_quoted, wording.rare)) or " & ".join(map(_quoted, wording.common))


def _quoted(word: str) -> str:
    """A lexeme in a tsquery, whatever is in it."""
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"
