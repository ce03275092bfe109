"""What the Linux firewall logs of packets: target LOG of iptables and nftables, as syslog keeps it.

The format is that of the kernel's `nf_log_ipv4` and `nf_log_ipv6`: `KEY=value` words. What stands before is the
administrator's, and may touch the first word (`IPTABLES/UDP/IN=eth0`).
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final, NamedTuple

from spectra.ai.agents.logs.lines import Log, address, iso_time, numbered, syslog_time
from spectra.errors import BadRequest

_WORD: Final = re.compile(r"\b(IN|OUT|SRC|DST|PROTO|SPT|DPT|LEN)=(\S*)", re.ASCII)
_PROTOCOLS: Final = {"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6", "132": "sctp"}


class Packet(NamedTuple):
    """A packet that was logged. Ports are 0 for protocols without; `syn`: it opens a connection (of TCP), or the
    protocol knows none.
    """

    at: datetime | None
    source: str
    target: str
    protocol: str
    source_port: int
    port: int
    line: int
    syn: bool = True
    incoming: str = ""
    outgoing: str = ""


def read(raw: bytes, now: datetime) -> Log[Packet]:
    """The packets of a log, in order. Raises `BadRequest` (field `body`) where no line is of the firewall."""
    found: list[Packet] = []
    lines = skipped = 0
    for number, text in numbered(raw):
        lines += 1
        packet = _packet(text, number, now)
        if packet is None:
            skipped += 1
        else:
            found.append(packet)
    if lines and not found:
        raise BadRequest(
            "No line is of the firewall's log.",
            reason="unknown_format",
            field="body",
            hint="Lines of iptables' or nftables' LOG have SRC=, DST= and PROTO=.",
        )
    return Log(tuple(found), lines, skipped, "iptables")


def _packet(text: str, number: int, now: datetime) -> Packet | None:
    words: dict[str, str] = {}
    for key, value in _WORD.findall(text):
        words.setdefault(key, value)
    source, target = address(words.get("SRC", "")), address(words.get("DST", ""))
    if not source or not target:
        return None
    protocol = words.get("PROTO", "").lower()
    protocol = _PROTOCOLS.get(protocol, protocol)
    flags = text.rpartition(" RES=")[2].split() if protocol == "tcp" else []
    return Packet(
        at=syslog_time(text, now) or iso_time(text.split(" ", 1)[0]),
        source=source,
        target=target,
        protocol=protocol,
        source_port=_port(words.get("SPT", "")),
        port=_port(words.get("DPT", "")),
        line=number,
        syn=protocol != "tcp" or ("SYN" in flags and "ACK" not in flags) or not flags,
        incoming=words.get("IN", "")[:15],
        outgoing=words.get("OUT", "")[:15],
    )


def _port(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) <= 5 and int(text) <= 65535 else 0
