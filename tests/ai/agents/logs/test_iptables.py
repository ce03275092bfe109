"""The firewall's log: real lines, with and without ports, and what is none."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from spectra.ai.agents.logs import iptables
from spectra.errors import BadRequest

NOW = datetime(2026, 11, 28, tzinfo=UTC)
TCP = (
    b"Nov  2 10:00:00 fw kernel: IN=eth0 OUT= SRC=192.0.2.1 DST=192.0.2.2 LEN=60 PROTO=TCP SPT=40000 DPT=22"
    b" WINDOW=1 RES=0x00 %s URGP=0"
)


def test_real_lines_are_read(shared_data: Path) -> None:
    """IVRE's sample: 40 packets between comments, a prefix that touches the first word, protocols without ports."""
    log = iptables.read((shared_data / "traffic" / "ivre__iptables.log").read_bytes(), NOW)
    assert (len(log.entries), log.skipped) == (40, 25)
    first = log.entries[0]
    assert (first.source, first.target, first.protocol, first.port) == ("192.168.0.54", "255.255.255.255", "udp", 57621)
    assert (first.at, first.line, first.incoming) == (datetime(2026, 2, 9, 23, 52, 49, tzinfo=UTC), 14, "eth0")


@pytest.mark.parametrize(("flags", "syn"), [(b"SYN", True), (b"ACK SYN", False), (b"ACK FIN", False)])
def test_only_a_first_packet_asks(flags: bytes, syn: bool) -> None:
    """The rest of a connection asks for nothing."""
    assert iptables.read(TCP % flags, NOW).entries[0].syn is syn


def test_another_file_is_none() -> None:
    """It is said what lines have."""
    with pytest.raises(BadRequest, match="No line"):
        iptables.read(b"Nov  2 10:00:00 fw sshd: hello", NOW)
