"""The query language: what it means, that text and tree are one, and that a mistake is pointed at."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.errors import BadRequest
from spectra.model.query import (
    FIELDS,
    MAX_LENGTH,
    MAX_TERMS,
    MAX_VALUES,
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
    suggest,
)

NOW = datetime(2026, 5, 17, 12, tzinfo=UTC)


def one(text: str) -> Term:
    """The only term of `text`."""
    (term,) = parse(text, NOW).terms
    return term


def refused(text: str) -> BadRequest:
    """The complaint about `text`."""
    with pytest.raises(BadRequest) as caught:
        parse(text, NOW)
    assert caught.value.reason == "query"
    assert caught.value.field == "q"
    return caught.value


# What a query means --------------------------------------------------------------------------------------------------


def test_the_example_of_the_documentation() -> None:
    """Terms, lists, ranges, negation, quotes and bare words come out as what they say."""
    query = parse('port:22,80-90 product:nginx -service:ssh net:10.0.0.5/8 since:7d NOT bare "exact words"', NOW)
    assert query == Query(
        (
            Term("port", (Ports(22, 22), Ports(80, 90))),
            Term("product", (Text("nginx"),)),
            Term("service", (Text("ssh"),), negated=True),
            Term("net", (Network("10.0.0.0", "10.255.255.255"),)),
            Term("since", (Moment(NOW - timedelta(days=7)),)),
            Term(WORDS, (Text("bare"),), negated=True),
            Term(WORDS, (Text("exact words"),)),
        )
    )


@pytest.mark.parametrize("text", ["", "  ", "\n\t "])
def test_nothing_asked_is_a_query_without_terms(text: str) -> None:
    """White space alone asks for everything."""
    assert parse(text, NOW) == Query()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("ip:192.0.2.7", Network("192.0.2.7", "192.0.2.7")),
        ("ip:2001:DB8:0::1", Network("2001:db8::1", "2001:db8::1")),
        ("net:192.0.2.7", Network("192.0.2.7", "192.0.2.7")),
        ("net:2001:db8::/126", Network("2001:db8::", "2001:db8::3")),
        ("port:0", Ports(0, 0)),
        ("port:1-65535", Ports(1, 65535)),
        ("protocol:UDP", Text("udp")),
        ("state:closed", Text("closed")),
        ("hostname:*.Example.ORG.", Text("example.org")),
        ("hostname:_dmarc.example.org", Text("_dmarc.example.org")),
        ("version:1.2*", Text("1.2", prefix=True)),
        ("version:*", Text("", prefix=True)),
        (r'product:"a\*b \"c\" \\ d*"', Text('a*b "c" \\ d', prefix=True)),
        (r'product:"a\*"', Text("a*")),
        (r'product:"a\\*"', Text("a\\", prefix=True)),
        ("PRODUCT:nginx", Text("nginx")),
        ('title:"log, in"', Text("log, in")),
        ("scan:a*b", Text("a*b")),
        ('contributor:"bob smith"', Text("bob smith")),
        ("since:90m", Moment(NOW - timedelta(minutes=90))),
        ("since:2w", Moment(NOW - timedelta(weeks=2))),
        ("since:30s", Moment(NOW - timedelta(seconds=30))),
        ("before:2026-01-31", Moment(datetime(2026, 1, 31, tzinfo=UTC))),
        ("before:2026-01-31T10:00:00+02:00", Moment(datetime(2026, 1, 31, 8, tzinfo=UTC))),
        ("before:2026-01-31T10:00Z", Moment(datetime(2026, 1, 31, 10, tzinfo=UTC))),
        ('"port:22"', Text("port:22")),
        ("a,b", Text("a,b")),
        ("nginx/1.2", Text("nginx/1.2")),
        ("12:30", Text("12:30")),
        ("-5-", Text("5-")),
        ("--x", Text("-x")),
        ("naïve", Text("naïve")),
        ("since:yesterday", Moment(NOW - timedelta(days=1))),
        ("since:today", Moment(datetime(2026, 5, 17, tzinfo=UTC))),
        ("since:1w2d", Moment(NOW - timedelta(days=9))),
        ("port:>1024", Ports(1025, 65535)),
        ("port:<=1024", Ports(0, 1024)),
        ("common_port:6379", Ports(6379, 6379)),
        ("asn:13335", Numbers(13335, 13335)),
        ("asn:as13335", Numbers(13335, 13335)),
        ("asn:AS64512-AS65534", Numbers(64512, 65534)),
        ("asn:>=64512", Numbers(64512, 2**32 - 1)),
        ("asn:*", Numbers(1, 2**32 - 1)),
        ("country:fr", Text("FR")),
        ("country:uk", Text("GB")),
        ('country:"Viet Nam"', Text("Viet Nam")),
        ("country:*", Text("", prefix=True)),
        ('region:"New York"', Text("New York")),
        ("city:Par*", Text("Par", prefix=True)),
        ('city:"*"', Text("", prefix=True)),
        ("cloud:AWS/us-east-1", Text("aws/us-east-1")),
        ("cloud:amazon/S3", Text("aws/S3")),
        ("cloud:aws/us-*", Text("aws/us-", prefix=True)),
        ("cloud:myown", Text("myown")),
        ("cpe:cpe:2.3:a:OpenBSD:openssh:9.2:*:*:*:*:*:*:*", Text("a:openbsd:openssh:9.2")),
        ("cpe:2.3:a:openbsd:openssh", Text("a:openbsd:openssh")),
        ("cpe:/a:openbsd:openssh:9.2p1", Text("a:openbsd:openssh:9.2p1")),
        ("cpe:openbsd:openssh", Text("*:openbsd:openssh")),
        ("cpe:o:linux", Text("o:linux")),
        ("cpe:*:*:openssh", Text("*:*:openssh")),
        (r"cpe:a:b\:c:d", Text(r"a:b\:c:d")),
        ("cpe:*", Text("*")),
        ("mac:00-1B-21-AA-bb-cc", Text("00:1b:21:aa:bb:cc")),
        ("mac:001b2*", Text("00:1b:2", prefix=True)),
        ("cert.san:*.Example.org", Text("example.org")),
        ("cert.san:2001:DB8::1", Text("2001:db8::1")),
        ("cert.sha256:" + "AB:" * 31 + "ab", Text("ab" * 32)),
        ("cert.sha256:AB12*", Text("ab12", prefix=True)),
        ("cert.serial:00:04:A1", Text("4a1")),
        ("http.title:x", Text("x")),
        ("HTTP.Title:x", Text("x")),
        ("product:/^nginx|apache/", Regex("^nginx|apache")),
        (r"/ssh-[12]\./", Regex(r"ssh-[12]\.")),
        (r'title:/a b, \/c"d/', Regex('a b, /c"d')),
        ("/etc/passwd", Text("/etc/passwd")),
        ("/etc/passwd/", Text("/etc/passwd/")),
        ('"/etc/"', Text("/etc/")),
        ("cert.expires:30d", Times(NOW, NOW + timedelta(days=30))),
        ("cert.expires:<30d", Times(None, NOW + timedelta(days=30))),
        ("cert.expires:>=2026-01-01", Times(datetime(2026, 1, 1, tzinfo=UTC), None)),
        ("cert.expires:2026-02", Times(datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC))),
        ("cert.expired:true", Times(None, NOW)),
        ("cert.expired:no", Times(NOW, None)),
        ("first_seen:24h", Times(NOW - timedelta(hours=24), None)),
        ("vuln:CVE-2024-6387", Text("CVE-2024-6387")),
        ("cve:2024-6387", Text("CVE-2024-6387")),
        ("vuln:cve-2024-*", Text("CVE-2024-", prefix=True)),
        ("vuln:*", Text("", prefix=True)),
        ("CVE-2024-6387", Text("CVE-2024-6387")),
        ("cvss:>8", Scores(8, None, beyond=True)),
        ("cvss:<=8.5", Scores(None, 8.5)),
        ("cvss:7-8.9", Scores(7, 8.9)),
        ("cvss:9.8", Scores(9.8, 9.8)),
        ("cvss:>=10", Scores(10, None)),
        ("epss:>.5", Scores(0.5, None, beyond=True)),
        ("epss:<0.00001", Scores(None, 0.00001, beyond=True)),
        ("kev:true", Text("true")),
        ("kev:No", Text("false")),
        ("severity:CRITICAL", Text("critical")),
        ("has:finding", Text("finding")),
        ("last_seen:2026-01-31", Times(datetime(2026, 1, 31, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))),
    ],
)
def test_a_value_is_read_as_its_field_says(text: str, value: Value) -> None:
    """One value of each kind, and the spellings of it that are accepted."""
    assert one(text).values == (value,)


def test_every_field_has_an_example_that_is_understood() -> None:
    """The table of fields does not promise what the parser refuses."""
    for field in FIELDS.values():
        name = {"cert.expired": "cert.expires"}.get(field.name, field.name)
        assert one(field.example).field == name


def test_a_list_may_mix_regexes_and_text() -> None:
    """Commas mean OR between values of any kind; bare regexes too."""
    assert one('product:/a,b/,nginx,"x y",/c/').values == (Regex("a,b"), Text("nginx"), Text("x y"), Regex("c"))
    assert one("-/a/,/b/") == Term(WORDS, (Regex("a"), Regex("b")), negated=True)


def test_an_alias_is_its_field() -> None:
    """`http.title`, `common_port` and others are only other names."""
    assert one("http.title:x") == one("title:x")
    assert one("common_port:22") == one("port:22")
    assert parse("", NOW, {"http.title": "x"}) == parse("title:x", NOW)


def test_filters_of_a_url_are_further_terms() -> None:
    """A parameter needs no quotes around blanks, takes lists, and quotes where a comma is meant."""
    filters = {"port": "22, 80-81", "product": "Apache httpd, /a, b/ ,/c", "title": '"a, b",c'}
    assert parse("bare", NOW, filters).terms == (
        Term(WORDS, (Text("bare"),)),
        Term("port", (Ports(22, 22), Ports(80, 81))),
        Term("product", (Text("Apache httpd"), Regex("a, b"), Text("/c"))),
        Term("title", (Text("a, b"), Text("c"))),
    )


# What is refused, and where -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("prot:22", 1, 'Did you mean "port:"?'),
        ("x -hostnam:a", 4, 'Did you mean "hostname:"?'),
        ("zzzzzz:1", 1, "Fields are ip, net,"),
        ("port:", 6, 'missing after the "port:"'),
        ("port: 22", 6, "missing"),
        ("a -port:", 9, 'missing after the "port:"'),
        ("port:22,", 9, "missing after the comma"),
        ("port:22,,23", 9, "missing after the comma"),
        ("port:22, 80", 9, "missing after the comma"),
        ('a "b c', 3, "never closed"),
        ('title:"b', 7, "never closed"),
        ('"b\\"', 1, "never closed"),
        ('foo"bar"', 4, "cannot stand here"),
        ('"foo"bar', 6, "cannot stand here"),
        ("-", 2, "something to exclude is missing"),
        ("a NOT ", 7, "something to exclude is missing"),
        ("port:22,70000", 9, "above the highest port"),
        ("port:90-80", 6, "Write 80-90"),
        ("port:http", 6, "neither a port nor a range"),
        ("port:٢٢", 6, "neither a port nor a range"),
        ("port:-1", 6, "neither a port nor a range"),
        ("ip:10.0.0.0/8", 4, "Write net:10.0.0.0/8"),
        ("ip:10.0.0", 4, "not an IP address"),
        ("ip:fe80::1%eth0", 4, "zone"),
        ("net:10.0.0.0/33", 5, "not a network"),
        ("net:fe80::%eth0/64", 5, "zone"),
        ("protocol:tpc", 10, 'Did you mean "tcp"?'),
        ("state:zzz", 7, "none of open, closed, filtered"),
        ("product:a*b", 9, "only stand at the end"),
        ("product:**", 9, "only stand at the end"),
        ('product:"a*b"', 9, "only stand at the end"),
        ('product:""', 9, "empty"),
        ('version:" *"', 9, "empty"),
        ('scan:" "', 6, "empty"),
        ('"!!!"', 1, "no letter or digit"),
        ("title:...", 7, "no letter or digit"),
        ('hostname:"a b"', 10, "not a hostname"),
        ("hostname:*.", 10, "not a hostname"),
        ("since:someday", 7, "neither a time nor a span"),
        ("since:999999999w", 7, "outside of all calendars"),
        ("before:0001-01-01T00:00+14:00", 8, "outside of all calendars"),
        ("cert.expires:<999999999w", 14, "outside of all calendars"),
        ("cert.expires:soon", 14, "neither a time nor a stretch"),
        ("last_seen:2026-02-01..2026-01-01", 11, "neither a time nor a stretch"),
        ("last_seen:..", 11, "neither a time nor a stretch"),
        ("last_seen:<7d", 11, "before:7d"),
        ("port:>65535", 6, "is empty"),
        ("asn:0", 5, "below the lowest AS number"),
        ("asn:4294967296", 5, "above the highest AS number"),
        ("asn:13*", 5, "Write a range"),
        ("asn:google", 5, "neither an AS number nor a range"),
        ("country:FRA", 9, "two letters"),
        ("country:F1", 9, "two letters"),
        ("cloud:amazn", 7, 'Did you mean "aws"?'),
        ("cloud:azur/x", 7, 'Did you mean "azure"?'),
        ("cloud:aws/", 7, "missing"),
        ("cloud:/x", 7, "missing"),
        ("cpe:cpe:2.3:x:y", 5, "no kind of thing"),
        ("cpe:a:" + "b:" * 11, 5, "has 11 parts"),
        ("mac:00:11", 5, "12 hex digits"),
        ("mac:gg*", 5, "not a hardware address"),
        ("cert.sha256:ab", 13, "64 hex digits"),
        ("cert.sha256:xy*", 13, "not a SHA-256"),
        ("cert.serial:xy", 13, "not a serial number"),
        ("cert.subjct:x", 1, 'Did you mean "cert.subject:"?'),
        ("x issuer:y", 3, 'Did you mean "cert.issuer:"?'),
        ("provider:aws", 1, 'Did you mean "cloud:"?'),
        ("cert.expired:maybe", 14, "none of true, false"),
        ("cvss:high", 6, "Write severity:high"),
        ("cvss:>11", 6, "above the highest score, 10"),
        ("cvss:1e1", 6, "neither a score nor a range"),
        ("cvss:٩", 6, "neither a score nor a range"),
        ("cvss:>10", 6, "is empty"),
        ("cvss:9-7", 6, "Write 7-9"),
        ("epss:2", 6, "above the highest probability, 1"),
        ("epss:50%", 6, "between 0 and 1"),
        ("epss:<0", 6, "is empty"),
        ("vuln:CVE-24-1", 6, "not a CVE id"),
        ("vuln:CVE-2024-123", 6, "at least four digits"),
        ("vuln:CVE-٢٠٢٤-6387", 6, "not a CVE id"),
        ("vuln:openssh*", 6, "not a CVE id"),
        ("severity:bad", 10, "none of critical, high, medium, low, none"),
        ("severity:critcal", 10, 'Did you mean "critical"?'),
        ("kev:maybe", 5, "none of true, false"),
        ("has:findings", 5, 'Did you mean "finding"?'),
        ("vulnerability:x", 1, 'Did you mean "vuln:"?'),
        ("scan:/x/", 6, "a regex cannot be asked here"),
        ("port:/x/", 6, "a regex cannot be asked here"),
        ("product:/nginx/i", 9, "leave the i out"),
        ("product:/a(b/", 11, "never closed"),
        (r"product:/\/\/a[b/", 15, "never closed"),
        ("/*/", 2, "nothing to repeat"),
        ("a /b/,c", 7, "missing after the comma"),
        ("/" + "x" * 201 + "/", 202, "200 are allowed"),
        ("a\x00b", 2, "not text"),
        ("a \ud800", 3, "not text"),
        ("x" * (MAX_LENGTH + 1), MAX_LENGTH + 1, "are allowed"),
    ],
)
def test_a_mistake_is_pointed_at(text: str, column: int, says: str) -> None:
    """The column (1-based) is where the mistake stands, and the message or hint says what to write instead."""
    complaint = refused(text)
    assert complaint.column == column
    assert says in str(complaint)


def test_the_number_of_terms_and_values_is_bounded() -> None:
    """A query cannot grow past its bounds, wherever its terms come from."""
    assert len(parse("a " * MAX_TERMS, NOW).terms) == MAX_TERMS
    assert "terms" in str(refused("a " * (MAX_TERMS + 1)))
    ports = ",".join(["1"] * MAX_VALUES)
    assert len(one(f"port:{ports}").values) == MAX_VALUES
    assert "values" in str(refused(f"port:{ports},1"))
    with pytest.raises(BadRequest, match="values"):
        parse("a", NOW, {"port": ports})


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("prot", "22", "no filter"),
        ("port", "", "missing"),
        ("port", "22,", "missing"),
        ("port", "22,,23", "missing"),
        ("product", '"a', "not closed"),
        ("product", '"a"b', "not closed"),
        ("port", "http", "neither a port"),
        ("scan", "a\x00", "not text"),
        ("scan", "x" * (MAX_LENGTH + 1), "are allowed"),
    ],
)
def test_a_mistake_in_a_filter_names_the_filter(name: str, value: str, says: str) -> None:
    """What was wrong in a URL parameter is told by that parameter's name."""
    with pytest.raises(BadRequest, match=says) as caught:
        parse("", NOW, {name: value})
    assert caught.value.field == name


