"""What each field finds, against a naive model in memory, and that no value is ever SQL."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spectra.model.facts import HostFacts, Place
from spectra.model.observation import Certificate
from spectra.model.query import (
    FIELDS,
    WORDS,
    Moment,
    Network,
    Numbers,
    Ports,
    Query,
    Regex,
    Scores,
    Term,
    Text,
    Times,
    Value,
    format_query,
    parse,
)
from spectra.store import lookups, search
from spectra.store.database import Database, one
from tests.store import flaws
from tests.store.flaws import Decision, Told
from tests.store.scribe import T0, Scribe, host, seen
from tests.store.world import (
    ADDRESSES,
    DAY,
    MACS,
    NAMES,
    PEOPLE,
    PRODUCTS,
    SCANS,
    SERIALS,
    SERVICES,
    SPEECH,
    SYSTEMS,
    VERSIONS,
    Endpoint,
    Key,
    expected,
    world,
)

# Queries against the model -------------------------------------------------------------------------------------------

_times = st.integers(-1, 14).map(lambda day: Moment(T0 + day * DAY)) | st.just(Moment(T0 + timedelta(hours=1)))
_speech = st.lists(st.sampled_from([*SPEECH, "absent", "WELCOME"]), min_size=1, max_size=3).map(" ".join)


_regexes = st.sampled_from(
    [
        "^a",
        "p$",
        "x|e",
        "[a-z]{4}",
        r"\d",
        r"\bto\b",
        r"open.?ssh",
        "(foo|e).*r",
        "é",
        r"\.org",
        "Z",
        r"1\.[2-9]",
        "[^a-z]",
    ]
).map(Regex)
_days = st.integers(-1, 40).map(lambda day: T0 + day * DAY)
_stretches = (
    st.builds(Times, _days, st.none())
    | st.builds(Times, st.none(), _days)
    | st.tuples(_days, st.integers(1, 20)).map(lambda pair: Times(pair[0], pair[0] + pair[1] * DAY))
)


def _text(*choices: str) -> st.SearchStrategy[Value]:
    return st.sampled_from(choices).map(Text)


def _scores(*bounds: float) -> st.SearchStrategy[Value]:
    one = st.sampled_from([float(bound) for bound in bounds])
    ranges = st.tuples(one, one).map(lambda pair: Scores(min(pair), max(pair)))
    return st.builds(Scores, one, st.none(), st.booleans()) | st.builds(Scores, st.none(), one, st.booleans()) | ranges


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
    "cpe": _text(
        "a:openbsd:openssh",
        "*:openbsd:openssh:9.2",
        "o:linux",
        "*:f5",
        "*:*:nginx:1.2",
        "a:foo:bar\\+\\+",
        "a:open",
        "*",
    ),
    "os": _pattern(*SYSTEMS, "linux", "freebsd 13", "LINUX 5", "release"),
    "vendor": _pattern("raspberry", "pi trading", "intel", "Corporate", "x"),
    "mac": _text(*[mac for mac in MACS if mac], "00:00:00:00:00:00")
    | st.sampled_from(["", "00:1b:21", "b8", "ff", "00:1b:2"]).map(lambda start: Text(start, prefix=True)),
    "country": _text("US", "FR", "DE", "France", "united states")
    | st.sampled_from(["", "Fra", "united"]).map(lambda start: Text(start, prefix=True)),
    "region": _pattern("California", "île-de-france", "Cali", "x"),
    "city": _pattern("Paris", "paris-plage", "San", "Francisco", "ASHBURN"),
    "asn": st.sampled_from([Numbers(13335, 13335), Numbers(1, 2**32 - 1), Numbers(64512, 65534), Numbers(1, 5000)]),
    "org": _pattern("amazon", "amazon com", "Cloudflare", "orange s", "inc", "Ora"),
    "cloud": _text("aws", "gcp", "aws/us-east-1", "aws/s3", "cloudflare", "aws/x", "gcp/us-east-1")
    | st.sampled_from(["", "a", "aws/", "aws/eu"]).map(lambda start: Text(start, prefix=True)),
    "cert.subject": _pattern("example", "www.example.org", "example ltd", "a.example.org", "Exam"),
    "cert.issuer": _pattern("let's encrypt", "R3", "example root", "C=US", "enc"),
    "cert.san": _text("example.org", "www.example.org", "0%.example.org", "192.0.2.7", "2001:db8::1", "org", "x"),
    "cert.sha256": st.sampled_from(["", "1", "ab", "f", "00000"]).map(lambda start: Text(start, prefix=True))
    | _text("ab" * 32),
    "cert.serial": _text(*[serial for serial in SERIALS if serial], "4a"),
    "cert.expires": _stretches,
    "first_seen": _stretches,
    "last_seen": _stretches,
    "since": _times,
    "before": _times,
    "scan": _text(*SCANS, "week"),
    "contributor": _text(*PEOPLE, "łukasz", "eve"),
    "vuln": _text("CVE-2024-6387", "CVE-2023-1000", "CVE-2019-5555", "CVE-2000-0001")
    | st.sampled_from(["", "CVE-2024-6387", "CVE-2"]).map(lambda start: Text(start, prefix=True)),
    "severity": _text("critical", "high", "medium", "low", "none"),
    "cvss": _scores(0, 5.0, 8.1, 9.8, 10),
    "epss": _scores(0, 0.00042, 0.6, 0.95, 1),
    "kev": _text("true", "false"),
    "has": _text("finding"),
}


for _name in _ASKED:
    if not _name or FIELDS[_name].regex:
        _ASKED[_name] |= _regexes


def test_every_field_is_asked() -> None:
    """A field added to the language cannot be forgotten here; one is read as times of another."""
    assert _ASKED.keys() == {WORDS, *FIELDS} - {"cert.expired"}


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


def weak(database: Database, endpoints: list[Endpoint]) -> list[Endpoint]:
    """The world with weaknesses, some of which were settled."""
    chance = random.Random(3)
    told = [Told(software, flaw, flaw % 2) for software in range(len(flaws.NAMES)) for flaw in range(len(flaws.FLAWS))]
    told = [one for one in told if chance.random() < 0.4]
    decided = [
        Decision("CVE-2023-1000", "fixed", "10.0.0.1"),
        Decision("CVE-2024-6387", "accepted", cpe="cpe:2.3:a:openbsd"),
        Decision("CVE-2024-6387", "affected", "10.0.0.2"),
    ]
    with database.connection() as connection:
        flaws.known(connection, chance)
        flaws.tell(connection, told, decided)
        runs = flaws.software_of(connection)
    for e in endpoints:
        e.findings = flaws.findings(e.key, runs.get(e.key), told, decided)
    return endpoints


@pytest.mark.parametrize("few", [1000, 1, 0])
def test_any_query_finds_what_the_model_finds(
    database: Database, write: Scribe, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    """Up to three terms of any kind: each match and no other, whether keys were few enough to be listed or not."""
    monkeypatch.setattr(lookups, "FEW", few)
    monkeypatch.setattr(lookups, "MANY", few)
    monkeypatch.setattr(lookups, "NARROW", few)
    endpoints = weak(database, world(write))

    @settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
    endpoints = weak(database, world(write))
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


def test_a_place_is_one_place(database: Database, write: Scribe) -> None:
    """Paris in France is not the Paris in Texas; what is nowhere is not in France either."""
    france, texas = Place(country="FR", city="Paris"), Place(country="US", region="Texas", city="Paris")
    write([HostFacts("10.0.0.1", 1, france), host("10.0.0.1", T0, seen(80))])
    write([HostFacts("10.0.0.2", 1, texas), host("10.0.0.2", T0, seen(80))])
    write([host("10.0.0.3", T0, seen(80))])
    assert ask(database, "city:paris country:fr") == [("10.0.0.1", 80)]
    assert ask(database, "city:paris -country:fr") == [("10.0.0.2", 80)]
    assert ask(database, "-country:fr") == [("10.0.0.2", 80), ("10.0.0.3", 80)]
    assert ask(database, "-country:*") == [("10.0.0.3", 80)]


def test_an_expired_certificate(database: Database, write: Scribe) -> None:
    """`cert.expired` asks at the time of asking; a certificate that does not say is neither."""
    ends = {80: T0 + 10 * DAY, 81: T0 + 50 * DAY, 82: None}
    certificates = {port: Certificate(sha256=f"{port:02x}" * 32, not_after=end) for port, end in ends.items()}
    write([host("10.0.0.1", T0, seen(83), *(seen(port, certificate=c) for port, c in certificates.items()))])
    assert ask(database, "cert.expired:true") == [("10.0.0.1", 80)]
    assert ask(database, "cert.expired:false") == [("10.0.0.1", 81)]
    assert ask(database, "-cert.expired:true") == [("10.0.0.1", 81), ("10.0.0.1", 82), ("10.0.0.1", 83)]
    assert ask(database, "cert.expires:30d") == [("10.0.0.1", 81)]
    assert ask(database, "cert.expires:<10d") == [("10.0.0.1", 80)]


def test_a_cpe_name_is_found_by_what_the_store_made_of_it(database: Database, write: Scribe) -> None:
    """The names made of product and version count as those of the tool do."""
    write([host("10.0.0.1", T0, seen(80, "http", "nginx", "1.2")), host("10.0.0.2", T0, seen(80, "http"))])
    with database.connection() as connection:
        connection.execute(
            "UPDATE service SET cpe23 = '{cpe:2.3:a:f5:nginx:1.2:*:*:*:*:*:*:*}' WHERE product = 'nginx'"
        )
    for text in ("f5:nginx", "cpe:2.3:a:f5:nginx:1.2", "*:*:nginx:1.*", "a:f5"):
        assert ask(database, f"cpe:{text}") == [("10.0.0.1", 80)], text
    for text in ("f5:ngin", "o:f5", "nginx", "f5:nginx:1"):
        assert ask(database, f"cpe:{text}") == [], text
