"""CVEs that match a question, held against a naive model; orders, pages and totals, whichever way they are read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spectra.errors import BadRequest
from spectra.intel.vulns.read import open_feed
from spectra.model.vulnquery import SEVERITIES, STATUSES, VulnQuery, read_products, read_text
from spectra.model.vulnrecords import VulnPage, VulnTotal
from spectra.model.vulns import VulnRecord
from spectra.store import vulnsearch, vulnwording
from spectra.store.database import Database
from spectra.store.vulnsearch import Paging, search
from spectra.store.vulnwrite import Writer
from tests.store.corpus import DAY, KNOWLEDGE, NOW, VOCABULARY, WEAKNESSES, Corpus, in_order
from tests.store.scribe import T0, Scribe, host, seen
from tests.store.weak import Weak

EVERY = VulnQuery(statuses=())
SORTS = [sign + sort for sort in ("risk", "cvss", "epss", "published", "modified", "cve") for sign in ("", "-")]


@pytest.fixture(params=["whole", "walked", "sorted"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every way to a page, of which a small store would take the first alone: all matches, a walk, and all sorted."""
    if request.param != "whole":
        monkeypatch.setattr(vulnsearch, "FEW", 0)
        reach = 9 if request.param == "walked" else 1
        monkeypatch.setattr(vulnsearch, "REACH", reach)
        monkeypatch.setattr(vulnsearch, "FAR_REACH", reach)
        monkeypatch.setattr(vulnsearch, "NEAR", reach + 2)
    return request.param


def pages(database: Database, query: VulnQuery, sort: str = "", limit: int = 7) -> Iterator[VulnPage]:
    """Every page, asked for one after the other."""
    cursor = ""
    while True:
        page = search(database, query, Paging(sort, cursor, limit))
        yield page
        cursor = page.next_cursor
        if not cursor:
            return


def ids(database: Database, query: VulnQuery, sort: str = "", limit: int = 7) -> list[str]:
    """The CVEs of all pages."""
    return [one.cve for page in pages(database, query, sort, limit) for one in page.vulns]


def risks(database: Database) -> dict[str, float]:
    """The risk of every CVE."""
    return {one.cve: one.risk for page in pages(database, EVERY, "cve", 1000) for one in page.vulns}


# What is selected ----------------------------------------------------------------------------------------------------

ID_WORDS = ("CVE-2024-6387", "cve-2024-63", "CVE-2024-63*", "CVE-2021", "CVE-2021-", "CVE-20*", "CVE-2019-00*")


def texts() -> st.SearchStrategy[str]:
    """Words, phrases, exclusions, ids and alternatives."""
    some = st.sampled_from(VOCABULARY)
    phrase = st.lists(some, min_size=1, max_size=2).map(lambda words: f'"{" ".join(words)}"')
    piece = st.one_of(some, phrase, st.sampled_from(ID_WORDS))
    signed = st.tuples(st.sampled_from(["", "", "", "-"]), piece).map("".join)
    return st.lists(st.one_of(signed, signed, signed, st.just("or")), max_size=5).map(" ".join)