def test_a_mistake_in_a_filter_suggests_the_one_meant() -> None:
    """Parameters are guessed like fields."""
    with pytest.raises(BadRequest, match=r"Did you mean .cert\.issuer."):
        parse("", NOW, {"issuer": "x"})


def test_suggestions() -> None:
    """The nearest word is offered, and none where nothing is near."""
    assert suggest("Prodct", FIELDS) == "product"
    assert suggest("qqq", FIELDS) == ""


# Properties ----------------------------------------------------------------------------------------------------------

_characters = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")
_texts = st.text(_characters, min_size=1, max_size=30).filter(str.strip)
_words = _texts.filter(lambda text: any(c.isalnum() for c in text))
_names = st.from_regex(r"[a-z0-9_-]{1,20}(\.[a-z0-9_-]{1,20}){0,3}", fullmatch=True)
_addresses = st.ip_addresses()
_patterns = st.builds(Text, _texts, st.booleans()) | st.just(Text("", prefix=True))
_times = st.datetimes(timezones=st.just(UTC))


def _hex(least: int, most: int) -> st.SearchStrategy[str]:
    return st.text("0123456789abcdef", min_size=least, max_size=most)


def _octets(digits: str) -> str:
    return ":".join(digits[i : i + 2] for i in range(0, len(digits), 2))


