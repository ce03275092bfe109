"""What a machine without a TPM says about its own state, and how two states differ.

The statement is a DSSE envelope signed by the node's key, with a payload type of its own, over the nonce that the
coordinator asked with: it is fresh, and no other machine's. It is only as good as the software that makes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta

from spectra.identity import dsse
from spectra.identity.errors import IdentityError
from spectra.identity.keys import PublicKey, SigningKey
from spectra.identity.strict import parse, require_canonical
from spectra.model.attestations import MAX_STATEMENT_BYTES, Nonce
from spectra.model.envelope import Sha256Hex, canonical
from spectra.model.nodes import Kind, NodeName

STATEMENT_TYPE: Final = "application/vnd.spectra.node-state+json"
_SHOWN: Final = 12  # hex digits of a hash that a person compares
_Version = Annotated[str, Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]*\Z")]


class Measurement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """SHA-256 (hex) of what runs: Spectra's own files, the Python under it, and the settings in force.

    `software` and `python` are the versions of the first two.
    """

    binary: Sha256Hex
    interpreter: Sha256Hex
    configuration: Sha256Hex
    software: _Version
    python: _Version

    @property
    def state(self) -> State:
        """To be compared. A version of Spectra brings settings of its own, so it excuses those as well."""
        values = {"binary": self.binary, "interpreter": self.interpreter, "configuration": self.configuration}
        versions = {"binary": self.software, "interpreter": self.python, "configuration": self.software}
        return State("statement", values, versions)


class State(NamedTuple):
    """What was measured: `values` by what (`pcr:7`, `binary`), and the version of what each belongs to, if it has one.

    A value may change with its version, and not without.
    """

    kind: Kind
    values: Mapping[str, str]
    versions: Mapping[str, str]


class _Statement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: Literal[1]
    node: NodeName
    nonce: Nonce
    measured: Measurement


_decoder = msgspec.json.Decoder(_Statement)


def build(key: SigningKey, *, node: str, nonce: str, measured: Measurement) -> bytes:
    """The envelope in which `node` says what it measured, signed by its key."""
    statement = _Statement(version=1, node=node, nonce=nonce, measured=measured)
    return dsse.sign(key, canonical(statement), STATEMENT_TYPE)


def signer(raw: bytes) -> str:
    """The id of the key that a statement claims to be signed by. Raises `IdentityError("malformed_envelope")`."""
    return _open(raw).signatures[0].keyid


def verify(raw: bytes, *, key: PublicKey, node: str, nonce: str) -> Measurement:
    """What `node` measured, where `key` signed it over `nonce`.

    Raises `IdentityError`: `malformed_envelope`, `bad_signature`, `malformed_payload`, `not_canonical`, or
    `wrong_statement` for one that was made for another nonce or by another node.
    """
    opened = _open(raw)
    if not dsse.verify(key, opened.signatures[0].sig, opened.payload, STATEMENT_TYPE):
        raise IdentityError("the statement is not signed by this node's key.", reason="bad_signature")
    statement = parse(_decoder, opened.payload, what="statement", reason="malformed_payload")
    require_canonical(statement, opened.payload, what="statement")
    if (statement.node, statement.nonce) != (node, nonce):
        raise IdentityError("the statement was made for another node or nonce.", reason="wrong_statement")
    return statement.measured


def _open(raw: bytes) -> dsse.Opened:
    if len(raw) > MAX_STATEMENT_BYTES:
        raise IdentityError(f"a statement has at most {MAX_STATEMENT_BYTES} bytes.", reason="malformed_envelope")
    opened = dsse.decode(raw, STATEMENT_TYPE)
    if len(opened.signatures) != 1:
        raise IdentityError("a statement carries exactly one signature.", reason="malformed_envelope")
    return opened


def changes(before: State, now: State) -> tuple[str, ...]:
    """What changed and should not have, in words for a person; none where all is as it was or came with a version.

    Only what both measured is compared.
    """
    if before.kind != now.kind:
        return () if now.kind == "tpm" else ("it proved its state by a TPM before, and only gives its word now",)
    return tuple(
        f"{_called(what)} was {_short(before.values[what])} when it was accepted and is {_short(value)} now"
        for what, value in sorted(now.values.items(), key=lambda item: _place(item[0]))
        if what in before.values
        and before.values[what] != value
        and before.versions.get(what, "") == now.versions.get(what, "")
    )


def merged(before: State | None, now: State) -> State:
    """What to compare the next one with, once `now` was found good: what it did not measure stays as it was."""
    if before is None or before.kind != now.kind:
        return now
    return State(now.kind, {**before.values, **now.values}, {**before.versions, **now.versions})


def _place(what: str) -> tuple[str, int]:
    name, _, number = what.partition(":")
    return name, int(number) if number.isdecimal() else 0


def _called(what: str) -> str:
    name, _, number = what.partition(":")
    return f"PCR {number}" if name == "pcr" else f"the {name}"


def _short(value: str) -> str:
    return value[:_SHOWN]
