"""What single rows the conditions hold of, and that the database takes every regular expression that passes ours."""

from __future__ import annotations

import re

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from spectra.model import regex
from spectra.model.query import Regex, Scores, Term, Text, Value
from spectra.store.database import Connection, Database, one
from spectra.store.wording import CERTIFICATE, FINDING, PLACE, SERVICE, held, like

_PIECES = [
    *"abzÄß01 .^$|()[]{}*+?\\-/,:=!<>_'\"#&~@%é\n",
    r"\d",
    r"\w",
    r"\S",
    r"\b",
    r"\B",
    r"\.",
    r"\\",
    r"\]",
    r"\-",
    r"\n",
    "(?:",
    "[^",
    "[a-z]",
    "[[:alpha:]]",
    "[[:alpha:]",
    "[:digit:]",
    "{2}",
    "{0}",
    "{1,}",
    "{2,30}",
    "{0,0}",
    "*?",
    "+?",
    "||",
    "()",
    "(|a)",
    "(^a|b$)",
    "***=",
    "(?i)",
    "[[.a.]]",
    "[[=a=]]",
    "[]a]",
    "[^]a]",
    "[a-\\d]",
    "[\\w-]",
]
_TEXTS = ["", "a", "abba", "Nginx 1.2.3", "a-b_c", "ÄÖ é", "line\nbreak", "x" * 50, "[1]{2}(3)*+?\\/|^$.", "0 9"]
patterns = st.lists(st.sampled_from(_PIECES), min_size=1, max_size=12).map("".join) | st.text(min_size=1, max_size=20)


def _accepted(pattern: str) -> str | None:
    try:
        return regex.compiled(pattern)
    except regex.RegexError:
        return None


def test_whatever_regex_passes_the_database_takes(database: Database) -> None:
    """No pattern that the language accepts is refused by PostgreSQL, whatever it is made of."""
    with database.connection() as connection:

        @settings(max_examples=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
        @given(patterns.filter(lambda p: "\x00" not in p and not re.search("[\ud800-\udfff]", p)))
        @example("((((((((((a{3}){3}){3}){3}))))))")
        @example("(" * 10 + ")" * 10)
        @example("[!--]")
        @example("[à-ÿ]")
        @example("(a|b)*?c{0}")
        def check(pattern: str) -> None:
            sql = _accepted(pattern)
            if sql is not None:
                for text in _TEXTS[:4]:
                    one(connection.execute("SELECT %s::text ~* %s", [text, sql]))

        check()


def test_a_regex_finds_what_it_finds_elsewhere(database: Database) -> None:
    """Where Python's `re` reads a pattern in the same way, the database finds the same texts."""
    safe = [p for p in _PIECES if p not in ("$", "\n", r"\b", r"\B", r"\n", "{0}", "{0,0}") and "[:" not in p]
    with database.connection() as connection:

        @settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture])
        @given(st.lists(st.sampled_from(safe), min_size=1, max_size=8).map("".join), st.sampled_from(_TEXTS))
        def check(pattern: str, text: str) -> None:
            sql = _accepted(pattern)
            if sql is None or "[^]" in pattern or "[[" in pattern:
                return
            found = re.search(pattern, text, re.IGNORECASE | re.DOTALL)
            assert one(connection.execute("SELECT %s::text ~* %s", [text, sql])) == (found is not None,), sql

        check()


@pytest.mark.parametrize(
    "pattern",
    [
        "(a|b|c|d|e){99}",
        "(.{0,10}){0,40}",
        "([a-z]+[0-9]+)*x" * 8,
        "(a*)*" * 20 + "b",
        "((a?){9}b?){20}c",
        "(.*a){30}",
        "[a-z]*" * 33,
        "(a|ab|abc|abcd)*e" * 10,
    ],
)
def test_no_regex_runs_away(database: Database, pattern: str) -> None:
    """The worst that fits the bounds is compiled and tried on 2 KB, far within the time it is given."""
    sql = regex.compiled(pattern)
    with database.connection() as connection:
        connection.execute("SET statement_timeout = '2s'")
        for text in ("ab" * 1024, "a" * 2048, "abcd1" * 400):
            one(connection.execute("SELECT %s::text ~* %s", [text, sql]))


def holds(connection: Connection, name: str, value: Text | Regex, columns: str) -> bool:
    """Whether the term holds of a row `t` with these columns (SQL of the test's own)."""
    wording = {**SERVICE, **CERTIFICATE, **PLACE}[name]
    condition = held(wording, Term(name, (value,)))
    statement = f"SELECT {condition.sql} FROM (SELECT {columns}) t"
    return one(connection.execute(statement.encode(), condition.params))[0]


