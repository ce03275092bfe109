"""Query logs of resolvers: dnsmasq, unbound, BIND and AdGuard Home, told apart by their first lines.

dnsmasq (`log-queries`, also `extra`) tells query and reply on lines of their own; a reply belongs to the newest query
of that name. unbound tells the query (`log-queries`) or all of it (`log-replies`), BIND the query (category `queries`)
and, where it is asked to, the response (category `responses`). AdGuard Home writes a JSON object a line.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from datetime import datetime
from itertools import islice
from typing import Final, NamedTuple

import msgspec

from spectra.ai.agents.logs.lines import Log, address, iso_time, numbered, syslog_time, unix_time
from spectra.errors import BadRequest

MAX_NAME: Final = 255
_MAX_ANSWERS: Final = 16
_LOOK_AT: Final = 200  # lines by which a format is recognised

RCODES: Final = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}

_DNSMASQ: Final = re.compile(
    r"(?:(?P<time>\S+ +\d+ [\d:]{8}) )?(?:\S+ )?dnsmasq\[?\d*\]?: (?:\d+ \S+/\d+ )?(?:"
    r"query\[(?P<type>[A-Z0-9=a-z-]+)\] (?P<name>\S+) from (?P<client>\S+)"
    r"|(?P<source>reply|cached(?:-stale)?|config|DHCP|/\S+) (?P<replied>\S+) is (?P<answer>\S+))\Z",
    re.ASCII,
)
_UNBOUND: Final = re.compile(
    r"(?:\[(?P<unix>\d{9,11}(?:\.\d+)?)\]|(?P<time>\S.{13,34}?)) unbound\[\S+\] (?:info|query|reply): "
    r"(?P<client>[0-9a-fA-F.:]+) (?P<name>\S+) (?P<type>[A-Z0-9]+) [A-Z]+(?: (?P<rcode>[A-Z]+) [\d.]+ \d \d+)?\Z",
    re.ASCII,
)
_BIND: Final = re.compile(
    r"(?P<time>\S+ \S+) (?:[a-z-]+: )?(?:info: )?client (?:@0x[0-9a-f]+ )?(?P<client>[0-9a-fA-F.:%a-z]+)#\d+ "
    r"\([^)]*\): (?:view \S+: )?(?P<what>query|response): (?P<name>\S+) [A-Z]+ (?P<type>[A-Z0-9]+) (?P<rest>\S+).*\Z",
    re.ASCII,
)
_NANOSECONDS: Final = re.compile(r"(\.\d{6})\d+")
_BIND_TIME: Final = re.compile(r"(\d{2})-([A-Z][a-z]{2})-(\d{4}) (\d{2}:\d{2}:\d{2}(?:\.\d+)?)\Z", re.ASCII)
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Query(NamedTuple):
    """A question to the resolver, and what became of it as far as the log tells.

    `name` is in lower case without the last dot, `rcode` empty where nothing is told, `answers` are addresses.
    `local`: the resolver answered from its own configuration. `at` is None where the log has no times.
    """

    at: datetime | None
    client: str
    name: str
    type: str
    line: int
    rcode: str = ""
    answers: tuple[str, ...] = ()
    local: bool = False


class _AdGuard(msgspec.Struct):
    """A line of AdGuard Home's `querylog.json`."""

    t: str = msgspec.field(name="T")
    name: str = msgspec.field(name="QH")
    type: str = msgspec.field(name="QT", default="")
    ip: str = msgspec.field(name="IP", default="")
    answer: str = msgspec.field(name="Answer", default="")


_adguard: Final = msgspec.json.Decoder(_AdGuard)


def read(raw: bytes, now: datetime) -> Log[Query]:
    """The questions of a log, in order. Raises `BadRequest` (field `body`) where it is none that is known."""
    name = _recognise(raw)
    if name == "dnsmasq":
        return _dnsmasq(raw, now)
    one = {"unbound": _unbound, "bind": _bind, "adguard": _adguard_line}[name]
    return _each(raw, now, one, name)


def _recognise(raw: bytes) -> str:
    """The format of the first lines that are of any."""
    for _, text in islice(numbered(raw), _LOOK_AT):
        if _DNSMASQ.match(text):
            return "dnsmasq"
        if _UNBOUND.match(text):
            return "unbound"
        if _BIND.match(text):
            return "bind"
        if text.startswith("{") and '"QH"' in text:
            return "adguard"
    raise BadRequest(
        "This is no query log of dnsmasq, unbound, BIND or AdGuard Home.",
        reason="unknown_format",
        field="body",
        hint="dnsmasq and unbound need log-queries, BIND the category queries.",
    )


