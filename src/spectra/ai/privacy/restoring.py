"""Pseudonyms and what they stand for, as models write them: in another case, defanged, within JSON, in pieces."""

from __future__ import annotations

import ipaddress
import json
import re
from typing import Final
from urllib.parse import unquote

from spectra.ai.privacy.matching import AHEAD, BEHIND, SHORTEST, Edge, Index, lowered

Back = dict[str, str]
"""Spellings of a pseudonym to what each stands for; the first counts for any other."""

_MAC: Final = re.compile(r"(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}", re.IGNORECASE)
_QUAD: Final = re.compile(r"\d+(?:\.\d+){3}", re.ASCII)


class Backs:
    """Every pseudonym that was given: `plain`, and as it stands within a JSON string."""

    def __init__(self) -> None:
        self.plain: Index[Back] = Index()
        self.json: Index[Back] = Index()
        self._given: set[str] = set()
        self._new: list[tuple[str, str, Edge]] = []
        self._bare: list[tuple[str, str, Edge]] = []

    def put(self, name: str, real: str, edge: Edge) -> None:
        """`name` stands for `real`. The same again changes nothing."""
        if name in self._given:
            return
        self._given.add(name)
        key = lowered(name)
        known = self.plain.get(key)
        if known is None:
            self.plain.put(key, edge, {name: real})
        elif name not in known:
            known[name] = real
        else:
            return
        self._new.append((name, real, edge))
        if "%" in name and (plain := unquote(name)) != name:  # what reads the escapes reads a pseudonym
            self.put(plain, unquote(real), edge)

    def widen(self) -> None:
        """Know them in `plain` also as models write them."""
        for name, real, edge in self._new:
            for other, meant in variants(name, real):
                _put(self.plain, other, meant, edge)
        self._bare += self._new
        self._new.clear()

    def widen_json(self) -> None:
        """Know them within JSON, too. Few answers need it."""
        self.widen()
        for name, real, edge in self._bare:
            for other, meant in ((name, real), *variants(name, real)):
                _put(self.json, escaped(other), escaped(meant), edge)
            if "/" in name:
                _put(self.json, name.replace("/", "\\/"), escaped(real), edge)
        self._bare.clear()

    def restore(self, text: str, index: Index[Back] | None = None) -> str:
        """`text` with what they stand for in their places."""
        made: list[str] = []
        end = 0
        for hit in (index or self.plain).hits(lowered(text)):
            made += (text[end : hit.start], meant(hit.item, text[hit.start : hit.end]))
            end = hit.end
        return "".join((*made, text[end:])) if made else text


def meant(back: Back, spelled: str) -> str:
    """What a pseudonym stands for, as it is spelled."""
    return back.get(spelled) or next(iter(back.values()))


def escaped(text: str) -> str:
    """`text` as it stands within a JSON string."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _put(index: Index[Back], name: str, real: str, edge: Edge) -> None:
    key = lowered(name)
    known = index.get(key)
    if known is None:
        index.put(key, edge, {name: real})
    else:
        known.setdefault(name, real)


def variants(name: str, real: str) -> list[tuple[str, str]]:
    """How models write `name`, too, and what they mean by it."""
    found: list[tuple[str, str]] = []
    if "_" in name:
        found.append((name.replace("_", "\\_"), real))
    if "-" in name and ":" not in name:
        found.append((name.replace("-", "\u2011"), real))
    if _MAC.fullmatch(name):
        found += [(_regrouped(name, by), _regrouped(real, by)) for by in (":", "-", ".")]
    elif ":" in name and "%" not in name:
        found += [(other, real) for other in _v6(name)]
    elif _QUAD.fullmatch(name) or name.lower().endswith(".invalid"):
        found.append((name.replace(".", "[.]"), real.replace(".", "[.]")))
        head, _, tail = name.rpartition(".")
        first, _, last = real.rpartition(".")
        found.append((f"{head}[.]{tail}", f"{first}[.]{last}"))
    return found


def _regrouped(mac: str, by: str) -> str:
    digits = re.sub(r"[^0-9a-fA-F]", "", mac)
    size = 4 if by == "." else 2
    return by.join(digits[at : at + size] for at in range(0, len(digits), size))


def _v6(name: str) -> list[str]:
    head, slash, length = name.partition("/")
    try:
        address = ipaddress.IPv6Address(head)
    except ValueError:
        return []
    return [f"{one}{slash}{length}" for one in (address.compressed, address.exploded) if one != head.lower()]


class Restorer:
    """Puts private values back into a text that comes in pieces. What may be the beginning of a pseudonym is held back,
    at most as long as the longest one and two characters.
    """

    def __init__(self, index: Index[Back]) -> None:
        self._index = index
        self._text = ""
        self._at = 0

    def feed(self, text: str) -> str:
        """What is certain by now of the text so far, without what was returned before."""
        return self._advanced(text, final=False)

    def end(self) -> str:
        """The rest."""
        return self._advanced("", final=True)

    def _advanced(self, more: str, *, final: bool) -> str:
        text = self._text = self._text + more
        low = lowered(text)
        made: list[str] = []
        at = copied = self._at
        while at < len(low):
            if not final and self._undecided(low, at):
                break
            hit = self._index.at(low, at)
            if hit:
                made += (text[copied:at], meant(hit.item, text[at : hit.end]))
                copied = hit.end
            at = hit.end if hit else at + 1
        made.append(text[copied:at])
        behind = max(0, at - BEHIND)
        self._text, self._at = text[behind:], at - behind
        return "".join(made)

    def _undecided(self, low: str, at: int) -> bool:
        """Whether what is yet to come tells if a pseudonym begins here, and where it ends."""
        rest = len(low) - at
        if rest >= self._index.longest + AHEAD:
            return False
        if rest <= self._index.longest and self._index.begins(low[at:]):
            return True
        return rest >= SHORTEST and self._index.may_end(low, at, len(low) - AHEAD)
