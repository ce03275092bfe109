"""Findings: what a service is, by the names of its software, and which weaknesses it therefore has, and why."""

from __future__ import annotations

import hashlib
from typing import Final, Literal

import msgspec

from spectra.model.vulns import Product

Patched = Literal["", "possibly"]

SURE: Final = 0.8
"""Confidence from which a finding is `confirmed` by what was seen; below `LIKELY` it is only `possible`."""
LIKELY: Final = 0.5


class Identity(msgspec.Struct, frozen=True, omit_defaults=True):
    """One CPE 2.3 name of the software, how sure that is (0..1), and in words how it was found out."""

    cpe: str
    confidence: float
    how: str


class Distribution(msgspec.Struct, frozen=True, omit_defaults=True):
    """The distribution whose package it is: its id (`debian`, `ubuntu`, `rhel`, `centos` ...), its release if known,
    the package's version as it says, and that part of it that the distribution appended (its revision).
    """

    name: str
    release: str = ""
    version: str = ""
    revision: str = ""


class Software(msgspec.Struct, frozen=True, omit_defaults=True):
    """What runs there: names of the software, most certain first; names of what it is known to run on; and whose build
    it is. Distinct services with equal software are looked up once.
    """

    identities: tuple[Identity, ...] = ()
    context: tuple[str, ...] = ()
    distribution: Distribution | None = None

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 over every field."""
        return hashlib.sha256(msgspec.json.encode(self)).digest()


class Affected(msgspec.Struct, frozen=True, omit_defaults=True):
    """`AFFECTED_BY`: why a CVE concerns a software.

    `cpe` is the software's name that matched, `criterion` the source's, `range` its bounds in words (`>= 8.5p1,
    < 9.8p1`; empty where the name itself tells the version), `source` who says so. `requires` are names that have to be
    beside it and were not seen. `patched` is `possibly` where a distribution may have repaired this version.
    `intel.correlate.sentence` says all of it in words.
    """

    cve: str
    product: Product
    cpe: str
    criterion: str
    range: str
    source: str
    confidence: float
    patched: Patched = ""
    requires: tuple[str, ...] = ()