def _kept(name: str) -> Callable[[str], bool]:
    """Whether a text is a value of the field in itself, and not made into another one."""

    def check(text: str) -> bool:
        read = attempt("", {name: '"' + re.sub(r'(["\\\\*])', r"\\\1", text) + '"'})
        return isinstance(read, Query) and read.terms[0].values == (Text(text),)

    return check


_regexes = (
    st.lists(
        st.sampled_from(
            ["a", "É", "\\.", "[a-z]", "[^/]", "(b|c)", ".", "x*", "y{2,3}", "/", " ", ",", '"', r"\d", "^", "$"]
        )
    )
    .map("".join)
    .filter(bool)
    .map(Regex)
)


@st.composite
def _stretches(draw: st.DrawFn) -> Times:
    ends = draw(st.lists(_times, min_size=2, max_size=2, unique=True).map(sorted))
    return draw(st.sampled_from([Times(*ends), Times(ends[0], None), Times(None, ends[1])]))


@st.composite
def _numbers(draw: st.DrawFn) -> Numbers:
    low = draw(st.integers(1, 2**32 - 1))
    return Numbers(low, draw(st.integers(low, 2**32 - 1)))


@st.composite
def _scores(draw: st.DrawFn, most: int) -> Scores:
    number = st.integers(0, most * 10**9).map(lambda n: n / 10**9)
    low, high = sorted(draw(st.tuples(number, number)))
    beyond = draw(st.booleans())
    one_sided = [Scores(low, None, beyond and low < most), Scores(None, high, beyond and high > 0)]
    return draw(st.sampled_from([Scores(low, high), Scores(low, low), *one_sided]))


