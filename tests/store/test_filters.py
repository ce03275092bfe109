"""What each field finds, against a naive model in memory, and that no value is ever SQL."""

from __future__ import annotations

import ipaddress
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spectra.model.observation import Banner, EndpointSeen, Protocol, Service, State
from spectra.model.query import FIELDS, WORDS, Moment, Network, Ports, Query, Term, Text, Value, format_query, parse
from spectra.store import lookups, search
from spectra.store.database import Database, one
from tests.store.scribe import T0, Scribe, host, seen

DAY = timedelta(days=1)

PRODUCTS = ["nginx", "Apache httpd", "Apache Tomcat/Coyote JSP engine", "OpenSSH", "Foo - Bar (v2)", "---", ""]
VERSIONS = ["1.2", "1.2.3", "1.20", "1.2p1", "1.2-rc", "9.2p1 Debian 2", ""]
SERVICES = ["http", "https", "ssh", "imap", "HTTP", "s", ""]
SPEECH = ["welcome", "to", "nginx", "login", "page", "42", "SSH"]
NAMES = [
    "example.org",
    "a.example.org",
    "b.a.example.org",
    "notexample.org",
    "examplexorg",
    "100%.example.org",
    "x_y",
    "b.xay",
]
ADDRESSES = ["10.0.0.1", "10.0.0.2", "10.0.1.200", "10.255.255.255", "11.0.0.0", "192.0.2.7", "2001:db8::1", "::ffff"]
PORTS = [0, 21, 22, 80, 443, 8080, 65535]
SCANS = ["weekly", "nightly", "odd'; --"]
PEOPLE = ["alice", "bob", "Łukasz"]

Key = tuple[str, int, str]


# The model -----------------------------------------------------------------------------------------------------------


@dataclass
class Endpoint:
    """One endpoint as a person would note it down; `looks` are the scans and contributors that listed it."""

    ip: str
    port: int
    protocol: Protocol
    service: Service | None
    banner: Banner | None
    names: Sequence[str]
    last_seen: datetime
    state: State = "open"
    looks: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    @property
    def key(self) -> Key:
        """What the store knows it by."""
        return (self.ip, self.port, self.protocol)


def world(write: Scribe) -> list[Endpoint]:
    """Some fifty endpoints with everything there is to ask about, written into the store and returned.

    Each host is looked at twice; the second look leaves one endpoint out, confirms most and finds others gone.
    """
    chance = random.Random(7)
    endpoints: list[Endpoint] = []
    for ip in ADDRESSES:
        at, names = T0 + chance.randint(0, 5) * DAY, chance.sample(NAMES, chance.randint(0, 4))
        mine = list({e.key: e for e in (_endpoint(chance, ip, at, names) for _ in range(9))}.values())
        _look(write, chance, at, mine)
        for endpoint in mine[1:]:
            endpoint.state = chance.choice(["open", "open", "closed", "filtered"])
            if endpoint.state == "open":
                endpoint.last_seen = at + 7 * DAY
            else:
                endpoint.service = endpoint.banner = None
        _look(write, chance, at + 7 * DAY, mine[1:])
        endpoints += mine
    return endpoints


def _endpoint(chance: random.Random, ip: str, at: datetime, names: Sequence[str]) -> Endpoint:
    service = Service(
        name=chance.choice(SERVICES),
        product=chance.choice(PRODUCTS),
        version=chance.choice(VERSIONS),
        tunnel=chance.choice(["", "tls"]),
    )
    title, text = (" ".join(chance.choices(SPEECH, k=chance.randint(0, 4))) for _ in range(2))
    return Endpoint(
        ip,
        chance.choice(PORTS),
        chance.choice(("tcp", "udp", "sctp")),
        service if chance.random() < 0.8 else None,
        Banner(text=text, title=title) if chance.random() < 0.8 else None,
        names,
        at,
    )


def _look(write: Scribe, chance: random.Random, at: datetime, endpoints: Sequence[Endpoint]) -> None:
    scan, contributor = chance.choice(SCANS), chance.choice(PEOPLE)
    for endpoint in endpoints:
        endpoint.looks.append((scan, contributor))
    listed = [EndpointSeen(e.port, e.protocol, e.state, e.service, e.banner) for e in endpoints]
    write([host(endpoints[0].ip, at, *listed, names=endpoints[0].names)], at=at, scan_id=scan, contributor=contributor)


def expected(endpoints: Sequence[Endpoint], query: Query) -> set[Key]:
    """The keys of the endpoints that satisfy `query`, by the words of the documentation."""
    return {e.key for e in endpoints if _satisfies(e, query)}


