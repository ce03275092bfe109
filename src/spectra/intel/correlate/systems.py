"""Operating systems: which CPE names contradict what was seen of a host's system."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from spectra.intel.correlate.rules import name_of
from spectra.intel.enrich.cpename import Cpe
from spectra.model.findings import Software
from spectra.model.observation import Service

_LINUX: Final = {
    "debian:debian_linux": "debian", "canonical:ubuntu_linux": "ubuntu", "ubuntu:linux": "ubuntu",
    "redhat:enterprise_linux": "rhel", "redhat:linux": "rhel", "centos:centos": "centos",
    "fedoraproject:fedora": "fedora", "opensuse:": "suse", "suse:": "suse", "novell:suse": "suse",
    "amazon:linux": "amazon", "alpinelinux:": "alpine", "oracle:linux": "oracle", "gentoo:linux": "gentoo",
    "mandriva:linux": "mandriva", "mandrakesoft:": "mandriva", "linux:linux": "",
}  # fmt: skip
"""How the names of Linux systems begin, and the distribution each is of."""


@lru_cache(maxsize=1 << 12)
def _linux(vendor: str, product: str) -> str | None:
    """The distribution of a name, "" for the kernel alone; None for what is no Linux."""
    name = f"{vendor}:{product}"
    return next((of for start, of in _LINUX.items() if name.startswith(start)), None)


def kernel(name: Cpe) -> str:
    """The kind of system a name is of: `linux`, `windows`, or for any other its product; "" for what is no system."""
    if name.part != "o":
        return ""
    if _linux(name.vendor, name.product) is not None:
        return "linux"
    if name.vendor == "microsoft" and name.product.startswith("windows"):
        return "windows"
    if name.vendor == "apple" and name.product.startswith(("mac_os", "macos")):
        return "macos"
    return name.product


_GENERAL: Final = frozenset({"linux", "windows", "macos", "freebsd", "openbsd", "netbsd", "sunos", "solaris"})


# What is built from another's sources is affected as that is.
_REBUILDS: Final = {"centos": "rhel", "rocky": "rhel", "alma": "rhel", "raspbian": "debian"}


def contradicts(software: Software, wanted: Cpe) -> bool:
    """Whether what was seen of the system rules `wanted` out: Windows where Linux runs, Fedora where Debian does."""
    kind = kernel(wanted)
    if not kind:
        return False
    names = [name for text in software.context if (name := name_of(text)) is not None]
    kinds = {kernel(name) for name in names} - {""}
    if software.distribution is not None:
        kinds.add("linux")
    if kind in _GENERAL and kinds & _GENERAL and kind not in kinds:
        return True
    if kind == "linux" and software.distribution is not None:
        of = _linux(wanted.vendor, wanted.product)
        return bool(of) and of != _REBUILDS.get(software.distribution.name, software.distribution.name)
    return False


_OS_WORDS: Final = (
    ("linux", "cpe:2.3:o:linux:linux_kernel:*:*:*:*:*:*:*:*"),
    ("windows", "cpe:2.3:o:microsoft:windows:*:*:*:*:*:*:*:*"),
    ("mac os", "cpe:2.3:o:apple:mac_os_x:*:*:*:*:*:*:*:*"),
    ("macos", "cpe:2.3:o:apple:macos:*:*:*:*:*:*:*:*"),
    ("freebsd", "cpe:2.3:o:freebsd:freebsd:*:*:*:*:*:*:*:*"),
    ("openbsd", "cpe:2.3:o:openbsd:openbsd:*:*:*:*:*:*:*:*"),
    ("netbsd", "cpe:2.3:o:netbsd:netbsd:*:*:*:*:*:*:*:*"),
    ("solaris", "cpe:2.3:o:sun:solaris:*:*:*:*:*:*:*:*"),
)


def context_of(service: Service) -> tuple[str, ...]:
    """Names of the system and device that `service` is known to run on, sorted."""
    found = {str(name) for text in service.cpe if (name := name_of(text)) is not None and name.part in ("o", "h")}
    text = service.os.lower()
    found.update(name for said, name in _OS_WORDS if said in text)
    return tuple(sorted(found))
