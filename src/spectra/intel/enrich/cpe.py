"""CPE names of services, in the 2.3 form."""

from __future__ import annotations

from spectra.model.observation import Service


def cpe23(service: Service) -> tuple[str, ...]:
    """The CPE 2.3 names of a service, sorted: its tool's own, else those its product surely means, else ()."""
    raise NotImplementedError