def _each(raw: bytes, now: datetime, one: Callable[[str, int, datetime], Query | None], name: str) -> Log[Query]:
    found: list[Query] = []
    lines = skipped = 0
    for number, text in numbered(raw):
        lines += 1
        query = one(text, number, now)
        if query is None:
            skipped += 1
        elif query.rcode and found and _same(found[-1], query):
            found[-1] = found[-1]._replace(rcode=query.rcode)
        else:
            found.append(query)
    return Log(tuple(found), lines, skipped, name)


def _same(before: Query, query: Query) -> bool:
    """Whether a response follows its question."""
    return not before.rcode and (before.client, before.name, before.type) == (query.client, query.name, query.type)


def _dnsmasq(raw: bytes, now: datetime) -> Log[Query]:
    asked = _Asked()
    lines = skipped = 0
    for number, text in numbered(raw):
        lines += 1
        told = _DNSMASQ.match(text)
        if told is None:
            skipped += 1
        elif told["name"] is None:
            asked.answer(_name(told["replied"]), told["answer"], told["source"])
        else:
            at = syslog_time(told["time"], now) if told["time"] else None
            query = _query(at, told["client"], told["name"], told["type"], number, "")
            skipped += query is None
            if query is not None:
                asked.ask(query)
    return Log(tuple(asked.queries), lines, skipped, "dnsmasq")


class _Asked:
    """Questions, and which of them a reply belongs to: the newest of its name, or the one whose CNAME led to it."""

    def __init__(self) -> None:
        self.queries: list[Query] = []
        self._newest: dict[str, int] = {}
        self._led = -1

    def ask(self, query: Query) -> None:
        """One more. What led elsewhere is over: a resolver writes an answer without a break."""
        self._led = -1
        self._newest[query.name] = len(self.queries)
        self.queries.append(query)

    def answer(self, name: str, answer: str, source: str) -> None:
        """What became of one; a reply to what nobody asked is left out."""
        place = self._newest.get(name, self._led)
        if place < 0:
            return
        query = self.queries[place]
        local = query.local or source not in ("reply", "cached", "cached-stale")
        if answer == "<CNAME>":
            self._led = place
        elif answer in ("NXDOMAIN", "SERVFAIL", "REFUSED"):
            self.queries[place] = query._replace(rcode=answer, local=local)
        elif ip := address(answer):
            answers = (*query.answers, ip)[:_MAX_ANSWERS]
            self.queries[place] = query._replace(rcode="NOERROR", answers=answers, local=local)
        else:
            self.queries[place] = query._replace(rcode=query.rcode or "NOERROR", local=local)


def _unbound(text: str, number: int, now: datetime) -> Query | None:
    told = _UNBOUND.match(text)
    if told is None:
        return None
    at = unix_time(told["unix"]) if told["unix"] else syslog_time(told["time"], now) or iso_time(told["time"])
    return _query(at, told["client"], told["name"], told["type"], number, told["rcode"] or "")


def _bind(text: str, number: int, now: datetime) -> Query | None:
    told = _BIND.match(text)
    if told is None:
        return None
    rcode = told["rest"] if told["what"] == "response" and told["rest"] in RCODES.values() else ""
    return _query(_bind_time(told["time"]), told["client"], told["name"], told["type"], number, rcode)


def _bind_time(text: str) -> datetime | None:
    if found := _BIND_TIME.match(text):
        day, month, year, clock = found.groups()
        number = _MONTHS.index(month) + 1 if month in _MONTHS else 0
        return iso_time(f"{year}-{number:02}-{day}T{clock[:15]}")
    return iso_time(text)


def _adguard_line(text: str, number: int, now: datetime) -> Query | None:
    try:
        told = _adguard.decode(text)
    except (ValueError, RecursionError):
        return None
    at = iso_time(_NANOSECONDS.sub(r"\1", told.t[:40]))
    return _query(at, told.ip, told.name, told.type, number, _rcode(told.answer))


def _rcode(answer: str) -> str:
    """The response code of a message in base64 (RFC 1035 section 4.1.1: the low half of its fourth byte)."""
    try:
        head = base64.b64decode(answer[:8], validate=True)
    except (ValueError, binascii.Error):
        return ""
    return RCODES.get(head[3] & 15, "") if len(head) > 3 else ""


def _query(  # noqa: PLR0917 - the fields of a line
    at: datetime | None, client: str, name: str, kind: str, number: int, rcode: str
) -> Query | None:
    who, name = address(client), _name(name)
    return Query(at, who, name, kind, number, rcode) if who and name else None


def _name(text: str) -> str:
    """A name as it is compared; empty for the root and what is too long for one."""
    name = text.rstrip(".").lower()
    return name if 0 < len(name) <= MAX_NAME else ""