@st.composite
def _networks(draw: st.DrawFn) -> Network:
    address = draw(_addresses)
    net = ipaddress.ip_network((address, draw(st.integers(0, address.max_prefixlen))), strict=False)
    return Network(str(net[0]), str(net[-1]))


@st.composite
def _ports(draw: st.DrawFn) -> Ports:
    low = draw(st.integers(0, 65535))
    return Ports(low, draw(st.integers(low, 65535)))


_VALUES: dict[str, st.SearchStrategy[Value]] = {
    "address": _addresses.map(str).map(lambda address: Network(address, address)),
    "network": _networks(),
    "port": _ports(),
    "pattern": _patterns,
    "hostname": st.builds(Text, _names),
    "moment": st.builds(Moment, _times),
    "asn": _numbers(),
    "name": _patterns,
    "country": st.from_regex(r"[A-Z]{2}", fullmatch=True).filter(_kept("country")).map(Text)
    | st.builds(Text, _texts.filter(_kept("country")), st.just(True)),
    "cloud": (_names | st.builds("{}/{}".format, _names, _texts)).filter(_kept("cloud")).map(Text),
    "cpe": st.text("ab:*\\\\.-1é ", min_size=1).filter(_kept("cpe")).map(Text),
    "mac": _hex(12, 12).map(_octets).map(Text) | st.builds(Text, _hex(0, 12).map(_octets), st.just(True)),
    "sha256": _hex(64, 64).map(Text) | st.builds(Text, _hex(0, 64), st.just(True)),
    "serial": _hex(1, 40).filter(lambda digits: digits[0] != "0").map(Text),
    "time": _stretches(),
    "expiry": _stretches(),
    "cve": st.from_regex(r"CVE-[0-9]{4}-[0-9]{4,9}", fullmatch=True).map(Text)
    | st.sampled_from(["", "C", "CVE-", "CVE-20", "CVE-2024-", "CVE-2024-63"]).map(lambda start: Text(start, True)),
    "score": _scores(10),
    "probability": _scores(1),
    "words": st.builds(Text, _words),
    "text": st.builds(Text, _texts),
}