def some(values: Any, most: int = 2) -> st.SearchStrategy[tuple[Any, ...]]:
    """A few of `values`, mostly none."""
    return st.one_of(st.just(()), st.lists(st.sampled_from(list(values)), max_size=most).map(tuple))


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A value, mostly None."""
    return st.one_of(st.none(), st.none(), values)


MOMENTS = st.integers(-1, 6).map(lambda days: NOW - days * DAY)
QUERIES = st.builds(
    VulnQuery,
    text=texts().map(read_text),
    severities=some(SEVERITIES),
    min_cvss=maybe(st.sampled_from([2.1, 5.0, 7.0, 9.8])),
    max_cvss=maybe(st.sampled_from([2.1, 5.0, 9.8])),
    min_epss=maybe(st.sampled_from([0.0, 0.001, 0.5, 1.0])),
    kev=maybe(st.booleans()),
    ransomware=maybe(st.booleans()),
    published_since=maybe(MOMENTS),
    published_before=maybe(MOMENTS),
    modified_since=maybe(MOMENTS),
    modified_before=maybe(MOMENTS),
    years=some([2019, 2021, 2030]),
    statuses=some(STATUSES.values(), 3),
    products=some(
        ["openssh", "openbsd:openssh", "a:f5:nginx", "o:linux:linux_kernel", "a:linux:linux_kernel", "c++"]
    ).map(lambda names: tuple(name for text in names for name in read_products(text))),
    weaknesses=some(WEAKNESSES),
)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=QUERIES, sort=st.sampled_from(["", *SORTS]), limit=st.sampled_from([2, 5, 24, 30]))
def test_filters_select_what_the_model_does(
    corpus: Corpus, database: Database, way: str, query: VulnQuery, sort: str, limit: int
) -> None:
    """Every filter, alone and with others, in every order and page size: each match once, and nothing else."""
    found = ids(database, query, sort, limit)
    assert len(found) == len(set(found))
    assert set(found) == corpus.found(query)
    page = search(database, query, Paging(sort, limit=limit), total=True)
    assert page.total is not None
    assert page.total == VulnTotal(len(found), True)


@pytest.fixture
def corpus(database: Database) -> Corpus:
    """CVEs in the database of this test."""
    return Corpus.of(database)


def test_pages_are_the_matches_in_order(corpus: Corpus, database: Database, way: str) -> None:
    """Each sort, both ways round, in pages of every size; what has no value comes last, ties stay apart."""
    known = risks(database)
    for query in (EVERY, VulnQuery(text=read_text("buffer or kernel or -shell"))):
        for sort in SORTS:
            wanted = in_order(corpus, corpus.found(query), sort, known.__getitem__)
            for limit in (1, 5, 23, 24, 25):
                assert ids(database, query, sort, limit) == wanted, (limit, sort, query)


def test_relevance_comes_first_and_risk_after(corpus: Corpus, database: Database, way: str) -> None:
    """Words are weighed by relevance, down; of too many matches the riskiest are, then the others follow by risk."""
    known = risks(database)
    query = VulnQuery(text=read_text("buffer or kernel or heap"))
    rows = [one for page in pages(database, query, limit=4) for one in page.vulns]
    weighed = [one for one in rows if one.relevance is not None]
    assert rows[: len(weighed)] == weighed
    assert weighed == sorted(weighed, key=lambda one: -(one.relevance or 0))
    rest = [known[one.cve] for one in rows[len(weighed) :]]
    assert rest == sorted(rest, reverse=True)
    if way == "whole":
        assert not rest
    if weighed and rest:
        assert min(known[one.cve] for one in weighed) >= max(rest)


def test_a_title_outweighs_a_text(database: Database) -> None:
    """The CVE that has the word in its title comes before one that has it in a long text; exclusions weigh nothing."""
    weak = Weak(database)
    weak.vuln("CVE-2024-0001", description="something of a daemon " + "and more words " * 20)
    weak.vuln("CVE-2024-0002", title="daemon")
    weak.vuln("CVE-2024-0003", title="daemon", description="kernel")
    assert ids(database, VulnQuery(text=read_text("daemon -kernel"))) == ["CVE-2024-0002", "CVE-2024-0001"]
    assert ids(database, VulnQuery(text=read_text("-kernel"))) == ["CVE-2024-0001", "CVE-2024-0002"]


def test_words_are_english(database: Database) -> None:
    """Forms of a word are one word, in the text and in the question; what every text has is left out."""
    Weak(database).vuln("CVE-2024-0001", description="Attackers overflowed the buffers of a server.")
    for text in ("attacker", "the overflow of buffer", '"overflows buffer"', "server -client", "client or server"):
        assert bool(ids(database, VulnQuery(text=read_text(text)))) == (text != '"overflows buffer"'), text
    with pytest.raises(BadRequest) as error:
        ids(database, VulnQuery(text=read_text("the")))
    assert error.value.field == "text"


def test_ids_in_quotes_are_words(database: Database) -> None:
    """A CVE that another one's text names is found by that text."""
    weak = Weak(database)
    weak.vuln("CVE-2024-0001", description="a different vulnerability than CVE-2021-44228")
    weak.vuln("CVE-2021-44228", description="log4j")
    assert ids(database, VulnQuery(text=read_text("CVE-2021-44228"))) == ["CVE-2021-44228"]
    assert ids(database, VulnQuery(text=read_text('"CVE-2021-44228"'))) == ["CVE-2024-0001"]


