"""The statement of insights that a coordinator signs: building it and reading it back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

import msgspec

from spectra.identity import dsse
from spectra.identity.errors import IdentityError
from spectra.identity.keys import SigningKey
from spectra.identity.strict import parse, require_canonical, require_plain, require_utc, to_utc
from spectra.model.envelope import canonical
from spectra.model.insights import INSIGHTS_TYPE, Agent, Insight, Statement, insight_id

MAX_STATEMENT_BYTES: Final = 16 * 1024 * 1024
"""Most bytes of a statement's envelope."""

_decoder: Final = msgspec.json.Decoder(Statement)


def build(*, agent: Agent, insights: Sequence[Insight], now: datetime, read: str = "") -> Statement:
    """What one run of an agent concluded, ready to be signed. `read`: SHA-256 of what it was given.

    Raises `IdentityError` naming a field that the gate would refuse.
    """
    issued = to_utc(now, field="now")
    statement = Statement(version=1, agent=agent, issued=issued, read=read, insights=tuple(insights))
    decode(canonical(statement))  # the gate's own rules on every field
    return statement


def sign(key: SigningKey, statement: Statement) -> bytes:
    """The envelope of a statement (JSON)."""
    return dsse.sign(key, canonical(statement), INSIGHTS_TYPE)


def open_statement(raw: bytes) -> dsse.Opened:
    """A statement's envelope, not verified; the caller has bounded its size.

    Raises `IdentityError("malformed_envelope")`, also for more than one signature.
    """
    opened = dsse.decode(raw, INSIGHTS_TYPE)
    if len(opened.signatures) != 1:
        raise IdentityError("a statement carries exactly one signature.", reason="malformed_envelope")
    return opened


def decode(raw: bytes) -> Statement:
    """Read canonical statement bytes. Raises `IdentityError`: `malformed_payload` with the path of the field,
    `not_canonical` where re-encoding gives other bytes.
    """
    statement = parse(_decoder, raw, what="statement", reason="malformed_payload")
    require_utc(statement.issued, field="issued")
    require_plain(statement.read, field="read")
    for number, one in enumerate(statement.insights):
        _require_sound(one, statement.agent, f"insights[{number}]")
    ids = [one.id for one in statement.insights]
    if len(set(ids)) != len(ids):
        raise IdentityError("`insights` names one twice.", reason="malformed_payload")
    require_canonical(statement, raw, what="statement")
    return statement


def _require_sound(one: Insight, agent: Agent, field: str) -> None:
    """What the types do not say: whose it is, what its id is of, times in UTC, and texts without control characters."""
    if one.agent != agent:
        raise IdentityError(f"`{field}.agent` is not the agent of the statement.", reason="malformed_payload")
    if one.id != insight_id(one.agent, one.kind, one.subjects[0], one.key):
        raise IdentityError(f"`{field}.id` is not of what it says.", reason="malformed_payload")
    if bool(one.note) != bool(one.note_by):
        raise IdentityError(f"`{field}.note` and `note_by` belong together.", reason="malformed_payload")
    require_utc(one.at, field=f"{field}.at")
    for source in one.sources:
        require_utc(source.fetched_at, field=f"{field}.sources.fetched_at")
    for text in _texts(one):
        require_plain(text, field=field)


def _texts(one: Insight) -> Iterator[str]:
    yield from (one.id, one.title, one.what, one.advice, one.key, one.note, one.note_by, *one.subjects)
    for told in one.evidence:
        yield from (told.says, told.record)
    for feature in one.features:
        yield from (feature.name, feature.value, feature.threshold)
    for source in one.sources:
        yield from (source.url, source.sha256, source.media_type)
