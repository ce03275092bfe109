"""The provenance chain as the API answers with it: its entries, and the proof of one."""

from __future__ import annotations

import msgspec


class ChainEntry(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An entry of the chain: `hash` = SHA-256(previous hash || entry || time), both hashes in hex. `at` is RFC 3339.

    `withheld`: it tells of what those with privileges did, and the caller may not read that: no subject, no text.
    """

    seq: int
    at: str
    kind: str
    hash: str
    previous: str
    subject: str = ""
    withheld: bool = False


class ChainPage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Entries, newest first; `next_cursor` (older ones) is left out on the last page."""

    entries: tuple[ChainEntry, ...]
    next_cursor: str = ""


class ChainProof(msgspec.Struct, frozen=True, kw_only=True):
    """An entry and whether it holds. `text` is what the hash is over, as stored, empty where it is withheld.

    `hashes`: previous hash, text and time hash to its hash; `follows`: its previous hash is that of the entry before;
    `followed`: the next entry's previous hash is its own, null for the newest.
    """

    entry: ChainEntry
    text: str
    hashes: bool
    follows: bool
    followed: bool | None
