"""What services are: rows that equal ones share, words that are noticed when they change, one writer at a time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import msgspec
import psycopg
import pytest

from spectra.errors import Unavailable
from spectra.model.findings import Identity, Software
from spectra.model.observation import Service
from spectra.model.vulns import Product
from spectra.store import software
from spectra.store.content import Content, Known
from spectra.store.database import Connection, Database
from spectra.store.rows import content_id
from spectra.store.software import Is, Unnamed, alone, name, product_ids

pytestmark = pytest.mark.engine

SSH = Product("a", "openbsd", "openssh")
WEB = Product("a", "f5", "nginx")
WORDS = {SSH: "openssh", WEB: "nginx"}


def store(database: Database, *products: str) -> None:
    """Services of these products, as an ingest stores them."""
    content = Content(Known())
    for product in products:
        content.service(Service(name="any", product=product, cpe=(f"cpe:/a:{product}",)))
    content.write(database)


def found(unnamed: Unnamed, *products: Product, how: str = "x", words: tuple[str, ...] = ()) -> Is:
    """That the service is software of these products."""
    names = tuple(Identity(f"cpe:2.3:a:{p.vendor}:{p.product}:1:*:*:*:*:*:*:*", 0.9, how) for p in products)
    what = Software(names)
    body = msgspec.json.encode(what).decode()
    return Is(unnamed.id, content_id(what.fingerprint), body, products, words, unnamed.software)


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    """All rows of a query."""
    with database.connection() as connection:
        return connection.execute(query.encode()).fetchall()


def known(connection: Connection, product: Product, vulns: int) -> None:
    """A feed names the product in that many CVEs."""
    connection.execute(
        """INSERT INTO product (part, vendor, product, word, vulns, family) VALUES (%s, %s, %s, %s, %s, 0)
           ON CONFLICT (product, vendor, part) DO UPDATE SET vulns = excluded.vulns""",
        [product.part, product.vendor, product.product, WORDS[product], vulns],
    )


def test_services_share_what_they_are(database: Database) -> None:
    """Three services of two kinds are two rows, that wait to be matched; products that nobody named are made."""
    store(database, "ssh1", "ssh2", "web")
    assert software.due(database).unnamed
    with alone(database) as own:
        waiting = software.unnamed(own.connection, 10)
        told = [found(u, SSH if "ssh" in u.service.product else WEB) for u in waiting]
        assert name(database, own.connection, told, {}, WORDS) == 2
    assert rows(database, "SELECT count(*), count(DISTINCT software) FROM service") == [(3, 2)]
    assert rows(database, "SELECT pending FROM software") == [(0,), (0,)]
    assert rows(database, "SELECT product, word, vulns, family = id FROM product ORDER BY 1") == [
        ("nginx", "nginx", 0, True),
        ("openssh", "openssh", 0, True),
    ]
    linked = "SELECT count(*) FROM software_product sp JOIN software s ON s.id = sp.software AND s.product = sp.product"
    assert rows(database, linked) == [(2,)]
    due = software.due(database)
    assert (due.unnamed, due.fresh, due.again, software.left(database)) == (False, True, False, 2)


def test_what_nothing_is_known_of_is_one_software(database: Database) -> None:
    """It has no product, and is looked at once."""
    store(database, "a", "b")
    with alone(database) as own:
        told = [found(u) for u in software.unnamed(own.connection, 10)]
        assert name(database, own.connection, told, {}, {}) == 1
        assert software.unnamed(own.connection, 10) == []
    assert rows(database, "SELECT product FROM software") == [(0,)]


def test_words_say_which_products_cves_name(database: Database) -> None:
    """Those of the word, with their counts; what was made for a service alone is not said; long words say nothing."""
    with database.connection() as connection:
        known(connection, SSH, 7)
        product_ids(database, connection, {WEB: "nginx"})
        told = software.words(connection, ["openssh", "nginx", "nobody", "x" * 1000])
        assert told["openssh"].products == ((SSH, 7, 0),)
        assert told["openssh"].said
        assert {w: told[w] for w in ("nginx", "nobody")} == dict.fromkeys(("nginx", "nobody"), ((), ""))
        assert told["x" * 1000].products == ()
        known(connection, SSH, 8)
        assert software.words(connection, ["openssh"])["openssh"].said != told["openssh"].said


def test_services_whose_words_changed_are_found(database: Database) -> None:
    """Once a feed names a product of that word, or another number of CVEs does: these, once, and no others."""
    store(database, "ssh", "web")
    with alone(database) as own:
        waiting = {u.service.product: u for u in software.unnamed(own.connection, 10)}
        told = [found(waiting["ssh"], words=("openssh", "ssh")), found(waiting["web"], words=("nginx",))]
        said = {word: w.said for word, w in software.words(own.connection, ["openssh", "ssh", "nginx"]).items()}
        name(database, own.connection, told, said, {})
        assert software.reworded(own.connection, 10) == []
        known(own.connection, SSH, 1)
        (again,) = software.reworded(own.connection, 10)
        assert (again.service.product, again.software is not None) == ("ssh", True)
        assert software.reworded(own.connection, 10) == []
        known(own.connection, SSH, 2)
        known(own.connection, WEB, 2)
        assert software.reworded(own.connection, 1) == [], "too many at once"
        assert software.due(database).walk is None
    assert software.due(database).walk == software.FIRST


def test_a_word_that_is_asked_for_again_stays_on_record(database: Database) -> None:
    """A service that is named by what a word says now does not hide that others were named by what it said before."""
    store(database, "one")
    with alone(database) as own:
        name(database, own.connection, [found(software.unnamed(own.connection, 1)[0], words=("openssh",))],
             {"openssh": ""}, {})  # fmt: skip
    store(database, "two")
    with alone(database) as own:
        known(own.connection, SSH, 1)
        (two,) = software.unnamed(own.connection, 9)
        said = software.words(own.connection, ["openssh"])["openssh"].said
        name(database, own.connection, [found(two, SSH, words=("openssh",))], {"openssh": said}, WORDS)
        assert {u.service.product for u in software.reworded(own.connection, 9)} == {"one", "two"}


def finding(connection: Connection, of: int, vuln: int, *, ended: bool = False) -> None:
    """A stored finding that is a day old."""
    connection.execute(
        """INSERT INTO affected (software, vuln, since, until, reason, confidence, identity)
           VALUES (%s, %s, now() - interval '1 day', CASE WHEN %s THEN now() END, 1, 0.5, 0)""",
        [of, vuln, ended],
    )


def test_what_takes_the_place_of_another_has_its_findings(database: Database) -> None:
    """With their dates and their past; the other goes once no service is it any more."""
    store(database, "ssh1", "ssh2")
    with alone(database) as own:
        waiting = software.unnamed(own.connection, 10)
        name(database, own.connection, [found(u, SSH) for u in waiting], {}, WORDS)
    ((before,),) = rows(database, "SELECT id FROM software")
    with database.connection() as connection:
        finding(connection, before, 1)
        finding(connection, before, 2, ended=True)
    dates = rows(database, "SELECT vuln, since, until FROM affected ORDER BY vuln")
    first, second = (u._replace(software=before) for u in waiting)
    with alone(database) as own:
        name(database, own.connection, [found(first, SSH, how="otherwise")], {}, WORDS)
    assert rows(database, "SELECT count(*) FROM affected") == [(4,)], "the other service still is what it was"
    with alone(database) as own:
        name(database, own.connection, [found(second, SSH, how="otherwise")], {}, WORDS)
    ((after,),) = rows(database, "SELECT id FROM software")
    assert after != before
    assert rows(database, "SELECT vuln, since, until FROM affected ORDER BY vuln") == dates
    assert rows(database, "SELECT DISTINCT software FROM affected") == [(after,)]
    assert rows(database, "SELECT DISTINCT software FROM software_product") == [(after,)]


def test_walking_over_all(database: Database) -> None:
    """In order, some at a time, to an end that is on record; services that nobody looked at are not part of it."""
    store(database, *(f"s{n}" for n in range(5)))
    with alone(database) as own:
        name(database, own.connection, [found(u) for u in software.unnamed(own.connection, 4)], {}, {})
        software.again(own.connection)
    assert software.left(database) == 1 + 1 + 5
    walked: list[UUID] = []
    for expected in (3, 1, 0):
        with alone(database) as own:
            step = software.walked(own.connection, 3)
        assert len(step) == expected
        walked += [u.id for u in step]
    assert walked == sorted(set(walked))
    assert software.due(database).walk is None


def test_which_matcher(database: Database) -> None:
    """A later one takes over and has all done again; an earlier one does not."""
    with alone(database) as own:
        assert software.begin(own.connection, 3)
        assert not software.begin(own.connection, 3)
        assert not software.begin(own.connection, 2)
    store(database, "s")
    with alone(database) as own:
        name(database, own.connection, [found(software.unnamed(own.connection, 1)[0])], {}, {})
        own.connection.execute("UPDATE software SET pending = NULL")
        assert software.begin(own.connection, 4)
    due = software.due(database)
    assert (due.walk, due.again, due.matcher) == (software.FIRST, True, 4)


def test_products_change_families(database: Database) -> None:
    """Software of the family that they leave and of the one they come to is matched again; no other."""
    third = Product("a", "acme", "frob")
    store(database, "ssh", "web", "frob")
    with alone(database) as own:
        of = {"ssh": SSH, "web": WEB, "frob": third}
        told = [found(u, of[u.service.product]) for u in software.unnamed(own.connection, 9)]
        name(database, own.connection, told, {}, WORDS | {third: "frob"})
        own.connection.execute("UPDATE software SET pending = NULL")
        counted = software.counted(own.connection)
        assert software.move(own.connection, {counted[SSH].id: counted[WEB].id}) == 1
        assert software.counted(own.connection)[SSH].family == counted[WEB].id
        waiting = own.connection.execute("SELECT product FROM software WHERE pending = 1").fetchall()
    assert {key for (key,) in waiting} == {counted[SSH].id, counted[WEB].id}
    assert not software.due(database).products


def test_products_that_a_sync_holds_stay_where_they_are(database: Database) -> None:
    """Nobody waits for the other: they move the next time, which is still due."""
    with database.connection() as connection:
        ids = product_ids(database, connection, WORDS)
    with psycopg.connect(database.url) as sync:
        sync.execute("UPDATE product SET vulns = vulns + 1 WHERE id = %s", [ids[SSH]])
        with alone(database) as own:
            assert software.move(own.connection, {ids[SSH]: ids[WEB]}) == 0
    assert software.due(database).products
    with alone(database) as own:
        assert software.move(own.connection, {ids[SSH]: ids[WEB]}) == 1
    assert not software.due(database).products


def test_one_at_a_time(database: Database) -> None:
    """A second evaluation begins when the first has ended, with a later time."""
    entered = threading.Event()

    def second() -> Any:
        entered.set()
        with alone(database) as own:
            return own.now

    with ThreadPoolExecutor(1) as pool:
        with alone(database) as own:
            other = pool.submit(second)
            assert entered.wait(30)
            assert rows(database, f"SELECT pg_try_advisory_xact_lock({software._LOCK})") == [(False,)]
            first = own.connection.execute("SELECT clock_timestamp()").fetchone()
        assert first is not None
        assert other.result(30) > first[0]


def test_names_that_no_index_holds_are_left_out(database: Database) -> None:
    """A product of thousands of letters keeps nobody from being named."""
    long = Product("a", "v" * 3000, "p")
    store(database, "s")
    with alone(database) as own:
        (u,) = software.unnamed(own.connection, 1)
        name(database, own.connection, [found(u, long, SSH, words=("w" * 5000,))], {"w" * 5000: ""},
             WORDS | {long: "p"})  # fmt: skip
    assert rows(database, "SELECT product FROM product") == [("openssh",)]
    assert rows(database, "SELECT words FROM service") == [([],)]


def test_a_database_that_is_away_is_told(database: Database) -> None:
    """As everywhere."""
    with pytest.raises(Unavailable), alone(database) as own:
        own.connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
