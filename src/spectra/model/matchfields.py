"""The fields of a match by name, as CSV and `--fields` have them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from spectra.model.records import Match

Get = Callable[["Match"], object]

FIELDS: Final[dict[str, Get]] = {
    "ip": lambda m: m.ip,
    "port": lambda m: m.port,
    "protocol": lambda m: m.protocol,
    "state": lambda m: m.state,
    "service": lambda m: m.service + ("/tls" if m.tunnel else ""),
    "product": lambda m: m.product,
    "version": lambda m: m.version,
    "extra": lambda m: m.extra,
    "tunnel": lambda m: m.tunnel,
    "findings": lambda m: m.findings,
    "worst": lambda m: m.worst,
    "title": lambda m: m.title,
    "banner": lambda m: m.banner,
    "certificate_cn": lambda m: m.certificate_cn,
    "hostnames": lambda m: m.hostnames,
    "asn": lambda m: m.place and m.place.asn,
    "org": lambda m: m.place and m.place.org,
    "country": lambda m: m.place and m.place.country,
    "region": lambda m: m.place and m.place.region,
    "city": lambda m: m.place and m.place.city,
    "cloud": lambda m: m.place and m.place.cloud,
    "sole": lambda m: m.sole,
    "first_seen": lambda m: m.first_seen,
    "last_seen": lambda m: m.last_seen,
}
"""In the order of the columns of a CSV file."""

FURTHER: Final[dict[str, Get]] = {
    "cloud_service": lambda m: m.place and m.place.cloud_service,
    "cloud_region": lambda m: m.place and m.place.cloud_region,
    "latitude": lambda m: m.place and m.place.latitude,
    "longitude": lambda m: m.place and m.place.longitude,
    "os": lambda m: m.os,
    "device": lambda m: m.device,
    "cpe": lambda m: m.cpe23 or m.cpe,
}
"""What is only there where it is asked for by name."""
