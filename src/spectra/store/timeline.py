"""The life of one endpoint: a fold from looks at it, in order of time, to the versions it went through.

Pure, and the definition of history: the fast path of `store.graph` does one step of this fold in SQL, the late path
runs it whole over the log, and `tests/store/test_history.py` holds both against each other.

What a look does not say is not a change: a port scan that found 80/tcp open confirms the nginx that an earlier
service scan identified there. Unknown becoming known does start a version, since the earlier look did not claim it.

Contradictions are weighed by trust. A look that is trusted less than `TRUSTED`, and less than whoever confirmed the
version it contradicts, does not end that version while it is fresh (`HOLD`): it is held as a doubt. A second
contributor who contradicts it too, trusted or not, ends it. Until then the doubt is part of the version, as is the
`sole` contributor of a version that only one untrusted contributor claims.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final, NamedTuple
from uuid import UUID

OPEN = "o"
LETTER = {"open": "o", "closed": "c", "filtered": "f"}
STATE = {letter: state for state, letter in LETTER.items()}
PROTOCOL_NUMBER = {"tcp": 6, "udp": 17, "sctp": 132}
PROTOCOL_NAME = {number: name for name, number in PROTOCOL_NUMBER.items()}


TRUSTED: Final = 0.5
"""Who is trusted less than this does not overrule others alone."""
HOLD: Final = timedelta(days=7)
"""How long after its last confirmation a version is held against a look that is trusted less."""

_UNSAID: Final = UUID(int=0)


class Look(NamedTuple):
    """One observation of an endpoint; None means that the observation did not say."""

    at: datetime
    tie: bytes  # observation id: orders looks of the same instant the same way on every machine
    state: str
    service: UUID | None = None
    certificate: UUID | None = None
    banner: UUID | None = None
    trust: float = 1.0
    by: str = ""  # the contributor; empty: several at one instant


class Version(NamedTuple):
    """A stretch in which nothing changed: `since` its first look, `confirmed` its last.

    `trust` is that of the most trusted who saw it; `sole` the only contributor who did, if untrusted; `doubt` the
    untrusted contributor whose contradiction is held.
    """

    state: str
    service: UUID | None
    certificate: UUID | None
    banner: UUID | None
    since: datetime
    confirmed: datetime
    trust: float = 1.0
    sole: str = ""
    doubt: str = ""


def step(current: Version | None, look: Look) -> tuple[Version | None, bool]:
    """The version after `look`, and whether it is a new one. Life begins when an endpoint is first seen open."""
    if current is None:
        return (_begin(look, look.service, look.certificate), True) if look.state == OPEN else (None, False)
    carry = look.state == OPEN == current.state
    service = (look.service or current.service) if carry else look.service
    certificate = (look.certificate or current.certificate) if carry else look.certificate
    if (look.state, service, certificate) != (current.state, current.service, current.certificate):
        if _held(current, look):
            return current._replace(doubt=look.by), False
        return _begin(look, service, certificate), True
    trust = max(current.trust, look.trust)
    sole = current.sole if trust < TRUSTED and current.sole == look.by else ""
    banner = look.banner or current.banner
    return current._replace(confirmed=look.at, banner=banner, trust=trust, sole=sole, doubt=""), False


def _held(current: Version, look: Look) -> bool:
    """Whether `look`, which contradicts `current`, is too weak to end it."""
    weak = look.trust < TRUSTED and look.trust < current.trust
    return weak and look.at - current.confirmed <= HOLD and look.by != "" and current.doubt in ("", look.by)


def fold(looks: Iterable[Look], seed: Version | None = None) -> list[Version]:
    """All versions of an endpoint, oldest first, whatever the order of `looks`.

    `seed` is the version before them; the first of them has to begin another one.
    """
    versions: list[Version] = []
    for _, same in groupby(sorted(looks, key=_order), key=lambda look: look.at):
        version, fresh = step(versions[-1] if versions else seed, _as_one(list(same)))
        if version is None:
            continue
        if fresh:
            versions.append(version)
        else:
            versions[-1] = version
    return versions


def _order(look: Look) -> tuple[object, ...]:
    ids = (look.service or _UNSAID, look.certificate or _UNSAID, look.banner or _UNSAID)
    return look.at, look.tie, look.state, *ids, look.trust, look.by


def _as_one(looks: list[Look]) -> Look:
    """The looks of one instant as one, so that no version has length zero: trusted ones outweigh, then open ones; the
    last tie speaks first, and what it left unsaid the others say.
    """
    heard = [look for look in looks if look.trust >= TRUSTED] or looks
    last = heard[-1]
    if len(heard) == 1:
        return last
    state = OPEN if any(look.state == OPEN for look in heard) else last.state
    agreed = [look for look in heard if look.state == state]
    by = {look.by for look in agreed}
    one = Look(last.at, last.tie, state, trust=max(look.trust for look in agreed), by=by.pop() if len(by) == 1 else "")
    for look in reversed(agreed):
        one = one._replace(
            service=one.service or look.service,
            certificate=one.certificate or look.certificate,
            banner=one.banner or look.banner,
        )
    return one


def _begin(look: Look, service: UUID | None, certificate: UUID | None) -> Version:
    sole = look.by if look.trust < TRUSTED else ""
    return Version(look.state, service, certificate, look.banner, look.at, look.at, look.trust, sole)
