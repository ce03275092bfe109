"""What a report is on, from what a person wrote: an address, a network, a name, or a query."""

from __future__ import annotations

import ipaddress
import re
from datetime import datetime
from typing import Final

from spectra.errors import BadRequest
from spectra.model.findingrecords import read_address
from spectra.model.query import format_query, parse
from spectra.model.summaries import Target, TargetKind

_NAME: Final = re.compile(
    r"(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9-]{2,63}\.?", re.IGNORECASE
)


def read(text: str, now: datetime, kind: TargetKind | str = "") -> Target:
    """The target that `text` names, as `kind` if one is given. Raises `BadRequest` naming `target`, or the query's
    own.
    """
    text = text.strip()
    if kind in ("", "ip") and (address := read_address(text)):
        return Target("ip", address)
    if kind == "ip":
        raise BadRequest(f"{text[:80]!r} is not an IP address.", field="target")
    if kind == "host" or (not kind and _NAME.fullmatch(text)):
        return Target("host", text.lower().rstrip("."))
    if not kind and (network := _network(text)):
        return Target("query", f"net:{network}")
    return Target("query", format_query(parse(text, now)))


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text, strict=False)) if "/" in text else ""
    except ValueError:
        return ""