@pytest.mark.parametrize(
    ("name", "value", "columns", "found"),
    [
        ("cpe", "a:openbsd:openssh", "'{}'::text[] cpe23, '{cpe:/a:openbsd:openssh:9.2p1}'::text[] cpe", True),
        ("cpe", "a:openbsd:openssh:9.2", "'{}'::text[] cpe23, '{cpe:/a:openbsd:openssh:9.2p1}'::text[] cpe", False),
        ("cpe", "a:openbsd:openssh:9.2*", "'{}'::text[] cpe23, '{cpe:/a:openbsd:openssh:9.2p1}'::text[] cpe", True),
        ("cpe", "*:openbsd", "'{cpe:2.3:a:OpenBSD:openssh:*}'::text[] cpe23, '{}'::text[] cpe", True),
        ("cpe", "a:gnu:g++", r"'{cpe:2.3:a:gnu:g\\+\\+:*}'::text[] cpe23, '{}'::text[] cpe", True),
        ("cpe", r"a:gnu:g\+\+", r"'{cpe:2.3:a:gnu:g\\+\\+:*}'::text[] cpe23, '{}'::text[] cpe", True),
        ("cpe", "*", "'{}'::text[] cpe23, '{}'::text[] cpe", False),
        ("cert.san", "example.org", "'{*.Example.org}'::text[] sans", True),
        ("cert.san", "example.org", "'{notexample.org}'::text[] sans", False),
        ("cert.san", "_.example.org", "'{x.a.example.org}'::text[] sans", False),
        ("country", "FR", "'FR' country, 'France' country_name", True),
        ("country", "france", "'FR' country, 'France' country_name", True),
        ("city", "são paulo", "'São Paulo' city", True),
        ("cloud", "aws/S3", "'aws' cloud, 'eu-west-3' cloud_region, 's3' cloud_service", True),
        ("cloud", "aws/EC2", "'aws' cloud, 'eu-west-3' cloud_region, 's3' cloud_service", False),
    ],
)
def test_a_row_holds_or_not(database: Database, name: str, value: str, columns: str, found: bool) -> None:
    """The finer points of matching, on one row."""
    prefix = False
    with database.connection() as connection:
        assert holds(connection, name, Text(value, prefix), columns) is found


@pytest.mark.parametrize(
    ("name", "value", "columns", "found"),
    [
        ("vuln", Text("CVE-2024-6387"), "'CVE-2024-63870'", False),
        ("vuln", Text("CVE-2024-6387", prefix=True), "'CVE-2024-63870'", True),
        ("vuln", Text("CVE-2024-", prefix=True), "'CVE-2023-9999'", False),
        ("vuln", Text("CVE-2024-", prefix=True), "'CVE-2025-0001'", False),
        ("cvss", Scores(9.8, 9.8), "9.8::real", True),
        ("cvss", Scores(9.8, None, beyond=True), "9.8::real", False),
        ("cvss", Scores(None, 9.8, beyond=True), "9.7::real", True),
        ("cvss", Scores(0, 10), "NULL::real", False),
        ("epss", Scores(0.00042, 0.1), "0.00042::real", True),
        ("kev", Text("true"), "date '2024-01-01'", True),
        ("kev", Text("false"), "NULL::date", True),
        ("severity", Text("none"), "''", False),
    ],
)
def test_a_cve_is_meant_or_not(database: Database, name: str, value: Value, columns: str, found: bool) -> None:
    """On one row: whole ids and beginnings, bounds of single precision, and what has no score."""
    condition = held(FINDING[name], Term(name, (value,)))
    statement = f"SELECT {condition.sql} FROM (SELECT {columns} AS {'cve' if name == 'vuln' else name}) v"
    with database.connection() as connection:
        assert one(connection.execute(statement.encode(), condition.params))[0] is found


def test_a_regex_is_tried_on_every_column_of_its_field(database: Database) -> None:
    """The subject's common name alone is enough."""
    columns = "'' subject, 'www.example.org' subject_cn"
    with database.connection() as connection:
        assert holds(connection, "cert.subject", Regex(r"^www\."), columns)
        assert not holds(connection, "cert.subject", Regex("^example"), columns)


@given(st.text(st.sampled_from("a%_\\b."), max_size=8), st.text(st.sampled_from("a%_\\b."), max_size=8))
def test_a_like_pattern_is_the_text_itself(text: str, other: str) -> None:
    """Nothing in it stands for anything else, by the rules of LIKE."""
    pattern = re.sub(
        r"\\(.)|(%)|(_)|(.)", lambda m: ".*" if m[2] else "." if m[3] else re.escape(m[1] or m[4]), like(text)
    )
    assert (re.fullmatch(pattern, other) is not None) == (text == other)


def test_the_database_would_refuse_what_is_refused_here(database: Database) -> None:
    """The test above would notice: PostgreSQL does refuse such patterns."""
    with database.connection() as connection, pytest.raises(psycopg.errors.InvalidRegularExpression):
        connection.execute("SELECT '' ~* '(a'")
