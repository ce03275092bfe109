"""What the terms about services, banners, certificates, places and hosts say of one row `t` of those tables, and those
about weaknesses of one row `v` of the CVEs."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, LiteralString, NamedTuple

from spectra.model import regex
from spectra.model.query import WORDS, Numbers, Regex, Scores, Term, Text, Times, Value
from spectra.store.conditions import Condition, all_of, any_of


class Wording(NamedTuple):
    """How the values of a field become a condition on `t`; `columns` are those that a regular expression reads."""

    make: Callable[[Value], Condition]
    columns: tuple[LiteralString, ...] = ()


def held(wording: Wording, term: Term) -> Condition:
    """That one of the term's values holds, whether the term is negated or not."""
    return any_of([_matches(wording, v) if isinstance(v, Regex) else wording.make(v) for v in term.values])


def _matches(wording: Wording, value: Regex) -> Condition:
    pattern = regex.compiled(value.pattern)
    return any_of([Condition(f"({column} ~* %s)", (pattern,), costly=True) for column in wording.columns])


def _of_text(make: Callable[[Text], Condition]) -> Callable[[Value], Condition]:
    """A maker for a field whose values are text."""
    return lambda value: make(value) if isinstance(value, Text) else Condition("false")


# Services ------------------------------------------------------------------------------------------------------------


def _service_name(value: Text) -> Condition:
    """nmap says `http` with tunnel `tls` where others say `https`; both are found by the latter."""
    if value.prefix:
        return Condition("(starts_with(lower(t.name), lower(%s)) AND t.name <> '')", (value.text,))
    if len(value.text) > 1 and value.text[-1] in "sS":
        inside: LiteralString = "lower(t.name) = lower(%s) OR lower(t.name) = lower(%s) AND t.tunnel = 'tls'"
        return Condition(f"({inside})", (value.text, value.text[:-1]))
    return Condition("(lower(t.name) = lower(%s))", (value.text,))


# `Apache Tomcat/Coyote JSP engine` is five words, `CN=www.example.org,O=Example` six.
_BETWEEN: Final = r"[ \t\r\n/_.,:;()-]+"
_BETWEEN_NAMES: Final = r"[ \t\r\n/_.,:;()=+*-]+"


def _phrase(column: LiteralString, between: str = _BETWEEN) -> Callable[[Text], Condition]:
    """Whole words in a row, the last of them open-ended for a prefix."""

    def make(value: Text) -> Condition:
        if value.prefix and not value.text:
            return Condition(f"({column} <> '')")
        words = [word for word in re.split(between, value.text) if word]
        if not words:
            return Condition(f"(lower({column}) = lower(%s))", (value.text,))
        end = "" if value.prefix else " "
        return Condition(
            # The first half is only there because it is cheap.
            f"(strpos(lower({column}), lower(%s)) > 0"
            f" AND strpos(' ' || regexp_replace(lower({column}), %s, ' ', 'g') || ' ', lower(%s)) > 0)",
            (max(words, key=len), between, " " + " ".join(words) + end),
        )

    return make


def _version(value: Text) -> Condition:
    """The version itself, or more of it after a character that cannot continue its last part."""
    if value.prefix:
        return Condition("(t.version <> '' AND starts_with(lower(t.version), lower(%s)))", (value.text,))
    return Condition(
        "(starts_with(lower(t.version), lower(%s)) AND substr(t.version, length(%s::text) + 1, 1) !~ '[[:alnum:]]')",
        (value.text, value.text),
    )


_ANY_PART: Final = r"(?:[^:\\]|\\.)*"
_PIECE = re.compile(r"\\(.)|(\*)|(:)|(.)", re.DOTALL)


def _cpe(value: Text) -> Condition:
    """A CPE 2.3 name, or one as the tool said it (2.2, a URI), begins with these parts.

    A word of it is looked for first, as text: that spares most rows the regular expression.
    """
    words = re.findall(r"[a-z0-9]+", value.text)
    return Condition(
        "(strpos(lower(array_to_string(t.cpe23 || t.cpe, ' ')), %s) > 0"
        " AND EXISTS (SELECT FROM unnest(t.cpe23 || t.cpe) n WHERE n ~* %s))",
        (max(words, key=len, default=":"), rf"^cpe:(?:2\.3:|/){_PIECE.sub(_cpe_piece, value.text)}(?::|$)"),
    )


def _cpe_piece(found: re.Match[str]) -> str:
    """A character of a CPE name as a regular expression. Names have punctuation after a backslash, URIs do not."""
    escaped, star, colon, plain = found.groups()
    if star:
        return _ANY_PART
    if colon:
        return ":"
    character = escaped or plain
    return character if character.isalnum() or not character.isascii() else rf"\\?\{character}"


