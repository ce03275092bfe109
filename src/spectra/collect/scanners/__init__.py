"""Scanners: one file per tool behind the small contract of `base`; `choose` picks one and `run` uses it."""

from spectra.collect.scanners.base import (
    NotInstalled,
    Progress,
    RawOutput,
    ScanFailed,
    Scanner,
    ScanRequest,
    UnknownScanner,
)
from spectra.collect.scanners.choose import NAMES, choose, choose_of, installed, run

__all__ = [
    "NAMES",
    "NotInstalled",
    "Progress",
    "RawOutput",
    "ScanFailed",
    "ScanRequest",
    "Scanner",
    "UnknownScanner",
    "choose",
    "choose_of",
    "installed",
    "run",
]
