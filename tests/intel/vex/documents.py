"""Decisions, and documents about them, of every kind."""

from __future__ import annotations

import string
import uuid
from datetime import UTC, datetime

from hypothesis import strategies as st

from spectra.model.triage import JUSTIFICATIONS, JUSTIFIED, SCOPES, STATUSES, Target, Verdict
from spectra.model.vex import Outgoing, Product, Statement

CPES = (
    "",
    "cpe:2.3:a:openbsd:openssh:*:*:*:*:*:*:*:*",
    "cpe:2.3:a:openbsd:openssh:9.2:p1:*:*:*:*:*:*",
    r"cpe:2.3:a:x\:y:z\+\+:1:*:*:*:*:*:*:*",
)
_IPS = st.one_of(st.ip_addresses(v=4).map(str), st.sampled_from(["2001:db8::7", "::1", "fe80::1"]))
_ENDPOINTS = st.tuples(_IPS, st.integers(0, 65535), st.sampled_from(["tcp", "udp", "sctp"]))


@st.composite
def _targets(draw: st.DrawFn) -> Target:
    cpe = draw(st.sampled_from(CPES))
    match draw(st.sampled_from(SCOPES)):
        case "everywhere":
            return Target("", cpe=cpe)
        case "host":
            return Target("", draw(_IPS), cpe=cpe)
        case _:
            return Target("", *draw(_ENDPOINTS), cpe)


TARGETS: st.SearchStrategy[Target] = _targets()
"""Places of decisions, without a CVE."""

_TIMES = st.datetimes(datetime(2020, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds are naive
_LINES = st.text(string.ascii_letters + "äß: ()", max_size=30).map(str.strip)


@st.composite
def _verdicts(draw: st.DrawFn) -> Verdict:
    status = draw(st.sampled_from(STATUSES))
    word = draw(st.sampled_from(("", *JUSTIFICATIONS))) if status in JUSTIFIED else ""
    return Verdict(status, draw(_LINES), word, draw(st.none() | _TIMES))


VERDICTS: st.SearchStrategy[Verdict] = _verdicts()
"""Decisions as somebody may make them."""


@st.composite
def _outgoing(draw: st.DrawFn) -> Outgoing:
    statements: list[Statement] = []
    for number in range(draw(st.integers(0, 5))):
        targets = draw(st.lists(TARGETS, min_size=1, max_size=4, unique=True))
        verdict = draw(st.none() | VERDICTS)
        products = tuple(Product(t, "OpenSSH", "9.2p1", t.cpe or CPES[2]) for t in targets)
        sure = draw(st.booleans())
        action = "Update it." if verdict is None and sure else ""
        statements.append(Statement(f"CVE-2024-{1000 + number}", verdict, draw(_TIMES), products, sure, action))
    return Outgoing(
        str(uuid.UUID(int=draw(st.integers(0, 2**128 - 1)))), "alice", draw(_TIMES), draw(st.integers(1, 10**9)),
        "Spectra 1.0", tuple(statements),
    )  # fmt: skip


DOCUMENTS: st.SearchStrategy[Outgoing] = _outgoing()
"""Documents to be written, with a CVE in one statement at most."""