# Banners -------------------------------------------------------------------------------------------------------------

# PostgreSQL's parser would keep `nginx/1.18.0` as one word (a path), so both sides are cut at ASCII punctuation.
_SPACED: Final = str.maketrans(dict.fromkeys(string.punctuation, " "))


def _words(value: Text) -> Condition:
    return Condition("(t.words @@ phraseto_tsquery('simple', %s))", (value.text.translate(_SPACED),))


def _title(value: Text) -> Condition:
    """By the index over title and text first; then the title has to hold the words alone."""
    text = value.text.translate(_SPACED)
    return Condition(
        "(t.words @@ phraseto_tsquery('simple', %s) AND to_tsvector('simple', translate(t.title, %s, %s))"
        " @@ phraseto_tsquery('simple', %s))",
        (text, string.punctuation, " " * len(string.punctuation), text),
    )


# Certificates --------------------------------------------------------------------------------------------------------


def _subject(value: Text) -> Condition:
    """Some tools tell the common name alone."""
    return any_of([_phrase("t.subject", _BETWEEN_NAMES)(value), _phrase("t.subject_cn", _BETWEEN_NAMES)(value)])


def _san(value: Text) -> Condition:
    """The first half is only there because it is cheap."""
    inside: LiteralString = "SELECT FROM unnest(t.sans) n WHERE lower(n) = %s OR lower(n) LIKE %s"
    return Condition(
        f"(strpos(lower(array_to_string(t.sans, ' ')), %s) > 0 AND EXISTS ({inside}))",
        (value.text, value.text, "%." + like(value.text)),
    )


def _sha256(value: Text) -> Condition:
    low, high = value.text.ljust(64, "0"), value.text.ljust(64, "f")
    return Condition("(t.sha256 BETWEEN decode(%s, 'hex') AND decode(%s, 'hex'))", (low, high))


def _serial(value: Text) -> Condition:
    return Condition("(t.serial = %s)", (value.text,))


def _expires(value: Value) -> Condition:
    """Not of a certificate that does not say."""
    between = within("t.not_after", value) if isinstance(value, Times) else Condition("false")
    return all_of([Condition("t.not_after IS NOT NULL"), between])


def within(column: LiteralString, value: Times) -> Condition:
    """That a time is in a stretch."""
    ends: list[tuple[LiteralString, datetime | None]] = [(" >= %s", value.start), (" < %s", value.end)]
    given = [Condition(column + sign, (at,)) for sign, at in ends if at is not None]
    return Condition(f"({all_of(given).sql})", all_of(given).params)


# Places --------------------------------------------------------------------------------------------------------------


def _named(column: LiteralString) -> Callable[[Text], Condition]:
    """The whole name, or the start of it."""

    def make(value: Text) -> Condition:
        if value.prefix:
            return Condition(f"({column} <> '' AND starts_with(lower({column}), lower(%s)))", (value.text,))
        return Condition(f"(lower({column}) = lower(%s))", (value.text,))

    return make


_CODE: Final = 2  # letters


def _org(value: Text) -> Condition:
    """Of each organisation once: one has many places, and letters are dear to compare."""
    said = _phrase("d.org")(value)
    orgs: LiteralString = "SELECT DISTINCT p.org FROM place p OFFSET 0"
    return Condition(f"(t.org IN (SELECT d.org FROM ({orgs}) d WHERE {said.sql}))", said.params)


def _country(value: Text) -> Condition:
    if value.prefix and not value.text:
        return Condition("(t.country <> '')")
    if len(value.text) == _CODE and not value.prefix:
        return Condition("(t.country = %s)", (value.text,))
    return _named("t.country_name")(value)


def _cloud(value: Text) -> Condition:
    """A provider, or a provider and one of its regions or services."""
    provider, slash, inside = value.text.partition("/")
    if not slash:  # in lower case, in the query as in the table
        return _named("t.cloud")(value) if value.prefix else Condition("(t.cloud = %s)", (provider,))
    part = Text(inside, value.prefix)
    names = any_of([_named("t.cloud_region")(part), _named("t.cloud_service")(part)])
    return all_of([Condition("t.cloud = %s", (provider,)), names])


def _asn(value: Value) -> Condition:
    low, high = (value.low, value.high) if isinstance(value, Numbers) else (1, 0)
    return Condition("(t.asn = %s)", (low,)) if low == high else Condition("(t.asn BETWEEN %s AND %s)", (low, high))