def _satisfies(e: Endpoint, query: Query) -> bool:
    if e.state != "open" and not any(term.field == "state" for term in query.terms):
        return False
    seen_by = [t for t in query.terms if t.field in ("scan", "contributor") and not t.negated]
    if seen_by and not any(all(_looked(look, term) for term in seen_by) for look in e.looks):
        return False
    others = [term for term in query.terms if term not in seen_by]
    return all(any(_holds(e, term.field, value) for value in term.values) != term.negated for term in others)


def _looked(look: tuple[str, str], term: Term) -> bool:
    return any(isinstance(v, Text) and v.text == look[term.field == "contributor"] for v in term.values)


def _holds(e: Endpoint, name: str, value: Value) -> bool:
    match value:
        case Network(first, last):
            low, ip, high = (ipaddress.ip_address(a) for a in (first, e.ip, last))
            return low.version == ip.version and int(low) <= int(ip) <= int(high)
        case Ports(low, high):
            return low <= e.port <= high
        case Moment(at):
            return e.last_seen >= at if name == "since" else e.last_seen < at
        case Text():
            return _HOLDS[name](e, value.text.lower(), value)


def _service(e: Endpoint, text: str, value: Text) -> bool:
    if e.service is None:
        return False
    name = e.service.name.lower()
    if value.prefix:
        return name != "" and name.startswith(text)
    return name == text or (len(text) > 1 and f"{name}s" == text and e.service.tunnel == "tls")


def _product(e: Endpoint, text: str, value: Text) -> bool:
    if e.service is None or not e.service.product:
        return False
    wanted, words = _cut(text), _cut(e.service.product.lower())
    if not wanted:
        return (value.prefix and not text) or e.service.product.lower() == text
    return _contains(words, wanted, prefix=value.prefix)


def _version(e: Endpoint, text: str, value: Text) -> bool:
    if e.service is None or not e.service.version.lower().startswith(text):
        return False
    if value.prefix:
        return e.service.version != ""
    rest = e.service.version[len(text) :]
    return not rest or not rest[0].isalnum()


def _words(e: Endpoint, text: str, _: Text) -> bool:
    return e.banner is not None and _contains(_cut(f"{e.banner.title} {e.banner.text}".lower()), _cut(text))


def _title(e: Endpoint, text: str, _: Text) -> bool:
    return e.banner is not None and _contains(_cut(e.banner.title.lower()), _cut(text))


def _cut(text: str) -> list[str]:
    return [word for word in re.split(r"[\s!-/:-@\[-`{-~]+", text) if word]


def _contains(words: Sequence[str], wanted: Sequence[str], *, prefix: bool = False) -> bool:
    stretches = (list(words[i : i + len(wanted)]) for i in range(len(words) - len(wanted) + 1))
    if not prefix:
        return list(wanted) in stretches
    return any(s[:-1] == list(wanted[:-1]) and s[-1].startswith(wanted[-1]) for s in stretches)


_HOLDS: dict[str, Callable[[Endpoint, str, Text], bool]] = {
    WORDS: _words,
    "title": _title,
    "service": _service,
    "product": _product,
    "version": _version,
    "protocol": lambda e, text, _: e.protocol == text,
    "state": lambda e, text, _: e.state == text,
    "hostname": lambda e, text, _: any(n == text or n.endswith(f".{text}") for n in e.names),
    "scan": lambda e, _, value: any(scan == value.text for scan, _ in e.looks),
    "contributor": lambda e, _, value: any(who == value.text for _, who in e.looks),
}


# Queries against the model -------------------------------------------------------------------------------------------

_times = st.integers(-1, 14).map(lambda day: Moment(T0 + day * DAY)) | st.just(Moment(T0 + timedelta(hours=1)))
_speech = st.lists(st.sampled_from([*SPEECH, "absent", "WELCOME"]), min_size=1, max_size=3).map(" ".join)


def _text(*choices: str) -> st.SearchStrategy[Value]:
    return st.sampled_from(choices).map(Text)


def _pattern(*choices: str) -> st.SearchStrategy[Value]:
    return st.builds(Text, st.sampled_from([c for c in choices if c]), st.booleans()) | st.just(Text("", prefix=True))


