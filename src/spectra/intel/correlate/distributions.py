"""Whose build a service is, told from its version and what stands around it.

Distributions repair weaknesses without changing the version that a service says (backports), so a version of theirs is
not the upstream version that a CVE means. What tells them: the words of a banner (`(CentOS)`, `Ubuntu`), and the
revisions they append: `9.18.1-1ubuntu1.2`, `7.88.1-11+deb12u10`, `2.4.37-43.el8_5.0`, `1.24.0-r15`.
"""

from __future__ import annotations

import re
from typing import Final

from spectra.model.findings import Distribution

_WORDS: Final = (
    ("ubuntu", re.compile(r"(?<![a-z])ubuntu(?![a-z])", re.IGNORECASE)),
    ("raspbian", re.compile(r"\braspbian\b", re.IGNORECASE)),
    ("debian", re.compile(r"\bdebian\b|\+deb\d|~bpo\d|[-+~.]deb\d+u\d", re.IGNORECASE)),
    ("centos", re.compile(r"\bcentos\b", re.IGNORECASE)),
    ("rocky", re.compile(r"\brocky(?: linux)?\b", re.IGNORECASE)),
    ("alma", re.compile(r"\balmalinux\b", re.IGNORECASE)),
    ("rhel", re.compile(r"\bred ?hat\b|\brhel\b|\.el\d|\benterprise linux\b", re.IGNORECASE)),
    ("fedora", re.compile(r"\bfedora\b|\.fc\d\d", re.IGNORECASE)),
    ("amazon", re.compile(r"\bamazon linux\b|\.amzn\d|\bamzn\d?\b", re.IGNORECASE)),
    ("suse", re.compile(r"\b(?:open)?suse\b|\bsles\b", re.IGNORECASE)),
    ("alpine", re.compile(r"\balpine\b|\d-r\d+$", re.IGNORECASE)),
    ("gentoo", re.compile(r"\bgentoo\b", re.IGNORECASE)),
)
_RELEASE: Final = (
    re.compile(r"deb(\d{1,2})(?:u\d+)?\b", re.IGNORECASE),
    re.compile(r"\.el(\d{1,2}(?:_\d+)?)", re.IGNORECASE),
    re.compile(r"\.fc(\d\d)\b", re.IGNORECASE),
    re.compile(r"ubuntu0?\.(\d\d\.\d\d)\b", re.IGNORECASE),
    re.compile(r"\b(?:debian|ubuntu|rhel|centos|rocky|alpine|red ?hat)[ _-]v?(\d{1,2}(?:\.\d{1,2})?)\b", re.IGNORECASE),
)
_NAMED: Final = {
    "buster": ("debian", "10"), "bullseye": ("debian", "11"), "bookworm": ("debian", "12"), "trixie": ("debian", "13"),
    "stretch": ("debian", "9"), "jessie": ("debian", "8"), "wheezy": ("debian", "7"), "trusty": ("ubuntu", "14.04"),
    "xenial": ("ubuntu", "16.04"), "bionic": ("ubuntu", "18.04"), "focal": ("ubuntu", "20.04"),
    "jammy": ("ubuntu", "22.04"), "noble": ("ubuntu", "24.04"),
}  # fmt: skip
_CODENAME: Final = re.compile(rf"\b({'|'.join(_NAMED)})\b")
# Upstream version, and what was appended: an epoch before it is the package's too.
_REVISION: Final = re.compile(
    r"""(?:\d{1,3}:)?(?P<upstream>\d[\w.~]*?(?:\+(?!deb)[\w.]+)?)
        -(?P<revision>\d[\w.]*(?:[+~][\w.+~]*)?(?:ubuntu|deb|build|el|fc|amzn|bpo|\+|~)?[\w.+~]*|r\d+)$""",
    re.VERBOSE | re.IGNORECASE,
)


def distribution(*said: str) -> Distribution | None:
    """The distribution that speaks from `said` (a version first, then whatever stands around it); None for none."""
    text = " ".join(part.replace("_", " ") for part in said if part)
    name = next((name for name, pattern in _WORDS if pattern.search(text) or pattern.search(said[0])), "")
    release = ""
    if codename := _CODENAME.search(text.lower()):
        of, release = _NAMED[codename[1]]
        name = name or of
    if not name:
        return None
    release = release or next((found[1] for p in _RELEASE for part in (*said, text) if (found := p.search(part))), "")
    version, revision = split(said[0])
    return (
        Distribution(name, release.replace("_", "."), said[0] if revision else "", revision)
        if version
        else (Distribution(name, release))
    )


def split(version: str) -> tuple[str, str]:
    """Upstream version and revision of a package's version: `9.18.1` and `1ubuntu1.2`. Without revision, itself."""
    found = _REVISION.fullmatch(version.split(" ", maxsplit=1)[0]) if version else None
    return (found["upstream"], found["revision"]) if found else (version, "")
