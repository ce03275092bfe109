"""Reads the values of the query language: each field's own, and a complaint that points at what is wrong."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from datetime import datetime
from typing import Final, NamedTuple, NoReturn

from spectra.errors import BadRequest
from spectra.model import regex, times
from spectra.model.fields import FIELDS, PROVIDERS, Kind, suggest
from spectra.model.values import DECIMALS, Moment, Network, Numbers, Ports, Regex, Scores, Text, Times, Value

WORDS: Final = ""
"""The field of bare words and phrases."""

_UNESCAPE = re.compile(r"\\(.)", re.DOTALL)
_SLASH = re.compile(r"\\(?:(/)|(.))", re.DOTALL)
_RANGE = re.compile(r"(\d{1,10})(?:-(\d{1,10}))?", re.ASCII)
_COMPARED = re.compile(r"(>=|<=|>|<)(\d{1,10})", re.ASCII)
_HOSTNAME = re.compile(r"[^\s/:,*\\\"@]{1,253}")
_CPE_START = re.compile(r"cpe:2\.3:|2\.3:|cpe:/|/", re.IGNORECASE)
_CPE_PART = re.compile(r"(?:^|:)((?:[^:\\]|\\.)*)", re.DOTALL)
_CPE_KINDS: Final = ("a", "h", "o", "*")
_HEX = re.compile(r"[0-9a-f]+")
_NUMBER: Final = rf"(\d{{1,3}}(?:\.\d{{0,{DECIMALS}}})?|\.\d{{1,{DECIMALS}}})"
_SCORE_COMPARED = re.compile(rf"(>=|<=|>|<){_NUMBER}", re.ASCII)
_SCORE_RANGE = re.compile(rf"{_NUMBER}(?:-{_NUMBER})?", re.ASCII)
_CVE = re.compile(r"CVE-\d{4}-\d{4,9}", re.ASCII)
_CVE_START = re.compile(r"(?:C|CV|CVE|CVE-\d{0,4}|CVE-\d{4}-\d{0,9})?", re.ASCII)

# Common names of places and providers that are not the ones in use.
_COUNTRIES: Final = {"UK": "GB", "EL": "GR", "USA": "US", "UAE": "AE"}
_CLOUDS: Final = {"amazon": "aws", "google": "gcp", "microsoft": "azure", "oci": "oracle"}

MAX_ASN: Final = 2**32 - 1
LONGEST_CPE: Final = 11
"""Components of a CPE name after `cpe:2.3:`."""


def bad(message: str, column: int | None, *, hint: str = "", field: str = "q") -> BadRequest:
    """What is wrong with a query, to be raised."""
    return BadRequest(message, reason="query", hint=hint, field=field, column=column)


class Reader(NamedTuple):
    """Reads the values of one field; `column` and `where` tell a complaint where the value stands."""

    name: str
    now: datetime
    column: int | None
    where: str

    def value(self, raw: str, *, quoted: bool) -> Value:
        """The value that `raw` (quotes included) stands for."""
        body = raw[1:-1] if quoted else raw
        kind = self.kind
        if kind in _STARRED:
            return self._starred(body, quoted=quoted)
        text = _UNESCAPE.sub(r"\1", body) if quoted else body
        if not text.strip():
            self.refuse("the value is empty")
        return _READERS[kind](self, text)

    def regex(self, raw: str) -> Regex:
        """The regular expression between the slashes of `raw`."""
        field = FIELDS.get(self.name)
        if field is not None and not field.regex:
            able = ", ".join(f.name for f in FIELDS.values() if f.regex)
            self.refuse("a regex cannot be asked here", f"It can for words, {able}; quotes make the slashes plain.")
        pattern = _SLASH.sub(lambda found: found[1] or found[0], raw[1:-1])
        try:
            regex.compiled(pattern)
        except regex.RegexError as error:
            # Each slash before the mistake was written with a backslash.
            at = 1 + error.at + pattern.count("/", 0, error.at)
            self._aside(at).refuse(error.message, error.hint)
        return Regex(pattern)

    @property
    def kind(self) -> Kind:
        """How the values are read."""
        return FIELDS[self.name].kind if self.name else "words"

    def _aside(self, at: int) -> Reader:
        """The same, complaining `at` characters further right."""
        return self._replace(column=self.column + at if self.column is not None else None)

    def refuse(self, why: str, hint: str = "") -> NoReturn:
        """Raise `BadRequest` for this value."""
        example = FIELDS[self.name].example if self.name else '"exact words"'
        place = f"Column {self.column}: " if self.column is not None else ""
        name = f"{self.name}: " if self.name else ""
        raise bad(f"{place}{name}{why}.", self.column, hint=hint or f"Example: {example}", field=self.where)

    def _starred(self, body: str, *, quoted: bool) -> Value:
        """Text that may end in a star; a star anywhere else needs quotes and a backslash."""
        bare = _UNESCAPE.sub("", body) if quoted else body  # without what was escaped
        prefix = bare.endswith("*") and body.endswith("*")
        if "*" in (bare[:-1] if prefix else bare):
            self.refuse("a star may only stand at the end", r'Write "\*" in quotes for a literal star.')
        body = body[:-1] if prefix else body
        text = _UNESCAPE.sub(r"\1", body) if quoted else body
        if not text.strip() and not (prefix and not text):
            self.refuse("the value is empty")
        if not quoted and text.startswith("/") and text.endswith("/i") and len(text) > 3:
            self.refuse("a regex takes no options", "It never minds case: leave the i out.")
        return _STARRED[self.kind](self, Text(text, prefix))


# Text that may end in a star -----------------------------------------------------------------------------------------


def _country(read: Reader, value: Text) -> Text:
    """An ISO code in capitals, or a name as it is."""
    code = _COUNTRIES.get(value.text.upper(), value.text.upper())
    if value.prefix or len(code) > 3:  # three letters are the other ISO code, and no name
        return value
    if not re.fullmatch(r"[A-Z]{2}", code):
        read.refuse(f'"{value.text}" is not a country code', "Codes are two letters, as in FR; or write its name.")
    return Text(code)


def _cloud(read: Reader, value: Text) -> Text:
    """The provider in lower case; what follows a slash as it is."""
    provider, slash, inside = value.text.partition("/")
    provider = provider.strip().lower()
    provider = _CLOUDS.get(provider, provider)
    if (slash and not inside and not value.prefix) or (slash and not provider):
        read.refuse("the provider, region or service is missing", "Write cloud:aws, cloud:aws/us-east-1.")
    near = suggest(provider, [*PROVIDERS, *_CLOUDS], cutoff=0.75)
    complete = bool(slash) or not value.prefix
    if complete and near and provider not in PROVIDERS:
        read.refuse(f'there is no provider "{provider[:80]}"', f'Did you mean "{_CLOUDS.get(near, near)}"?')
    return Text(provider + slash + inside, value.prefix)


def _mac(read: Reader, value: Text) -> Text:
    """Hex digits in pairs, with colons between them."""
    digits = re.sub(r"[:.\-\s]", "", value.text).lower()
    if value.text and not _HEX.fullmatch(digits):
        read.refuse(f'"{value.text[:80]}" is not a hardware address')
    if len(digits) > 12 or (len(digits) < 12 and not value.prefix):
        read.refuse("a hardware address has 12 hex digits", "Put a star after the start of one: mac:00:1b:21*")
    return Text(":".join(digits[i : i + 2] for i in range(0, len(digits), 2)), value.prefix)


def _sha256(read: Reader, value: Text) -> Text:
    digits = re.sub(r"[:\s]", "", value.text).lower()
    if value.text and not _HEX.fullmatch(digits):
        read.refuse(f'"{value.text[:80]}" is not a SHA-256 in hex')
    if len(digits) > 64 or (len(digits) < 64 and not value.prefix):
        read.refuse(f"a SHA-256 has 64 hex digits, this has {len(digits)}", "A star may follow the start of one.")
    return Text(digits, value.prefix)


def _asn(read: Reader, value: Text) -> Numbers:
    if value.prefix:
        if value.text:
            read.refuse("a star stands for every number, not for digits", "Write a range: asn:64512-65534")
        return Numbers(1, MAX_ASN)
    text = re.sub(r"(?i)\bAS(?=\d)", "", value.text)
    return Numbers(*_range(read, text, 1, MAX_ASN, ("an", "AS number")))


def _cve(read: Reader, value: Text) -> Text:
    """A CVE id in capitals; the year and number alone will do."""
    text = value.text.upper()
    text = f"CVE-{text}" if text[:1].isdigit() else text
    if not (_CVE_START if value.prefix else _CVE).fullmatch(text):
        hint = "An id has a year and at least four digits: vuln:CVE-2024-6387, vuln:CVE-2024-*"
        read.refuse(f'"{value.text[:80]}" is not a CVE id', hint)
    return Text(text, value.prefix)


# Everything else ------------------------------------------------------------------------------------------------------


def _address(read: Reader, text: str) -> Network:
    if "/" in text:
        read.refuse(f'"{text[:80]}" is a network', f"Write net:{text[:80]}")
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        read.refuse(f'"{text[:80]}" is not an IP address')
    if "%" in text:
        read.refuse("an address with a zone is known to one machine only")
    return Network(str(address), str(address))


def _network(read: Reader, text: str) -> Network:
    try:
        net = ipaddress.ip_network(text, strict=False)
    except ValueError:
        read.refuse(f'"{text[:80]}" is not a network')
    if "%" in text:
        read.refuse("a network with a zone is known to one machine only")
    return Network(str(net[0]), str(net[-1]))


def _ports(read: Reader, text: str) -> Ports:
    return Ports(*_range(read, text, 0, 65535, ("a", "port")))


def _range(read: Reader, text: str, least: int, most: int, what: tuple[str, str]) -> tuple[int, int]:
    """`5`, `5-9`, `>5`, `>=5`, `<5` or `<=5` as the lowest and the highest number meant."""
    if compared := _COMPARED.fullmatch(text):
        number = int(compared[2])
        low, high = number + (compared[1] == ">"), number - (compared[1] == "<")
        low, high = (low, most) if compared[1] in (">", ">=") else (least, high)
    elif found := _RANGE.fullmatch(text):
        low, high = int(found[1]), int(found[2] or found[1])
    else:
        read.refuse(f'"{text[:80]}" is neither {" ".join(what)} nor a range of {what[1]}s')
    if high > most:
        read.refuse(f"{high} is above the highest {what[1]}, {most}")
    if low < least:
        read.refuse(f"{low} is below the lowest {what[1]}, {least}")
    if low > high:
        read.refuse(f"the range {text} is empty", "" if compared else f"Write {high}-{low}.")
    return low, high


def _score(read: Reader, text: str) -> Scores:
    if text.lower() in FIELDS["severity"].choices:
        read.refuse(f'"{text}" is a severity', f"Write severity:{text.lower()}")
    return _scores(read, text, 10, "score")


def _probability(read: Reader, text: str) -> Scores:
    return _scores(read, text, 1, "probability")


def _scores(read: Reader, text: str, most: int, what: str) -> Scores:
    """`5.5`, `5-9.9`, `>5`, `>=5`, `<5` or `<=5`, of numbers between 0 and `most`."""
    between = f"A {what} is between 0 and {most}."
    beyond = False
    if compared := _SCORE_COMPARED.fullmatch(text):
        bound, beyond = float(compared[2]), len(compared[1]) == 1
        low, high = (bound, None) if compared[1][0] == ">" else (None, bound)
    elif found := _SCORE_RANGE.fullmatch(text):
        low, high = float(found[1]), float(found[2] or found[1])
        if low > high:
            read.refuse(f"the range {text} is empty", f"Write {found[2]}-{found[1]}.")
    else:
        read.refuse(f'"{text[:80]}" is neither a {what} nor a range of them', between)
    if max(low or 0, high or 0) > most:
        read.refuse(f"{text} is above the highest {what}, {most}", between)
    if beyond and (low == most or high == 0):
        read.refuse(f"the range {text} is empty", between)
    return Scores(low, high, beyond)


def _choice(read: Reader, text: str) -> Text:
    choices = FIELDS[read.name].choices
    if text.lower() not in choices:
        near = suggest(text, choices)
        read.refuse(f'"{text[:80]}" is none of {", ".join(choices)}', f'Did you mean "{near}"?' if near else "")
    return Text(text.lower())


def _flag(read: Reader, text: str) -> Text | Times:
    """Whether a certificate has expired is a question of the time at which that is asked."""
    word = _choice(read, {"yes": "true", "no": "false", "1": "true", "0": "false"}.get(text.lower(), text))
    if read.name != "cert.expired":
        return word
    now = times.moment("now", read.now)
    return Times(None, now) if word.text == "true" else Times(now, None)


def _hostname(read: Reader, text: str) -> Text:
    name = text.lower().removeprefix("*.").removesuffix(".")
    if read.name == "cert.san" and ":" in name:
        return Text(_address(read, name).first)
    if not _HOSTNAME.fullmatch(name):
        read.refuse(f'"{text[:80]}" is not a hostname')
    return Text(name)


def _cpe(read: Reader, text: str) -> Text:
    """`part:vendor:product:version ...` in lower case with `*` for what may be anything, also for the part."""
    found = _CPE_START.match(text)
    named = text[found.end() :] if found else text
    parts: list[str] = _CPE_PART.findall(named.lower())
    if parts[0] not in _CPE_KINDS:
        if found:
            read.refuse(f'"{parts[0][:80]}" is no kind of thing', "After the prefix of a CPE name stands a, o or h.")
        parts.insert(0, "*")
    if len(parts) > LONGEST_CPE:
        read.refuse(f"a CPE name has {LONGEST_CPE} parts, this has {len(parts)}")
    while parts and parts[-1] in ("*", ""):
        parts.pop()
    return Text(":".join(part or "*" for part in parts) or "*")


def _serial(read: Reader, text: str) -> Text:
    digits = re.sub(r"[:\s]", "", text).lower().removeprefix("0x")
    if not _HEX.fullmatch(digits):
        read.refuse(f'"{text[:80]}" is not a serial number in hex')
    return Text(digits.lstrip("0") or "0")


def _moment(read: Reader, text: str) -> Moment:
    try:
        return Moment(times.moment(text, read.now))
    except OverflowError:
        read.refuse(f'"{text[:80]}" is outside of all calendars')
    except ValueError:
        read.refuse(f'"{text[:80]}" is neither a time nor a span of time', "Spans are 30m, 24h, 7d, 2w.")


def _times(read: Reader, text: str) -> Times:
    ahead = read.kind == "expiry"
    if not ahead and re.match(r"[<>]=?\d+[a-z]", text):
        read.refuse("a span of time is not compared", f"Write {read.name}:7d, since:7d or before:7d.")
    try:
        return times.times(text, read.now, ahead=ahead)
    except OverflowError:
        read.refuse(f'"{text[:80]}" is outside of all calendars')
    except ValueError:
        read.refuse(f'"{text[:80]}" is neither a time nor a stretch of time', "Write 30d, 2026-01, >2026-01-31.")


def _words(read: Reader, text: str) -> Text:
    if not any(character.isalnum() for character in text):
        read.refuse("there is no letter or digit to search for")
    return Text(text)


def _text(read: Reader, text: str) -> Text:
    return Text(text)


def _plain(read: Reader, value: Text) -> Text:
    return value


_STARRED: Final[dict[Kind, Callable[[Reader, Text], Value]]] = {
    "pattern": _plain,
    "name": _plain,
    "country": _country,
    "cloud": _cloud,
    "mac": _mac,
    "sha256": _sha256,
    "asn": _asn,
    "cve": _cve,
}
_READERS: Final[dict[Kind, Callable[[Reader, str], Value]]] = {
    "address": _address,
    "network": _network,
    "port": _ports,
    "score": _score,
    "probability": _probability,
    "choice": _choice,
    "flag": _flag,
    "cpe": _cpe,
    "serial": _serial,
    "hostname": _hostname,
    "moment": _moment,
    "time": _times,
    "expiry": _times,
    "words": _words,
    "text": _text,
}