_ASKED: dict[str, st.SearchStrategy[Value]] = {
    WORDS: _speech.map(Text),
    "title": _speech.map(Text),
    "ip": st.sampled_from([*ADDRESSES, "10.9.9.9"]).map(lambda a: Network(a, a)),
    "net": st.sampled_from(
        [
            Network("10.0.0.0", "10.255.255.255"),
            Network("10.0.0.0", "10.0.0.1"),
            Network("0.0.0.0", "255.255.255.255"),
            Network("::", "::ffff"),
            Network("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
        ]
    ),
    "port": st.sampled_from([Ports(22, 22), Ports(80, 90), Ports(0, 65535), Ports(1024, 65535), Ports(0, 21)]),
    "protocol": _text("tcp", "udp", "sctp"),
    "state": _text("open", "closed", "filtered"),
    "service": _pattern(*SERVICES, "imaps", "ht", "SSH", "ssh'"),
    "product": _pattern(
        *PRODUCTS, "apache", "tomcat coyote", "jsp", "APACHE HTTP", "foo bar", "v2", "bar-v2", "engine x"
    ),
    "version": _pattern(*VERSIONS, "1", "1.", "9.2p1", "debian", "%"),
    "hostname": _text(*NAMES, "org", "e.org", "0%.example.org", "xay", "y"),
    "since": _times,
    "before": _times,
    "scan": _text(*SCANS, "week"),
    "contributor": _text(*PEOPLE, "łukasz", "eve"),
}


def test_every_field_is_asked() -> None:
    """A field added to the language cannot be forgotten here."""
    assert _ASKED.keys() == {WORDS, *FIELDS}


@st.composite
def terms(draw: st.DrawFn) -> Term:
    """Any term about the world."""
    name = draw(st.sampled_from(sorted(_ASKED)))
    most = 3 if name else 1
    return Term(name, tuple(draw(st.lists(_ASKED[name], min_size=1, max_size=most))), draw(st.booleans()))


def found(database: Database, query: Query, *, sort: str = "last_seen", limit: int = 5000) -> list[Key]:
    """The keys of all matches, over as many pages as there are."""
    keys: list[Key] = []
    cursor = ""
    while True:
        page = search.search(database, query, sort=sort, cursor=cursor, limit=limit)
        keys += [(m.ip, m.port, m.protocol) for m in page.matches]
        cursor = page.next_cursor
        if not cursor:
            return keys


@pytest.mark.parametrize("few", [1000, 1, 0])
def test_any_query_finds_what_the_model_finds(
    database: Database, write: Scribe, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    """Up to three terms of any kind: each match and no other, whether keys were few enough to be listed or not."""
    monkeypatch.setattr(lookups, "FEW", few)
    endpoints = world(write)

    @settings(max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(terms(), max_size=3))
    def check(asked: list[Term]) -> None:
        query = Query(tuple(asked))
        keys = found(database, query)
        assert len(keys) == len(set(keys))
        assert set(keys) == expected(endpoints, query), format_query(query)

    check()


@pytest.mark.parametrize("name", sorted(_ASKED))
def test_each_field_tells_endpoints_apart(database: Database, write: Scribe, name: str) -> None:
    """The world holds, for each field, endpoints that a term of it finds and others that it does not."""
    endpoints = world(write)
    shown = 0

    @settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(_ASKED[name])
    def check(value: Value) -> None:
        nonlocal shown
        every = Term("state", (Text("open"), Text("closed"), Text("filtered")))
        wanted, unwanted = (Query((Term(name, (value,), negated), every)) for negated in (False, True))
        with_it, without = set(found(database, wanted)), set(found(database, unwanted))
        if name != "state":
            assert with_it | without == {e.key for e in endpoints}
        assert not with_it & without
        shown += bool(with_it) and bool(without or name == "state")

    check()
    assert shown


# Meaning worth a test of its own --------------------------------------------------------------------------------------


def ask(database: Database, text: str) -> list[tuple[str, int]]:
    """(ip, port) of the matches of `text`, in order of both."""
    return [key[:2] for key in found(database, parse(text, T0 + 30 * DAY), sort="ip")]


def test_two_terms_about_a_service_hold_for_the_same_endpoint(database: Database, write: Scribe) -> None:
    """nginx on 80 and OpenSSH 1.18 on 22 do not make an nginx 1.18."""
    write(
        [
            host("10.0.0.1", T0, seen(80, "http", "nginx", "1.25"), seen(22, "ssh", "OpenSSH", "1.18")),
            host("10.0.0.2", T0, seen(80, "http", "nginx", "1.18")),
        ]
    )
    assert ask(database, "product:nginx version:1.18") == [("10.0.0.2", 80)]
    assert ask(database, "port:22 product:nginx") == []
    assert ask(database, "product:nginx -version:1.18") == [("10.0.0.1", 80)]


def test_excluding_a_service_keeps_what_is_unknown(database: Database, write: Scribe) -> None:
    """An endpoint without a service or banner is not ssh, and does not say hello."""
    write([host("10.0.0.1", T0, seen(22, "ssh", banner="hello"), seen(80, "http", banner="bye"), seen(81))])
    assert ask(database, "-service:ssh") == [("10.0.0.1", 80), ("10.0.0.1", 81)]
    assert ask(database, "-hello") == [("10.0.0.1", 80), ("10.0.0.1", 81)]
    assert ask(database, "-product:*") == [("10.0.0.1", 22), ("10.0.0.1", 80), ("10.0.0.1", 81)]


def test_only_the_current_version_is_searched(database: Database, write: Scribe) -> None:
    """A version that has ended is found no more; what came late and lies before it changes nothing."""
    write([host("10.0.0.1", T0, seen(80, "http", "nginx", "1.18"))])
    write([host("10.0.0.1", T0 + 2 * DAY, seen(80, "http", "nginx", "1.25"))])
    write([host("10.0.0.1", T0 + DAY, seen(80, "http", "Apache httpd"), seen(8080, "http"))])
    assert ask(database, "version:1.18") == []
    assert ask(database, "product:apache") == []
    assert ask(database, "version:1.25") == [("10.0.0.1", 80)]
    assert ask(database, "before:2026-01-03") == [("10.0.0.1", 8080)]


def test_a_scan_of_a_contributor_is_one_observation(database: Database, write: Scribe) -> None:
    """`scan:weekly contributor:alice` wants a weekly scan of hers, not hers and somebody's weekly one."""
    write([host("10.0.0.1", T0, seen(80))], scan_id="weekly", contributor="bob")
    write([host("10.0.0.1", T0, seen(80))], scan_id="nightly", contributor="alice")
    write([host("10.0.0.2", T0, seen(80))], scan_id="weekly", contributor="alice")
    assert ask(database, "scan:weekly contributor:alice") == [("10.0.0.2", 80)]
    assert ask(database, "scan:weekly -contributor:alice") == []
    assert ask(database, "scan:weekly") == [("10.0.0.1", 80), ("10.0.0.2", 80)]


@pytest.mark.parametrize("words", ["nginx", "nginx/1.18.0", "HTTP/1.1 200 ok", "x-powered-by", "<b>", "server: nginx"])
def test_words_are_cut_at_punctuation(database: Database, write: Scribe, words: str) -> None:
    """`nginx` finds `Server: nginx/1.18.0`, which PostgreSQL's own parser takes for the path of a file."""
    write(
        [host("10.0.0.1", T0, seen(80, banner="HTTP/1.1 200 OK\r\nServer: nginx/1.18.0\r\nX-Powered-By: <b>PHP</b>"))]
    )
    assert ask(database, f'"{words}"') == [("10.0.0.1", 80)]
    assert ask(database, f'title:"{words}"') == []


HOSTILE = [
    "'; DROP TABLE endpoint; --",
    "' OR '1'='1",
    '\\" OR 1=1 --',
    "%",
    "_",
    "%s",
    "%(at)s",
    "{0}",
    "$1",
    "a & b | !c <-> d:*",
    "\\",
    "\\'",
    "E'\\x41'",
    "$$a$$",
    "\u202eevil\u2066",
    "a\u0301",
    "𝕏" * 40,
    "\x01\x7f\x80\ufffe\uffff",
    "İıß",
    "x" * 3000,
    "ا" * 500,
    "1; SELECT pg_sleep(10)",
]


@pytest.mark.parametrize("few", [1000, 0])
@pytest.mark.parametrize("name", ["service", "product", "version", "hostname", "title", "scan", "contributor", WORDS])
def test_no_value_is_sql(
    database: Database, write: Scribe, monkeypatch: pytest.MonkeyPatch, name: str, few: int
) -> None:
    """Injection, format characters and hostile Unicode are just values that nothing matches, plain or excluded."""
    monkeypatch.setattr(lookups, "FEW", few)
    write([host("10.0.0.1", T0, seen(80, "http", "nginx", "1.2", banner="hello"), names=["example.org"])])
    for text in HOSTILE:
        for prefix in (False, True):
            for negated in (False, True):
                query = Query((Term(name, (Text(text, prefix), Text("other")), negated),))
                assert len(found(database, query)) == negated, text
    with database.connection() as connection:
        assert one(connection.execute("SELECT count(*) FROM endpoint")) == (1,)


def test_what_was_written_is_found_whatever_it_holds(database: Database, write: Scribe) -> None:
    """A product, version, scan or contributor with quotes, signs and other scripts is found by its own text."""
    for number, text in enumerate(
        ["Robert'); --", "100% {sure} $1", 'a"b\\c', "Ωmega Сервер", "日本語 サーバ", "a\u0301b"]
    ):
        ip = f"10.0.0.{number}"
        write([host(ip, T0, seen(80, "http", text, text))], scan_id=text, contributor=text)
        for name in ("product", "version", "scan", "contributor"):
            query = Query((Term(name, (Text(text),)),))
            assert parse(format_query(query), T0) == query
            assert found(database, query) == [(ip, 80, "tcp")], name