# Products ------------------------------------------------------------------------------------------------------------


def test_a_product_is_found_by_all_its_names(corpus: Corpus, database: Database) -> None:
    """Once names are one family, each of them finds what the others are said of."""
    mine = corpus.found(VulnQuery(products=read_products("nginx"), statuses=()))
    theirs = corpus.found(VulnQuery(products=read_products("openssh"), statuses=()))
    assert mine != theirs
    with database.connection() as connection:
        connection.execute("UPDATE product SET family = (SELECT id FROM product WHERE product = 'nginx')"
                           " WHERE product = 'openssh'")  # fmt: skip
    for text in ("nginx", "f5:nginx", "openbsd:openssh", "cpe:2.3:a:openbsd:openssh:9.8:*:*:*:*:*:*:*"):
        assert set(ids(database, VulnQuery(products=read_products(text), statuses=()))) == mine | theirs, text
    assert ids(database, VulnQuery(products=read_products("nobody:nothing"))) == []


def test_a_word_of_a_product_is_enough(corpus: Corpus, database: Database) -> None:
    """`Linux Kernel` is looked up as the matcher would, by the normal form that the caller gives."""
    (name,) = read_products("Linux-Kernel")
    wanted = corpus.found(VulnQuery(products=read_products("linux_kernel")))
    assert set(ids(database, VulnQuery(products=(name._replace(word="linuxkernel"),)))) == wanted != set()


