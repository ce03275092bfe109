"""What a user asks to scan: addresses, networks, ranges and hostnames, from arguments, files or standard input.

Parsing and set arithmetic are pure; `resolve` is the one place that asks the DNS.
"""

from __future__ import annotations

import asyncio
import re
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_address, ip_network
from pathlib import Path
from typing import TextIO

from spectra.collect.netset import EMPTY, IPAddress, IPNetwork, NetSet, plain
from spectra.errors import BadRequest

MAX_ADDRESSES = 2**24  # a /8 of IPv4: a day's work at 200 connections a second, and the edge of good sense
MAX_TARGETS = 200_000  # lines of a target file
MAX_WORD = 300  # a hostname is at most 253 characters (RFC 1035 section 2.3.4)
MAX_LINE = 64 * 1024

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")
_RANGE = re.compile(r"(?P<first>[0-9a-fA-F.:]+)-(?P<last>[0-9a-fA-F.:]+)")


class BadTarget(BadRequest):
    """A target that is none, or too much of it. `field` is `target`."""

    reason = "bad_target"

    def __init__(self, message: str, *, hint: str = "", where: str = "") -> None:
        message = f"{where}: {message}" if where else message
        super().__init__(f"{message}." if hint else message, hint=hint, field="target")


@dataclass(frozen=True, slots=True)
class Target:
    """One thing a user named: a set of addresses, or a hostname (then `addresses` is empty until it is resolved)."""

    text: str
    addresses: NetSet = EMPTY
    hostname: str = ""
    where: str = ""  # `file:line` it was read from


@dataclass(frozen=True, slots=True)
class TargetSet:
    """Addresses to scan, with the names under which a user asked for some of them. Held as intervals, never listed."""

    addresses: NetSet = EMPTY
    names: Mapping[IPAddress, tuple[str, ...]] = field(default_factory=dict[IPAddress, tuple[str, ...]])

    def families(self) -> tuple[TargetSet, ...]:
        """The IPv4 part and the IPv6 part, those that are not empty: nmap scans one family in a run."""
        parts = (NetSet(v4=self.addresses.v4), NetSet(v6=self.addresses.v6))
        return tuple(TargetSet(part, {ip: n for ip, n in self.names.items() if ip in part}) for part in parts if part)

    def lines(self) -> Iterator[str]:
        """One address or network a line, made from parsed numbers and so free of anything a user typed."""
        for network in self.addresses.networks():
            yield str(network[0]) if network.num_addresses == 1 else str(network)


def parse_target(text: str, *, where: str = "") -> Target:
    """Read `10.0.0.1`, `10.0.0.0/24`, `10.0.0.1-20`, `10.0.0.1-10.0.1.9`, `2001:db8::/64` or a hostname.

    Raises `BadTarget`. Host bits of a network are ignored, as nmap does. A name whose last label is a number
    (`1.2.3`, `0x7f.1`) is refused: resolvers read it as an address nobody meant.
    """
    word = text.strip()
    if not word or len(word) > MAX_WORD:
        raise BadTarget(f"{word[:40]!r} is not a target", hint="Give an address, network or hostname.", where=where)
    if "%" in word:
        raise BadTarget(f"{word!r} has a zone", hint="Give the address alone and choose the interface.", where=where)
    addresses = _addresses(word, where)
    if addresses is None:
        return Target(word, hostname=parse_hostname(word, where=where), where=where)
    return Target(word, addresses, where=where)


def parse_hostname(text: str, *, where: str = "") -> str:
    """The hostname in lower-case ASCII form (IDNA), without trailing dot; raises `BadTarget`."""
    name = _ascii(text.strip().removesuffix("."), where)
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        hint = "A URL is not a target: give its host." if "://" in text else ""
        raise BadTarget(f"{text[:80]!r} is not an address, network, range or hostname", hint=hint, where=where)
    if _NUMERIC.fullmatch(labels[-1]):
        raise BadTarget(f"{text[:80]!r} is not a complete address", hint="Write all four numbers.", where=where)
    return name


def parse_targets(words: Iterable[str]) -> tuple[Target, ...]:
    """Targets of a command line, in order; raises `BadTarget` above `MAX_TARGETS` or `MAX_ADDRESSES`."""
    return _bounded(parse_target(word) for word in words)


def read_targets(source: Path | TextIO) -> tuple[Target, ...]:
    """Targets of a file, one or more a line (white space or commas between), `#` starts a comment; `-` is stdin.

    Raises `BadTarget` naming file and line.
    """
    if isinstance(source, Path):
        name = "stdin" if str(source) == "-" else str(source)
        try:
            opened = nullcontext(sys.stdin) if name == "stdin" else source.open(encoding="utf-8")
            with opened as stream:
                return _bounded(_of_lines(stream, name))
        except (OSError, UnicodeDecodeError) as error:
            raise BadTarget(f"cannot read targets: {error}", where=name) from error
    return _bounded(_of_lines(source, getattr(source, "name", "input")))


