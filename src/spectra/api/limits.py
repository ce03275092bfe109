"""How often a caller may ask: dependencies beside `scope(...)`."""

from __future__ import annotations

import ipaddress
from typing import Final

from fastapi import Request
from fastapi.params import Depends as DependsMarker

from spectra.api.auth import ServicesDep, caller_of
from spectra.api.guard import address_of

_HERE: Final = ipaddress.ip_address("127.0.0.1")  # a caller without an address came over a local socket


def limited(kind: str) -> DependsMarker:
    """A dependency, after `scope(...)`, that lets an account ask for `kind` as often as `limits` says."""

    def check(request: Request, services: ServicesDep) -> None:
        caller = caller_of(request)
        services.limits.account(kind, caller.contributor, caller.role)

    return DependsMarker(check)


def limited_source(kind: str) -> DependsMarker:
    """The same for routes without a token: by the network that the request comes from, and in total."""

    def check(request: Request, services: ServicesDep) -> None:
        services.limits.source(kind, address_of(request) or _HERE)

    return DependsMarker(check)
