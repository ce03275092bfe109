"""Words as they count in texts about weaknesses: stemmed lightly, without those that say nothing."""

from __future__ import annotations

import re
from typing import Final

_ENGLISH: Final = """
a about above after again against all also although am an and any are as at be because been before being below between
both but by can could did do does doing down during each either etc even few for from further had has have having he
her here hers him his how however i if in into is it its itself just like may me might more most must my no nor not
now of off on once one only or other our out over own per same she should so some such than that the their them then
there these they this those through thus to too two under until up upon us very was we were what when where whether
which while who whom why will with within without would you your
"""
# What nearly every text about a weakness says.
_OF_THE_TRADE: Final = """
advisory affect affected affects aka allow allowed allowing allows already attack attacker attackers attacks
available based cause caused causes certain class classified component containing contain contains could crafted
critical cve described description detail details discovered disclosed due enable exist existed exists exploit
exploitable exploited exploiting fix fixed fixes flaw flaws following found function functionality handle handling
identified identifier impact impacted include included includes including info initiated issue issues known launch
launched lead leading leads malicious make manipulation mechanism n/a note occur occurs patch patched patches possible
potential potentially present prior problem product products properly public publicly rated related release released
remain resolve resolved result resulting results security set several some specially specific specified successful
successfully suffer system systems tag thereby unspecified update updated upgrade upgrading use used user users using
value various vdb vector vectors version versions via victim vulnerabilities vulnerability vulnerable wa way
"""
STOP: Final = frozenset((_ENGLISH + _OF_THE_TRADE).split())

_CVE: Final = re.compile(r"cve-\d{4}-\d+")
_VOWEL: Final = re.compile(r"[aeiouy]")


def stem(word: str) -> str:
    """What a word (lower case) counts as; "" for a stop word, a number, a letter or a CVE id.

    Plurals, `-ing`, `-ed` and `-ly` go, as in the first steps of Porter's algorithm (1980), so that `overflows`,
    `overflowing` and `overflow` are one; derived words stay apart.
    """
    if len(word) < 2 or word in STOP or not any(c.isalpha() for c in word) or _CVE.fullmatch(word):
        return ""
    if not word.isascii() or not word.isalpha() or len(word) < 4:
        return word
    word = _singular(word)
    for ending in ("ing", "ed", "ly"):
        rest = word.removesuffix(ending)
        if rest != word and len(rest) > 2 and _VOWEL.search(rest):
            return _mended(rest)
    return word.removesuffix("e") if len(word) > 4 else word


def _singular(word: str) -> str:
    if word.endswith(("ss", "us", "is")) or not word.endswith("s"):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes")):
        return word[:-2]
    return word[:-1]


def _mended(rest: str) -> str:
    """`running` was `run`, `filled` was `fill`; a last e goes as it goes everywhere."""
    if len(rest) > 3 and rest[-1] == rest[-2] and rest[-1] not in "lsz":
        return rest[:-1]
    return rest.removesuffix("e") if len(rest) > 4 else rest