async def resolve(names: Iterable[str], *, timeout_s: float = 5.0) -> dict[str, tuple[IPAddress, ...]]:
    """All addresses of each name, as the system's resolver gives them; raises `BadTarget` for one without any.

    At most 32 questions are open at once; each waits at most `timeout_s` seconds.
    """
    slots = asyncio.Semaphore(32)

    async def one(name: str) -> tuple[IPAddress, ...]:
        async with slots:
            return await _resolve_one(name, timeout_s)

    wanted = list(dict.fromkeys(names))
    answers = await asyncio.gather(*(one(name) for name in wanted), return_exceptions=True)
    found: dict[str, tuple[IPAddress, ...]] = {}
    for name, answer in zip(wanted, answers, strict=True):
        if isinstance(answer, BaseException):
            raise answer
        found[name] = answer
    return found


def _addresses(word: str, where: str) -> NetSet | None:
    """The addresses `word` stands for; None if it can only be a hostname."""
    try:
        address = ip_address(word)
    except ValueError:
        pass
    else:
        return NetSet.ranges([(address, address)])
    if "/" in word:
        return NetSet.of([_network(word, where)])
    found = _RANGE.fullmatch(word)
    if found and ("." in found["first"] or ":" in found["first"]) and _is_address(found["first"]):
        return NetSet.ranges([_range(found["first"], found["last"], word, where)])
    return None


def _network(word: str, where: str) -> IPNetwork:
    prefix = word.rpartition("/")[2]
    if "://" in word:
        raise BadTarget(f"{word[:80]!r} is a URL", hint="Give its host.", where=where)
    if not prefix.isdecimal():
        raise BadTarget(f"{word!r} is not a network", hint="Write the prefix length, such as /24.", where=where)
    try:
        return ip_network(word, strict=False)
    except ValueError as error:
        raise BadTarget(f"{word!r} is not a network: {error}", where=where) from error


def _range(first: str, last: str, word: str, where: str) -> tuple[IPAddress, IPAddress]:
    low = ip_address(first)
    if isinstance(low, IPv4Address) and last.isdecimal():
        last = f"{first.rpartition('.')[0]}.{last}"
    try:
        top = ip_address(last)
    except ValueError as error:
        raise BadTarget(f"{word!r} is not a range: {error}", where=where) from error
    if low.version != top.version or int(top) < int(low):
        raise BadTarget(f"{word!r} is not a range", hint="Write the lower address first.", where=where)
    return low, top


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _ascii(name: str, where: str) -> str:
    if name.isascii():
        return name.lower()
    try:
        return name.encode("idna").decode("ascii").lower()
    except UnicodeError as error:
        raise BadTarget(f"{name[:80]!r} is not a hostname: {error}", where=where) from error


def _of_lines(stream: TextIO, name: str) -> Iterator[Target]:
    number = 0
    while line := stream.readline(MAX_LINE):
        number += 1
        where = f"{name}:{number}"
        if len(line) >= MAX_LINE and not line.endswith("\n"):
            raise BadTarget(f"the line is longer than {MAX_LINE} characters", where=where)
        for word in line.partition("#")[0].replace(",", " ").split():
            yield parse_target(word, where=where)


def _bounded(targets: Iterable[Target]) -> tuple[Target, ...]:
    kept: list[Target] = []
    for target in targets:
        if len(kept) >= MAX_TARGETS:
            raise BadTarget(f"more than {MAX_TARGETS} targets", hint="Name networks instead of their addresses.")
        if target.addresses.size > MAX_ADDRESSES:
            raise too_many(target.addresses.size, target.text, target.where)
        kept.append(target)
    return tuple(kept)


def too_many(size: int, what: str, where: str = "") -> BadTarget:
    """The error for more than `MAX_ADDRESSES` addresses."""
    message = f"{what} has {size} addresses; one scan takes at most {MAX_ADDRESSES} (a /8 of IPv4 or a /104 of IPv6)"
    return BadTarget(message, hint="Split it into smaller scans.", where=where)


async def _resolve_one(name: str, timeout_s: float) -> tuple[IPAddress, ...]:
    try:
        async with asyncio.timeout(timeout_s):
            answers = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except TimeoutError as error:
        raise BadTarget(f"no answer for {name!r} within {timeout_s:g} s", hint="Try again or use addresses.") from error
    except (OSError, UnicodeError) as error:
        raise BadTarget(f"{name!r} has no address: {error}", hint="Check the spelling.") from error
    texts = (str(answer[4][0]).partition("%")[0] for answer in answers)
    return tuple(dict.fromkeys(plain(ip_address(text)) for text in texts))