# What they affect ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("many", [vulnwording.MANY, 0])
def test_affecting_is_about_services_of_now(
    database: Database, write: Scribe, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    """A CVE counts while something open runs what it concerns, and while its source says so; few are listed."""
    monkeypatch.setattr(vulnwording, "MANY", many)
    write(
        [host("10.0.0.1", T0, seen(22, "ssh", "OpenSSH", "9.2")), host("10.0.0.2", T0, seen(80, "http", "nginx", "1"))]
    )
    weak = Weak(database)
    ssh, web, gone = weak.software("OpenSSH", "9.2"), weak.software("nginx", "1"), weak.software("gone", "1")
    open_, closed, past, other = (weak.vuln(f"CVE-2024-000{n}") for n in range(1, 5))
    weak.affected(ssh, open_)
    weak.affected(web, closed)
    weak.affected(ssh, past, until=T0)
    weak.affected(gone, other)
    write([host("10.0.0.2", T0 + DAY, seen(80, state="closed"))])
    assert ids(database, VulnQuery(affecting=True)) == ["CVE-2024-0001"]
    assert ids(database, VulnQuery(affecting=False), "cve") == ["CVE-2024-0002", "CVE-2024-0003", "CVE-2024-0004"]


# Rows ----------------------------------------------------------------------------------------------------------------


def test_a_row_tells_what_is_known(corpus: Corpus, database: Database) -> None:
    """Scores, times and the first products come along; a long text is cut."""
    for one in search(database, EVERY, Paging("cve", limit=1000)).vulns:
        told = corpus.records[one.cve]
        metric = told.metrics[0] if told.metrics else None
        assert (one.title, one.description, one.status) == (told.title, told.description[:300], told.status)
        assert one.cvss == (pytest.approx(metric.score) if metric else None)
        assert (one.severity, one.cvss_version) == ((metric.severity, "3.1") if metric else ("", ""))
        assert (one.published, one.modified) == (told.published, told.modified)
        assert (one.kev is not None) == (one.cve in corpus.kev)
        products = {":".join(c.cpe.split(":")[3:5]).replace("\\", "") for n in told.configurations for c in n.criteria}
        assert set(one.products) == products


# Totals --------------------------------------------------------------------------------------------------------------


def test_many_matches_are_estimated(corpus: Corpus, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound every so many rows are looked at, and the total says that it is an estimate."""
    monkeypatch.setattr(vulnsearch, "FEW", 3)
    monkeypatch.setattr(vulnsearch, "SAMPLE", 8)
    page = search(database, EVERY, Paging(limit=5), total=True)
    assert page.total == VulnTotal(24, False)
    few = search(database, VulnQuery(text=read_text("CVE-2024-6387")), total=True)
    assert few.total == VulnTotal(1, True)
    assert search(database, EVERY).total is None


def test_what_nothing_can_be_is_empty(corpus: Corpus, database: Database) -> None:
    """A product that no CVE names ends the question before it is asked."""
    query = VulnQuery(products=read_products("nobody:nothing"))
    assert search(database, query, total=True) == VulnPage((), total=VulnTotal(0, True))


# Cursors -------------------------------------------------------------------------------------------------------------


def test_what_comes_between_pages_moves_nothing(corpus: Corpus, database: Database, way: str) -> None:
    """CVEs that are added while pages are followed are told or not, but the others still once each, in order."""
    weak, added = Weak(database), 0
    for sort in SORTS:
        wanted = ids(database, EVERY, sort, 1000)
        found: list[str] = []
        for page in pages(database, EVERY, sort, 9):
            found += [one.cve for one in page.vulns]
            added += 1
            weak.vuln(f"CVE-2020-{added + 1000}", risk=100.0 * (added % 2), cvss=5.0, epss=0.5)
        assert [cve for cve in found if cve in wanted] == wanted, sort
        assert len(found) == len(set(found))


def test_lists_by_relevance_that_grow_end_well(
    corpus: Corpus, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where matches become too many to be weighed all, the pages that follow still hold each once."""
    query = VulnQuery(text=read_text("buffer or heap or kernel"))
    first = search(database, query, Paging(limit=3))
    monkeypatch.setattr(vulnsearch, "FEW", 0)
    rest: list[str] = []
    cursor = first.next_cursor
    while cursor:
        page = search(database, query, Paging("", cursor, 3))
        rest += [one.cve for one in page.vulns]
        cursor = page.next_cursor
    found = [one.cve for one in first.vulns] + rest
    assert len(found) == len(set(found))
    assert set(found) == corpus.found(query)


@pytest.mark.parametrize(
    ("sort", "cursor", "limit", "field"),
    [("colour", "", 1, "sort"), ("-relevance", "", 1, "sort"), ("risk", "x", 1, "cursor"), ("", "", 0, "limit")],
)
def test_what_there_is_not_is_refused(database: Database, sort: str, cursor: str, limit: int, field: str) -> None:
    """The parameter is named."""
    with pytest.raises(BadRequest) as error:
        search(database, EVERY, Paging(sort, cursor, limit))
    assert error.value.field == field


def test_a_cursor_is_of_one_sort(corpus: Corpus, database: Database) -> None:
    """Another sort is another list."""
    cursor = search(database, EVERY, Paging("risk", "", 2)).next_cursor
    with pytest.raises(BadRequest, match="sorted by"):
        search(database, EVERY, Paging("cve", cursor, 2))


# Real CVEs -----------------------------------------------------------------------------------------------------------


def test_real_cves_are_found(database: Database, shared_data: Path) -> None:
    """Five thousand of the NVD's CVEs, selected as its own JSON says and nothing of ours."""
    file = shared_data / "nvd" / "nvd_netproducts_core.jsonl.zst"
    with zstandard.open(file, "rt", encoding="utf-8") as stream:
        raw = [json.loads(line) for line in stream]
    with open_feed(file) as feed, database.transaction() as connection:
        records = [item for item in feed.items() if isinstance(item, VulnRecord)]
        Writer(connection, KNOWLEDGE, NOW).write(records)

    def ids_where(holds: Callable[[dict[str, Any]], bool]) -> set[str]:
        return {one["id"] for one in raw if holds(one)}

    beside = re.compile(r'"vulnerable": false[^}]*')
    openssh = ids_where(lambda one: '"cpe:2.3:a:openbsd:openssh:' in beside.sub("", json.dumps(one)))
    assert len(openssh) > 50
    assert set(ids(database, VulnQuery(products=read_products("openbsd:openssh"), statuses=()), limit=1000)) == openssh
    overflow = ids_where(lambda one: '"value": "CWE-787"' in json.dumps(one.get("weaknesses")))
    assert set(ids(database, VulnQuery(weaknesses=("CWE-787",), statuses=()), limit=1000)) == overflow
    for word in ("smuggling", "traversal"):
        said = ids_where(lambda one, word=word: word in one["descriptions"][0]["value"].lower())
        assert said <= set(ids(database, VulnQuery(text=read_text(word), statuses=()), limit=1000))
    assert search(database, EVERY, total=True).total == VulnTotal(len(raw), True)
