"""What services are: naming those that nobody looked at yet, and those whose words mean something else by now.

A `software` row is a distinct `model.findings.Software`; services that are equal in what they are share it, and so its
evaluation (store/affected.py). Whoever writes here works `alone`: one transaction at a time over all coordinators on
the database, so that nothing is named by half of what is known.

Which words of the product table a service was named by is kept with it, and what each word said then: when a feed names
a product that nobody knew, the services that may be meant are found without looking at any other.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, LiteralString, NamedTuple
from uuid import UUID

import msgspec

from spectra.model.observation import Service
from spectra.model.vulns import Product
from spectra.store.database import Connection, Database, one
from spectra.store.rows import encode

_LOCK: Final = 0x5EC7_0040
FIRST: Final = UUID(int=0)
"""Before every service."""
MAX_WORD: Final = 300
"""Characters of a word that is looked up; longer ones name nothing."""
_MAX_NAME: Final = 1000  # bytes of a product's name: an entry of an index holds 2,704

_SERVICE: LiteralString = "s.id, s.name, s.product, s.version, s.extra, s.os, s.device, s.tunnel, s.cpe, s.software"
_SAID: LiteralString = "coalesce(md5(string_agg(p.id || ' ' || p.vulns || ' ' || p.family, ',' ORDER BY p.id)), '')"

_WORDS: LiteralString = f"""
SELECT w.word, {_SAID}, json_agg(json_build_array(p.part, p.vendor, p.product, p.vulns, p.family) ORDER BY p.id)
  FILTER (WHERE p.id IS NOT NULL)
FROM unnest(%s::text[]) AS w (word) LEFT JOIN product p ON p.word = w.word COLLATE "C" AND p.vulns > 0
GROUP BY w.word"""

_CHANGED: LiteralString = f"""
SELECT w.word, now.said FROM service_word w
CROSS JOIN LATERAL (SELECT {_SAID} AS said FROM product p WHERE p.word = w.word AND p.vulns > 0) now
WHERE now.said <> w.said"""

_PRODUCTS: LiteralString = """
SELECT r.part, r.vendor, r.product, p.id
FROM json_to_recordset(%s::json) AS r (part text, vendor text, product text)
  JOIN product p ON p.product = r.product AND p.vendor = r.vendor AND p.part = r.part"""
_MAKE_PRODUCT: LiteralString = """
INSERT INTO product (id, part, vendor, product, word, family) OVERRIDING SYSTEM VALUE
SELECT n, %s, %s, %s, %s, n FROM nextval(pg_get_serial_sequence('product', 'id')) AS n ON CONFLICT DO NOTHING"""

_MAKE: LiteralString = """
INSERT INTO software (fingerprint, body, product, pending)
SELECT fingerprint, body, product, pending FROM json_to_recordset(%s::json)
  AS r (fingerprint uuid, body text, product int4, pending int2) ORDER BY fingerprint
RETURNING fingerprint, id"""
_LINK: LiteralString = """
INSERT INTO software_product (product, software)
SELECT DISTINCT product, software FROM json_to_recordset(%s::json) AS r (product int4, software int4)"""
_INHERIT: LiteralString = """
INSERT INTO affected (software, vuln, since, until, reason, confidence, identity, patched)
SELECT r.heir, a.vuln, a.since, a.until, a.reason, a.confidence, a.identity, a.patched
FROM json_to_recordset(%s::json) AS r (heir int4, software int4) JOIN affected a ON a.software = r.software"""
_NAME: LiteralString = """
WITH told AS MATERIALIZED (
  SELECT * FROM json_to_recordset(%s::json) AS r (service uuid, software int4, words text[])),
held AS MATERIALIZED (
  SELECT s.id FROM service s JOIN told ON told.service = s.id
  WHERE s.software IS DISTINCT FROM told.software OR s.words IS DISTINCT FROM told.words
  ORDER BY s.id FOR NO KEY UPDATE OF s)
