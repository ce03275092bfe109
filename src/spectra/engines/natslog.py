"""What nats-server says, read: which certificate each connection showed, and whom it refused what.

The server tells refusals in its log alone, and an MQTT client's by a connection number; whose certificate that
connection showed stands in a debug line before. Two things make that log treacherous. It copies a stranger's
certificate into a message as it is, line ends included: messages are therefore read one by one (`natsprocess.py`), not
line by line. And it takes a client's own name for a format, so that a client can distort what is said about it: who
somebody is comes only from the first line about its connection, before the client could name itself.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

MAX_CONNECTIONS: Final = 65_536
MAX_TOLD: Final = 300

_MESSAGE = re.compile(r"\[\d+\] [\d/]{10} [\d:.]{15} \[([A-Z]{3})\] (.*)", re.DOTALL)
_CLIENT = re.compile(r"(\S+):\d+ - [cm]id:(\d+) - (.*)", re.DOTALL)
_NAMES = r'(?:"(?:[^"\\]|\\.)*" - )*'
_MEMBER = re.compile(_NAMES + r'Using (?:URI|SAN) found in cert for auth \["([^"]+)"\]')
_NOBODY = re.compile(_NAMES + r'User in cert \["((?:[^"\\]|\\.)*)"\], not found')
_VIOLATION = re.compile(r'(Publish|Subscription) Violation - \w+ (?:"([^"]*)")?')
_NATS = re.compile(r"Listening for client connections on (.*):(\d+)")
_MQTT = re.compile(r"Listening for MQTT clients on (?:\w+://)?(.*):(\d+)")
_LOADED = re.compile(r"Reloaded server configuration(?: \((sha256:[0-9a-f]+)\))?")
# Of the ways in which a handshake fails, the server takes this one for no error.
_TOO_LATE = re.compile(r"TLS handshake error: read tcp \S+->\S+: i/o timeout")
_NOT_LOADED = "Failed to reload server configuration: "
# Said of every client at every reload: it names itself as its certificate does.
_NOISE = "found in connect proto, but user required from cert"
_COMMON_NAME = "CN="


@dataclass(frozen=True)
class Refusal:
    """Something was refused.

    `kind`: `forbidden_publish`, `forbidden_subscribe`, `not_a_member` (a certificate of ours that nobody may use now),
    `no_certificate`, `untrusted`, `expired`, `handshake`, `too_large`, `too_many_connections`.
    `who`: the URI or DNS name in its certificate by which it is a member; of who is no member, the certificate's common
    name; of who showed none that holds, the address.
    """

    kind: str
    who: str
    detail: str


@dataclass(frozen=True)
class Listening:
    """A port is open: `nats` or `mqtt`."""

    what: str
    host: str
    port: int


@dataclass(frozen=True)
class Ready:
    """The server serves."""


@dataclass(frozen=True)
class Loaded:
    """A configuration was taken over; `digest` is the one that checking it gave."""

    digest: str


@dataclass(frozen=True)
class NotLoaded:
    """A configuration was refused, and the old one goes on."""

    why: str


Event = Refusal | Listening | Ready | Loaded | NotLoaded


class LogReader:
    """Reads the messages of one server, in their order."""

    def __init__(self) -> None:
        self._who: OrderedDict[str, str] = OrderedDict()

    def read(self, message: str) -> Event | None:
        """What a message means, if it means anything to us."""
        found = _MESSAGE.match(message)
        if found is None:
            return None
        level, text = found.groups()
        client = _CLIENT.match(text)
        if client is None:
            return _of_server(text) if level == "INF" or text.startswith(_NOT_LOADED) else None
        address, number, said = client.groups()
        if level == "DBG":
            if _TOO_LATE.fullmatch(said):
                return Refusal("handshake", told(address.strip("[]")), "the TLS handshake took too long")
            self._learn(number, said)
            return None
        return self._refusal(address, number, said) if level == "ERR" else None

    def _learn(self, number: str, said: str) -> None:
        """The first word about a connection counts; later ones may be the client's own."""
        if number in self._who:
            return
        if found := _MEMBER.fullmatch(said):
            self._who[number] = found[1]
        elif found := _NOBODY.fullmatch(said):
            self._who[number] = found[1].removeprefix(_COMMON_NAME)
        if len(self._who) > MAX_CONNECTIONS:
            self._who.popitem(last=False)

    def _refusal(self, address: str, number: str, said: str) -> Refusal | None:
        who = self._who.get(number, address.strip("[]"))
        if said.startswith("TLS handshake error: "):
            return Refusal(_handshake(said), told(address.strip("[]")), told(said))
        if found := _last_violation(said):
            kind = "forbidden_publish" if found[1] == "Publish" else "forbidden_subscribe"
            return Refusal(kind, told(who), told(found[2] or "a subject that its client's name hides"))
        for words, kind in _ENDINGS:
            if words in said and "unable to connect" not in said:  # the same once more, for MQTT
                return Refusal(kind, told(who), words)
        return None


_ENDINGS: Final = (
    ("authentication error", "not_a_member"),
    ("maximum payload exceeded", "too_large"),
    ("maximum connections exceeded", "too_many_connections"),
)


def _last_violation(said: str) -> re.Match[str] | None:
    """The server's own words stand last; before them is what the client calls itself."""
    start = max(said.rfind("Publish Violation - "), said.rfind("Subscription Violation - "))
    return None if start < 0 else _VIOLATION.match(said, start)


def _handshake(said: str) -> str:
    if "didn't provide a certificate" in said:
        return "no_certificate"
    if "expired or is not yet valid" in said:
        return "expired"
    return "untrusted" if "failed to verify certificate" in said else "handshake"


def _of_server(text: str) -> Event | None:
    if text == "Server is ready":
        return Ready()
    for what, pattern in (("nats", _NATS), ("mqtt", _MQTT)):
        if found := pattern.fullmatch(text):
            return Listening(what, found[1], int(found[2]))
    if found := _LOADED.fullmatch(text):
        return Loaded(found[1] or "")
    if text.startswith(_NOT_LOADED):
        return NotLoaded(told(text.removeprefix(_NOT_LOADED)))
    return None


def is_worth_keeping(message: str) -> bool:
    """Whether the message goes into the log file: not what is said for `LogReader` alone."""
    return "[DBG]" not in message[:60] and _NOISE not in message


def told(text: str, longest: int = MAX_TOLD) -> str:
    """Text that strangers had a hand in: bounded, and without what drives a terminal or ends a line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:longest])


class Throttle:
    """At most `limit` messages a second get into the log file, so that who is refused all the time fills no disk."""

    def __init__(self, limit: int = 200) -> None:
        self._limit = limit
        self._second = 0
        self._count = 0

    def passes(self, now: float) -> bool:
        """Whether one more may be written; `now` is monotonic."""
        if int(now) != self._second:
            self._second, self._count = int(now), 0
        self._count += 1
        return self._count <= self._limit
