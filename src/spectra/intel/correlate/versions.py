"""How versions compare.

One order serves products whose versions are written as numbers, letters and words: parts are compared from the left,
numbers as numbers, and what is missing counts as zero. Words that announce a release (`rc`, `beta` ...) come before
it, whatever else stands behind a number comes after it (`1.0.2k`, `7.9p1`, `9.10.3-P4`, `20.0 update 3`).

Sources: semver.org 2.0.0 item 11 for pre-releases, PEP 440 for `a1`, `b2`, `c1`, OpenSSL's and ISC's release notes for
letters and patches, the Debian Policy Manual 5.6.12 for epochs and revisions.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

Key = tuple[tuple[int, int, str], ...]
"""A version taken apart; keys compare as their versions do."""

_MAX: Final = 200  # characters that are read
_LEADING_V: Final = re.compile(r"^\s*v(?=\d)")
_TOKEN: Final = re.compile(r"\d+|[a-z]+")
_BEFORE: Final = {
    "dev": 0, "snapshot": 0, "nightly": 0, "git": 0, "svn": 0, "cvs": 0,
    "pre": 1, "preview": 1, "prerelease": 1, "ea": 1, "ctp": 1, "tp": 1, "dp": 1,
    "alpha": 2, "a": 2, "milestone": 3, "m": 3, "beta": 4, "b": 4, "c": 5, "cr": 5, "rc": 5, "candidate": 5,
}  # fmt: skip
# VMware's patches: 650-202102001 is a build of 6.5.
_PATCH_BUILD: Final = re.compile(r"(\d)(\d)(\d)-(20\d{5,})\b")
_ONLY_WITH_NUMBER: Final = frozenset({"a", "b", "c", "m"})  # alone they are letters of releases: 1.0.2a
# Words that say nothing: the release itself.
_RELEASE: Final = frozenset({"final", "ga", "release", "stable", "lts"})
# One patch under several names.
_AFTER: Final = {"patch": "p", "pl": "p", "patchlevel": "p", "update": "u", "upd": "u", "servicepack": "sp"}

_WORD, _END, _LETTER, _NUMBER = 0, 1, 2, 3
_ZERO: Final = (_NUMBER, 0, "")


@lru_cache(maxsize=1 << 16)
def key(version: str) -> Key:
    """`version` taken apart; an empty key where it holds neither a number nor a word."""
    text = version[:_MAX].lower().replace("\\", "").partition("+")[0]  # semver's build says nothing of the order
    text = _LEADING_V.sub("", text)
    text = _PATCH_BUILD.sub(r"\1.\2.\3.\4", text)
    tokens: list[str] = _TOKEN.findall(text)
    parts: list[tuple[int, int, str]] = []
    for i, token in enumerate(tokens):
        if token.isdecimal():
            parts.append((_NUMBER, int(token[:18]), ""))
            continue
        follows = i + 1 < len(tokens) and tokens[i + 1].isdecimal()
        if token in _RELEASE:
            continue
        if token in _BEFORE and (follows or token not in _ONLY_WITH_NUMBER):
            parts.append((_WORD, _BEFORE[token], ""))
        else:
            parts.append((_LETTER, 0, _AFTER.get(token, token)))
    while len(parts) > 1 and parts[-1] == _ZERO:
        parts.pop()
    return tuple(parts)


def compare(one: str, other: str) -> int:
    """-1, 0 or 1: `one` comes before, is, or comes after `other`."""
    return compare_keys(key(one), key(other))


def compare_keys(one: Key, other: Key) -> int:
    """As `compare`, of versions that were taken apart."""
    for i in range(max(len(one), len(other))):
        a, b = _at(one, i), _at(other, i)
        if a == b:
            continue
        # 1.2 against 1.2.0: nothing is a zero before a number, and the end of the version before anything else.
        if a[0] == _END and b[0] == _NUMBER:
            a = _ZERO
        elif b[0] == _END and a[0] == _NUMBER:
            b = _ZERO
        if a != b:
            return -1 if a < b else 1
    return 0


def _at(parts: Key, i: int) -> tuple[int, int, str]:
    return parts[i] if i < len(parts) else (_END, 0, "")


def joined(version: str, update: str) -> str:
    """A version with the update that a CPE name keeps apart: `9.2` and `p1` are `9.2 p1`; `*` and `-` are none."""
    return version if update in ("*", "-", "") else f"{version} {update}"