# Hosts ---------------------------------------------------------------------------------------------------------------


def _mac(value: Text) -> Condition:
    if value.prefix:
        return Condition("(t.mac LIKE %s AND t.mac <> '')", (like(value.text) + "%",))
    return Condition("(t.mac = %s AND t.mac <> '')", (value.text,))


def _below(value: Text) -> Condition:
    """`value` itself or what ends in `.value`, by the index over reversed names."""
    turned = value.text[::-1]
    return Condition("(reverse(t.name) = %s OR reverse(t.name) LIKE %s)", (turned, like(turned) + ".%"))


# Weaknesses ----------------------------------------------------------------------------------------------------------


def _cve(value: Text) -> Condition:
    """Ids sort by their characters, so that those with one beginning are a range of the index."""
    if value.prefix:
        return Condition("(v.cve >= %s AND v.cve < %s)", (value.text, value.text + "~"))  # ~ is after all of them
    return Condition("(v.cve = %s)", (value.text,))


def _severity(value: Text) -> Condition:
    return Condition("(v.severity = %s)", (value.text,))


def _kev(value: Text) -> Condition:
    return Condition("(v.kev IS NOT NULL)" if value.text == "true" else "(v.kev IS NULL)")


def _is(value: Text) -> Condition:
    """A finding is one whatever its CVE."""
    return Condition("true")


def _scored(column: LiteralString) -> Callable[[Value], Condition]:
    """That a CVE has a score, and which; the column has single precision, so that the bounds have too."""

    def make(value: Value) -> Condition:
        if not isinstance(value, Scores):
            return Condition("false")
        ends: list[tuple[LiteralString, float | None]] = [
            (" > %s::real" if value.beyond else " >= %s::real", value.low),
            (" < %s::real" if value.beyond else " <= %s::real", value.high),
        ]
        given = [Condition(column + sign, (bound,)) for sign, bound in ends if bound is not None]
        return all_of([Condition(f"{column} IS NOT NULL"), *given])

    return make


def like(text: str) -> str:
    """A LIKE pattern that only `text` itself matches."""
    return re.sub(r"([\\%_])", r"\\\1", text)


SERVICE: Final[Mapping[str, Wording]] = {
    "service": Wording(_of_text(_service_name), ("t.name",)),
    "product": Wording(_of_text(_phrase("t.product")), ("t.product",)),
    "version": Wording(_of_text(_version), ("t.version",)),
    "cpe": Wording(_of_text(_cpe)),
}
BANNER: Final[Mapping[str, Wording]] = {
    WORDS: Wording(_of_text(_words), ("t.text", "t.title")),
    "title": Wording(_of_text(_title), ("t.title",)),
}
CERTIFICATE: Final[Mapping[str, Wording]] = {
    "cert.subject": Wording(_of_text(_subject), ("t.subject", "t.subject_cn")),
    "cert.issuer": Wording(_of_text(_phrase("t.issuer", _BETWEEN_NAMES)), ("t.issuer",)),
    "cert.san": Wording(_of_text(_san), ("array_to_string(t.sans, ' ')",)),
    "cert.sha256": Wording(_of_text(_sha256)),
    "cert.serial": Wording(_of_text(_serial)),
    "cert.expires": Wording(_expires),
}
PLACE: Final[Mapping[str, Wording]] = {
    "country": Wording(_of_text(_country)),
    "region": Wording(_of_text(_named("t.region")), ("t.region",)),
    "city": Wording(_of_text(_named("t.city")), ("t.city",)),
    "asn": Wording(_asn),
    "org": Wording(_of_text(_org), ("t.org",)),
    "cloud": Wording(_of_text(_cloud)),
}
HOST: Final[Mapping[str, Wording]] = {"mac": Wording(_of_text(_mac))}
HOSTNAME: Final[Mapping[str, Wording]] = {"hostname": Wording(_of_text(_below), ("t.name",))}

FINDING: Final[Mapping[str, Wording]] = {
    "vuln": Wording(_of_text(_cve)),
    "severity": Wording(_of_text(_severity)),
    "cvss": Wording(_scored("v.cvss")),
    "epss": Wording(_scored("v.epss")),
    "kev": Wording(_of_text(_kev)),
    "has": Wording(_of_text(_is)),
}
"""Of a CVE `v`."""

OS: Final = Wording(_of_text(_phrase("t.os")), ("t.os",))
"""Of a service or a host."""
VENDOR: Final = Wording(_of_text(_phrase("t.vendor")), ("t.vendor",))
