"""Alerts of CrowdSec as its local API lists them (`cscli alerts list -o json`, `GET /v1/alerts`), or one a line.

Fields are those of CrowdSec's `models.Alert`; what an alert needs to be understood is scenario, source and time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from spectra.ai.agents.logs.lines import MAX_BYTES, Log, address, iso_time, numbered
from spectra.errors import BadRequest

MAX_ALERTS: Final = 50_000
MAX_EVENTS: Final = 200  # of an alert that are looked at
MAX_TEXT: Final = 200


class Alert(NamedTuple):
    """An alert. `ip` is the source's address where it has one, else empty and `source` says what it is.

    `events` is how many it counted, between `start` and `stop`. `targets` are what its events name: users, services,
    addresses that were asked. `banned`: None where the alert does not tell of decisions.
    """

    scenario: str
    ip: str
    source: str
    start: datetime | None
    stop: datetime | None
    events: int
    line: int
    network: str = ""
    asn: str = ""
    country: str = ""
    machine: str = ""
    users: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    banned: bool | None = None
    simulated: bool = False


class _Source(msgspec.Struct):
    ip: str = ""
    value: str = ""
    scope: str = ""
    range: str = ""
    as_number: str = ""
    cn: str = ""


class _Meta(msgspec.Struct):
    key: str = ""
    value: str = ""


class _Event(msgspec.Struct):
    meta: list[_Meta] | None = None
    timestamp: str = ""


class _Decision(msgspec.Struct):
    type: str = ""


class _Alert(msgspec.Struct):
    scenario: str
    source: _Source
    start_at: str = ""
    stop_at: str = ""
    created_at: str = ""
    events_count: int = 0
    machine_id: str = ""
    simulated: bool = False
    events: list[_Event] | None = None
    Events: list[_Event] | None = None  # as older ones spell it
    decisions: list[_Decision] | None = None


_DESTINATIONS: Final = ("target_ip", "dest_ip", "destination_ip", "dst_ip")


def read(raw: bytes, now: datetime) -> Log[Alert]:
    """The alerts of a list or of lines, in order; `line` is the number in the list, from 1.

    Raises `BadRequest` (field `body`) where it is neither, or where none of many is an alert.
    """
    del now  # alerts tell the year
    found: list[Alert] = []
    total = skipped = 0
    for number, item in enumerate(_items(raw), 1):
        total += 1
        if total > MAX_ALERTS:
            raise BadRequest(f"There are more than {MAX_ALERTS} alerts.", reason="too_large", field="body")
        try:
            found.append(_alert(msgspec.convert(item, _Alert, strict=False), number))
        except (ValueError, RecursionError):
            skipped += 1
    if total and not found:
        raise _unknown()
    return Log(tuple(found), total, skipped, "crowdsec")


def _items(raw: bytes) -> Iterable[Any]:
    if len(raw) > MAX_BYTES:
        raise BadRequest(f"The alerts have more than {MAX_BYTES} bytes.", reason="too_large", field="body")
    try:
        if not raw.lstrip().startswith(b"{"):
            return msgspec.json.decode(raw, type=list[Any])
        return list(_lines(raw))
    except (ValueError, RecursionError) as error:
        raise _unknown() from error


def _lines(raw: bytes) -> Iterator[Any]:
    """One alert, or one a line."""
    try:
        yield msgspec.json.decode(raw)
    except ValueError:
        for _, text in numbered(raw):
            yield msgspec.json.decode(text)


def _unknown() -> BadRequest:
    return BadRequest(
        "These are no alerts of CrowdSec.",
        reason="unknown_format",
        field="body",
        hint="`cscli alerts list -o json` writes them.",
    )


def _alert(told: _Alert, number: int) -> Alert:
    events = [*(told.events or []), *(told.Events or [])][:MAX_EVENTS]
    metas = [{meta.key.lower(): meta.value[:MAX_TEXT] for meta in event.meta or []} for event in events]
    start = iso_time(told.start_at) or iso_time(told.created_at) or _first_time(events)
    return Alert(
        scenario=told.scenario[:MAX_TEXT],
        ip=address(told.source.ip) or address(told.source.value),
        source=(told.source.value or told.source.ip)[:MAX_TEXT],
        start=start,
        stop=iso_time(told.stop_at) or start,
        events=max(told.events_count, len(events), 1),
        line=number,
        network=told.source.range[:MAX_TEXT],
        asn=told.source.as_number[:20],
        country=told.source.cn[:20],
        machine=told.machine_id[:MAX_TEXT],
        users=_each(metas, ("target_user", "username")),
        services=_each(metas, ("service",)),
        targets=tuple(filter(None, (address(text) for text in _each(metas, _DESTINATIONS)))),
        banned=None if told.decisions is None else any(d.type in ("ban", "captcha") for d in told.decisions),
        simulated=told.simulated,
    )


def _first_time(events: list[_Event]) -> datetime | None:
    return next((at for event in events if (at := iso_time(event.timestamp))), None)


def _each(metas: list[dict[str, str]], keys: tuple[str, ...]) -> tuple[str, ...]:
    """The values of these keys, each once."""
    return tuple(dict.fromkeys(value for meta in metas for key in keys if (value := meta.get(key, ""))))