@st.composite
def terms(draw: st.DrawFn) -> Term:
    """Any term that can be asked."""
    name = draw(st.sampled_from([WORDS, *(name for name in FIELDS if name != "cert.expired")]))
    negated = draw(st.booleans())
    if not name:
        words = _VALUES["words"].map(lambda value: (value,)) | st.lists(_regexes, min_size=1, max_size=3).map(tuple)
        return Term(name, draw(words), negated)
    field = FIELDS[name]
    values = st.sampled_from(field.choices).map(Text) if field.choices else _VALUES[field.kind]
    if field.regex:
        values |= _regexes
    return Term(name, tuple(draw(st.lists(values, min_size=1, max_size=4))), negated)


@given(st.lists(terms(), max_size=6))
def test_the_text_of_a_query_is_that_query(asked: list[Term]) -> None:
    """Writing a query down and reading it again changes nothing, whatever its values hold."""
    query = Query(tuple(asked))
    assert parse(format_query(query), NOW) == query


def attempt(text: str, filters: dict[str, str]) -> Query | BadRequest:
    """The query, or the complaint about it; nothing else is caught."""
    try:
        return parse(text, NOW, filters)
    except BadRequest as complaint:
        return complaint


_PIECES = [
    "cvss:",
    "epss:",
    "vuln:",
    "CVE-2024-",
    "7.5",
    "asn:",
    "country:",
    "cloud:",
    "cpe:",
    "cert.expires:",
    "cert.sha256:",
    "mac:",
    "last_seen:",
    "..",
    ">",
    "<=",
    "[",
    "(",
    "{2}",
    "port:",
    "net:",
    "since:",
    "product:",
    '"',
    "\\",
    ",",
    "-",
    "NOT ",
    " ",
    "*",
    ":",
    "a",
    "1",
    "/",
    "\n",
    "é",
]


@given(st.text(max_size=200) | st.lists(st.sampled_from(_PIECES), max_size=40).map("".join))
def test_any_text_is_understood_or_pointed_at(text: str) -> None:
    """No text does anything else than parse (and then formats to itself) or raise `BadRequest` with a column in it."""
    answer = attempt(text, {})
    if isinstance(answer, Query):
        assert parse(format_query(answer), NOW) == answer
    else:
        assert answer.column is not None
        assert 1 <= answer.column <= len(text) + 1


@given(st.sampled_from(sorted(FIELDS)), st.text(max_size=60))
def test_any_filter_is_understood_or_named(name: str, value: str) -> None:
    """The same for URL parameters."""
    answer = attempt("", {name: value})
    if isinstance(answer, Query):
        assert parse(format_query(answer), NOW) == answer
    else:
        assert answer.field == name
