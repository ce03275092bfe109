"""Matches as a STIX 2.1 bundle (OASIS Standard, https://docs.oasis-open.org/cti/stix/v2.1/os/stix-v2.1-os.html).

Of a host: its address, names, software and open ports as cyber-observables (section 6), `observed-data` (4.14) that
says when they were seen, and an `infrastructure` (4.8) that consists of them and has its vulnerabilities (4.19). Ids
follow from what an object is, so that the same host is the same object in every bundle: those of observables as section
2.9 has it, those of others in a namespace of our own, as that section asks. Names that are none of the domain name
system (6.4), such as `printer_2`, are aliases of the host.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import idna

from spectra.model.safe import safe_json

if TYPE_CHECKING:
    from spectra.model.records import Match

Thing = dict[str, Any]

_OBSERVABLES: Final = uuid.UUID("00abedb4-aa42-466c-9c01-fed23315a9b7")  # section 2.9
_OURS: Final = uuid.UUID("5b9d1b7e-6a44-5f0c-9a4e-6d3cf2c1a1d8")
MAX_CVES: Final = 200
"""Weaknesses that are told of one endpoint."""


class Seen(NamedTuple):
    """An endpoint, and the CVE ids of its open findings."""

    match: Match
    cves: tuple[str, ...] = ()


def bundle(seen: Iterable[Seen], query: str, now: datetime) -> Iterator[str]:
    """The text of a bundle, piece by piece; what is seen has to come in order of address."""
    name = uuid.uuid5(_OURS, f"bundle|{query}|{_stamp(now)}")
    yield f'{{"type":"bundle","id":"bundle--{name}","objects":['
    told: set[str] = set()
    first = True
    for _, group in groupby(seen, key=lambda one: one.match.ip):
        for thing in _host(list(group)):
            if thing["id"] in told:
                continue
            told.add(thing["id"])
            line = safe_json(json.dumps(thing, ensure_ascii=False, separators=(",", ":")))
            yield f"\n{line}" if first else f",\n{line}"
            first = False
    yield "\n]}\n"


def _host(seen: list[Seen]) -> Iterator[Thing]:
    """Everything about one host; what others have too is there again, with the same id."""
    ip = seen[0].match.ip
    began = min(one.match.first_seen for one in seen)
    ended = max(one.match.last_seen for one in seen)
    family = "ipv6" if ":" in ip else "ipv4"
    address = _observable(f"{family}-addr", {"value": ip})
    called = list(dict.fromkeys(seen[0].match.hostnames))
    aliases = [name for name in called if not _is_domain(name)]
    host = _object("infrastructure", ip, began, name=ip, **({"aliases": aliases} if aliases else {}))
    parts = [address, *_of_endpoints(seen, address["id"], family)]
    names = [_observable("domain-name", {"value": name}) for name in called if name not in aliases]
    yield from _once([*parts, *names])
    observed = {"first_observed": _stamp(began), "last_observed": _stamp(ended), "number_observed": 1}
    refs = list(dict.fromkeys(part["id"] for part in [*parts, *names]))
    yield _object("observed-data", f"{ip}|{_stamp(ended)}", ended, **observed, object_refs=refs)
    yield host
    for part in _once(parts):
        yield _relation(host["id"], "consists-of", part["id"], began)
    for name in names:
        yield _relation(name["id"], "resolves-to", address["id"], began)
    for cve in dict.fromkeys(cve for one in seen for cve in one.cves):
        weakness = _weakness(cve)
        yield weakness
        yield _relation(host["id"], "has", weakness["id"], began)


def _is_domain(name: str) -> bool:
    """Whether a name conforms to RFC 1034 and its labels to RFC 5890, as section 6.4 asks."""
    try:
        idna.encode(name)
    except UnicodeError:
        return False
    return True


def _of_endpoints(seen: list[Seen], address: str, family: str) -> Iterator[Thing]:
    for one in seen:
        match = one.match
        layers = [
            family,
            match.protocol,
            *(["tls"] if match.tunnel else []),
            *([match.service.lower()] if match.service else []),
        ]
        yield _observable(
            "network-traffic", {"dst_ref": address, "dst_port": match.port, "protocols": list(dict.fromkeys(layers))}
        )
        if match.product:
            yield _software(match)


def _software(match: Match) -> Thing:
    """By the name that was told, with its CPE 2.3 name if there is one."""
    about: Thing = {"name": match.product}
    cpe = next((name for name in match.cpe23 if name.startswith("cpe:2.3:")), "")
    if cpe:
        about["cpe"] = cpe
    if match.version:
        about["version"] = match.version
    return _observable("software", about)


def _weakness(cve: str) -> Thing:
    """Dated by the year of its id: an object is created once, whoever exports it and when."""
    year = cve.split("-")[1] if cve.count("-") >= 2 and cve.split("-")[1].isdigit() else "1999"
    at = datetime(max(int(year), 1999), 1, 1, tzinfo=UTC)
    reference = {"source_name": "cve", "external_id": cve}
    return _object("vulnerability", cve, at, name=cve, external_references=[reference])


def _observable(kind: str, about: Thing) -> Thing:
    """An object whose id follows from all that is said about it, as canonical JSON (RFC 8785)."""
    canonical = json.dumps(about, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return {"type": kind, "spec_version": "2.1", "id": f"{kind}--{uuid.uuid5(_OBSERVABLES, canonical)}", **about}


def _object(kind: str, key: str, at: datetime, **about: object) -> Thing:
    stamp = _stamp(at)
    name = f"{kind}--{uuid.uuid5(_OURS, f'{kind}|{key}')}"
    return {"type": kind, "spec_version": "2.1", "id": name, "created": stamp, "modified": stamp, **about}


def _relation(source: str, word: str, target: str, at: datetime) -> Thing:
    about = {"relationship_type": word, "source_ref": source, "target_ref": target}
    return _object("relationship", f"{source}|{word}|{target}", at, **about)


def _once(things: Iterable[Thing]) -> Iterator[Thing]:
    yield from {thing["id"]: thing for thing in things}.values()


def _stamp(at: datetime) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"
