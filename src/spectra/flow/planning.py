"""Plans as work: the query that their selectors say, and the hosts they are about with the ports of each."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from spectra.collect.ports import Ports, compact
from spectra.errors import BadRequest
from spectra.intel.enrich.ports import label
from spectra.model import query as queries
from spectra.model.plans import MAX_TARGETS, Selectors, Target
from spectra.store import plans
from spectra.store.database import Database

_NUMERIC: Final = re.compile(r"[0-9,\s<>=-]*", re.ASCII)
MOST: Final = 1_000_000
"""Endpoints of one plan that become one job."""


def hosts(database: Database, plan_id: str, now: datetime, most: int = 0) -> dict[str, str]:
    """The hosts of a plan, and the ports at which each is to be looked at again; of at most `most` endpoints (0: all).

    Raises `NotFound` for a plan that there is not, or not any more.
    """
    ports: dict[str, dict[str, set[int]]] = {}
    for count, target in enumerate(_targets(database, plan_id, now)):
        if count >= (min(most, MOST) if most else MOST):
            break
        if target.protocol in ("tcp", "udp"):
            ports.setdefault(target.ip, {"tcp": set(), "udp": set()})[target.protocol].add(target.port)
    return {ip: str(Ports(compact(found["tcp"]), compact(found["udp"]))) for ip, found in ports.items()}


def _targets(database: Database, plan_id: str, now: datetime) -> Iterator[Target]:
    found = plans.find(database, plan_id, now)
    query, cursor = question(found[0].selectors, found[0].at), ""
    while True:
        page = plans.targets(database, found, query, cursor=cursor, limit=MAX_TARGETS)
        yield from page.targets
        cursor = page.next_cursor
        if not cursor:
            return


def question(selectors: Selectors, at: datetime) -> queries.Query:
    """The query that `selectors` say at `at`; raises `BadRequest` naming the field that is wrong."""
    filters = selectors.filters
    if selectors.common_port != "":
        filters["common_port"] = _numbers(str(selectors.common_port))
    return queries.parse(selectors.q, at, filters)


def _numbers(text: str) -> str:
    """Ports by number, or by the label they commonly have."""
    if _NUMERIC.fullmatch(text):
        return text
    found: list[str] = []
    for word in (part.strip().lower() for part in text.split(",")):
        if not word.isdecimal() and word not in _labels():
            near = queries.suggest(word, _labels())
            hint = f'Did you mean "{near}"?' if near else "Give its number, or another name."
            raise BadRequest(f"No common port is called {word[:40]!r}.", field="common_port", hint=hint)
        found += [word] if word.isdecimal() else _labels()[word]
    return ",".join(found)


@functools.cache
def _labels() -> dict[str, list[str]]:
    """The common ports by their label."""
    found: dict[str, set[int]] = {}
    for protocol in ("tcp", "udp", "sctp"):
        for port in range(65536):
            if name := label(port, protocol):
                found.setdefault(name.lower(), set()).add(port)
    return {name: [str(port) for port in sorted(ports)] for name, ports in found.items()}