UPDATE service s SET software = told.software, words = told.words
FROM held JOIN told ON told.service = held.id WHERE s.id = held.id"""


class Due(NamedTuple):
    """What there is to do: whether services have no name, software was never matched or has to be matched again, CVEs
    have news, products changed since they were last put into families, a sync is under way, and news are so old that
    they do not wait for its end; up to which service all are being named again; by which matcher.
    """

    unnamed: bool
    fresh: bool
    again: bool
    news: bool
    products: bool
    syncing: bool
    overdue: bool
    walk: UUID | None
    matcher: int


_DUE: LiteralString = """
SELECT EXISTS (SELECT FROM service WHERE software IS NULL),
       EXISTS (SELECT FROM software WHERE pending = 0),
       EXISTS (SELECT FROM software WHERE pending = 1),
       EXISTS (SELECT FROM vuln_news),
       c.learned IS NULL OR EXISTS (SELECT FROM vuln_source v WHERE v.updated > c.learned),
       EXISTS (SELECT FROM vuln_source WHERE running <> ''),
       coalesce((SELECT at FROM vuln_news ORDER BY num LIMIT 1) < now() - interval '10 minutes', false),
       c.walk, coalesce(c.matcher, 0)
FROM (VALUES (1)) AS always (x) LEFT JOIN correlation c ON true"""


class Alone(NamedTuple):
    """A transaction that no other evaluation runs beside: its connection and time, and a token that changes whenever
    rules that somebody may remember went out of date.
    """

    connection: Connection
    now: datetime
    rules: int


class Unnamed(NamedTuple):
    """A service to be named; `software` is what it was taken for before, None: it was not looked at yet."""

    id: UUID
    service: Service
    software: int | None


class Word(NamedTuple):
    """What the product table says of a word: products, their numbers of CVEs and their families; `said` is the digest
    of that.
    """

    products: tuple[tuple[Product, int, int], ...]
    said: str


class Is(msgspec.Struct, frozen=True):
    """What a service was found to be: fingerprint of its software (32 hex digits), JSON of it, the products of its
    names in their order, and the words that were asked for. `before` as `Unnamed.software`.
    """

    service: UUID
    fingerprint: str
    body: str
    products: tuple[Product, ...]
    words: tuple[str, ...]
    before: int | None = None


@contextlib.contextmanager
def alone(database: Database) -> Generator[Alone]:
    """A transaction for an evaluation, once all others have ended theirs. Its commit waits for no disk: what a crash
    takes back is found undone, and done again.
    """
    with database.transaction() as connection:
        connection.execute("SET LOCAL synchronous_commit = off")
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        query: LiteralString = "SELECT clock_timestamp(), rules FROM correlation"
        found = connection.execute(query).fetchone()
        if found is None:
            connection.execute("INSERT INTO correlation (matcher) VALUES (0)")
            found = one(connection.execute(query))
        yield Alone(connection, *found)


def due(database: Database) -> Due:
    """What there is to do; a few probes of indexes."""
    with database.connection() as connection:
        return Due(*one(connection.execute(_DUE)))


def begin(connection: Connection, matcher: int) -> bool:
    """Have everything named and matched again if an earlier matcher did it; whether this one takes over. What a later
    one did is left alone.
    """
    before = one(connection.execute("SELECT matcher FROM correlation"))[0]
    if before < matcher:
        connection.execute("UPDATE correlation SET matcher = %s", [matcher])
        again(connection)
    return bool(before < matcher)


def again(connection: Connection) -> None:
    """Have every service that has a name named again, and every software matched again."""
    connection.execute(
        "UPDATE correlation SET walk = %s WHERE EXISTS (SELECT FROM service WHERE software IS NOT NULL)", [FIRST]
    )
    connection.execute("UPDATE software SET pending = 1 WHERE pending IS NULL")


def outdate(connection: Connection, token: int) -> None:
    """Rules that were read before are not to be used again."""
    connection.execute("UPDATE correlation SET rules = %s", [token])


def unlearn(connection: Connection) -> None:
    """Products are named by other CVEs now, or there are others: families and words have to be looked at again."""
    connection.execute("UPDATE correlation SET learned = NULL")


def left(database: Database) -> int:
    """How many services and software are still to be looked at."""
    with database.connection() as connection:
        return int(
            one(
                connection.execute(
                    """SELECT (SELECT count(*) FROM service WHERE software IS NULL)
                            + (SELECT count(*) FROM software WHERE pending IS NOT NULL)
                            + coalesce((SELECT (SELECT count(*) FROM service s WHERE s.id > c.walk)
                                        FROM correlation c WHERE c.walk IS NOT NULL), 0)"""
                )
            )[0]
        )


def unnamed(connection: Connection, limit: int) -> list[Unnamed]:
    """Services that nobody looked at yet."""
    query: LiteralString = f"SELECT {_SERVICE} FROM service s WHERE s.software IS NULL ORDER BY s.id LIMIT %s"
    return _services(connection, query, [limit])


def walked(connection: Connection, limit: int) -> list[Unnamed]:
    """The next services of those that are all being named again; none: that has come to its end, which is noted."""
    query: LiteralString = f"""SELECT {_SERVICE} FROM service s JOIN correlation c ON s.id > c.walk
      WHERE s.software IS NOT NULL ORDER BY s.id LIMIT %s"""
    found = _services(connection, query, [limit])
    connection.execute("UPDATE correlation SET walk = %s", [found[-1].id if found else None])
    return found


def reworded(connection: Connection, limit: int) -> list[Unnamed]:
    """The services that were named by words which mean something else by now; what they mean now is noted, so name
    these in the same transaction. More than `limit`: none, and all services are going to be named again instead.
    """
    words = connection.execute(_CHANGED).fetchall()
    if not words:
        return []
    query: LiteralString = f"SELECT {_SERVICE} FROM service s WHERE s.words && %s AND s.software IS NOT NULL LIMIT %s"
    found = _services(connection, query, [[word for word, _ in words], limit + 1])
    rows = [{"word": word, "said": said} for word, said in words]
    connection.execute(
        """UPDATE service_word w SET said = r.said
           FROM json_to_recordset(%s::json) AS r (word text, said text) WHERE w.word = r.word COLLATE "C" """,
        [encode(rows).decode()],
    )
    if len(found) <= limit:
        return found
    connection.execute("UPDATE correlation SET walk = %s", [FIRST])
    return []


def _services(connection: Connection, query: LiteralString, params: Sequence[Any]) -> list[Unnamed]:
    return [
        Unnamed(key, Service(name, product, version, extra, os, device, tunnel, tuple(cpe)), software)
        for key, name, product, version, extra, os, device, tunnel, cpe, software in connection.execute(query, params)
    ]


def words(connection: Connection, wanted: Sequence[str]) -> dict[str, Word]:
    """What the product table says of these words: of each the products that a CVE names."""
    asked = [word for word in wanted if len(word) <= MAX_WORD]
    rows = connection.execute(_WORDS, [asked]).fetchall() if asked else []
    found = {word: Word(tuple(_known(p) for p in products or ()), said) for word, said, products in rows}
    return {word: found.get(word, Word((), "")) for word in wanted}


def _known(product: tuple[str, str, str, int, int]) -> tuple[Product, int, int]:
    part, vendor, name, vulns, family = product
    return Product(part, vendor, name), vulns, family


def name(
    database: Database,
    connection: Connection,
    found: Sequence[Is],
    said: Mapping[str, str],
    word_of: Mapping[Product, str],
) -> int:
    """Write what services are; returns how many software nobody had before. Call it last: their rows get locked.

    `said` has what each word said, `word_of` the word of each product, for those that no CVE names yet. Software that
    takes the place of another has its findings, until it is matched itself: what stays true keeps its date. Software
    that is nobody's any more is removed.
    """
    ids = _ids(connection, found)
    new = {i.fingerprint: i for i in found if i.fingerprint not in ids}
    ids |= _make(database, connection, list(new.values()), word_of)
    heirs = {i.fingerprint: i.before for i in reversed(found) if i.before is not None and i.fingerprint in new}
    if heirs:
        rows = [{"heir": ids[fingerprint], "software": before} for fingerprint, before in heirs.items()]
        connection.execute(_INHERIT, [encode(rows).decode()])
    _note_words(connection, said)
    rows = [
        {
            "service": i.service,
            "software": ids[i.fingerprint],
            "words": [word for word in i.words if len(word) <= MAX_WORD],
        }
        for i in found
    ]
    connection.execute(_NAME, [encode(rows).decode()])
    _forget(connection, sorted({i.before for i in found if i.before is not None and i.before != ids[i.fingerprint]}))
    return len(new)


def _ids(connection: Connection, found: Sequence[Is]) -> dict[str, int]:
    wanted = sorted({i.fingerprint for i in found})
    rows = connection.execute("SELECT fingerprint, id FROM software WHERE fingerprint = ANY(%s::uuid[])", [wanted])
    return {fingerprint.hex: key for fingerprint, key in rows}


def _make(
    database: Database, connection: Connection, new: Sequence[Is], word_of: Mapping[Product, str]
) -> dict[str, int]:
    if not new:
        return {}
    products = product_ids(database, connection, {p: word_of[p] for i in new for p in i.products})
    rows: list[dict[str, object]] = []
    for i in new:
        known = [products[p] for p in i.products if p in products]
        rows.append(
            {
                "fingerprint": i.fingerprint,
                "body": i.body,
                "product": known[0] if known else 0,
                "pending": 0,
            }
        )
    ids = {fingerprint.hex: key for fingerprint, key in connection.execute(_MAKE, [encode(rows).decode()])}
    links = [{"product": products[p], "software": ids[i.fingerprint]} for i in new for p in i.products if p in products]
    connection.execute(_LINK, [encode(links).decode()])
    return ids


def product_ids(database: Database, connection: Connection, wanted: Mapping[Product, str]) -> dict[Product, int]:
    """The ids of these products; those that are not there are made, with the words that `wanted` has of them.

    Each is made in a transaction of its own: a sync that makes the same ones, in its order, is never met halfway.
    """
    fitting = [p for p in sorted(wanted) if len(str(p).encode()) <= _MAX_NAME]
    found = _find(connection, fitting)
    missing = [p for p in fitting if p not in found]
    if missing:
        with database.aside() as writer:
            for p in missing:
                writer.execute(_MAKE_PRODUCT, [p.part, p.vendor, p.product, wanted[p]])
        found |= _find(connection, missing)
        unlearn(connection)  # they may be of a family
    return found


def _find(connection: Connection, wanted: Sequence[Product]) -> dict[Product, int]:
    if not wanted:
        return {}
    rows = connection.execute(_PRODUCTS, [encode(wanted).decode()])
    return {Product(part, vendor, product): key for part, vendor, product, key in rows}


def _note_words(connection: Connection, said: Mapping[str, str]) -> None:
    """What they say, where they were not asked for before: what others were named by stays on record until they are
    named again (`reworded`).
    """
    rows = [{"word": word, "said": words} for word, words in sorted(said.items()) if len(word) <= MAX_WORD]
    if rows:
        connection.execute(
            """INSERT INTO service_word (word, said) SELECT word, said
               FROM json_to_recordset(%s::json) AS r (word text, said text) ON CONFLICT DO NOTHING""",
            [encode(rows).decode()],
        )


def _forget(connection: Connection, ids: Sequence[int]) -> None:
    if not ids:
        return
    rows = connection.execute(
        """DELETE FROM software s WHERE s.id = ANY(%s)
           AND NOT EXISTS (SELECT FROM service WHERE software = s.id) RETURNING s.id""",
        [ids],
    ).fetchall()
    if rows:
        connection.execute("DELETE FROM affected WHERE software = ANY(%s)", [[key for (key,) in rows]])


class Family(NamedTuple):
    """A product and the one that leads its family, by their ids."""

    id: int
    family: int
    vulns: int


def counted(connection: Connection) -> dict[Product, Family]:
    """Every product."""
    rows = connection.execute("SELECT part, vendor, product, id, family, vulns FROM product")
    return {Product(part, vendor, product): Family(*rest) for part, vendor, product, *rest in rows}


def move(connection: Connection, moved: Mapping[int, int]) -> int:
    """Put products into other families (ids: product and family) and have all software of the old and the new ones
    matched again; returns how many could be. What a sync holds stays as it is: families are to be learned again then.
    """
    held = connection.execute(
        "SELECT id, family FROM product WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED", [sorted(moved)]
    ).fetchall()
    if held:
        _move(connection, {key: moved[key] for key, _ in held}, [family for _, family in held])
    if len(held) == len(moved):
        connection.execute(
            "UPDATE correlation SET learned = coalesce((SELECT max(updated) FROM vuln_source), learned, now())"
        )
    return len(held)


def _move(connection: Connection, moved: Mapping[int, int], left: Sequence[int]) -> None:
    rows = [{"id": key, "family": family} for key, family in moved.items()]
    connection.execute(
        """UPDATE product p SET family = r.family FROM json_to_recordset(%s::json) AS r (id int4, family int4)
           WHERE p.id = r.id""",
        [encode(rows).decode()],
    )
    connection.execute(
        """UPDATE software SET pending = 1 WHERE pending IS NULL AND id IN (
             SELECT sp.software FROM software_product sp JOIN product p ON p.id = sp.product
             WHERE p.family = ANY(%s))""",
        [sorted({*left, *moved.values()})],
    )
