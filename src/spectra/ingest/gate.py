"""The gate: the one way from bytes of a stranger to `Verified`.

In the manner of sigstore's verifier the checks are numbered in one function, and every failure is one error type with
a machine-readable reason. The signature is checked over the raw payload bytes before anything parses them.
"""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Protocol

import msgspec

from spectra.errors import Corrupt, SpectraError
from spectra.identity import dsse, payload
from spectra.identity.errors import IdentityError
from spectra.identity.keys import PublicKey
from spectra.identity.roles import allows
from spectra.identity.strict import require_timely
from spectra.identity.verified import Verified, seal
from spectra.model.envelope import Signature
from spectra.model.records import KeyRecord

_KEYID = re.compile(r"[0-9a-f]{64}")

# RFC 8032 section 7.1, the public key of TEST 1: checked in the place of a key that is not known.
_NOBODY = PublicKey(bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"))


class Reason(StrEnum):
    """Why the gate refused: a metric label, and the last part of the problem type."""

    ENVELOPE_TOO_LARGE = "envelope_too_large"
    MALFORMED_ENVELOPE = "malformed_envelope"
    MALFORMED_PAYLOAD = "malformed_payload"
    NOT_CANONICAL = "not_canonical"
    UNKNOWN_KEY = "unknown_key"
    BAD_SIGNATURE = "bad_signature"
    KEY_REVOKED = "key_revoked"
    KEY_EXPIRED = "key_expired"
    CONTRIBUTOR_MISMATCH = "contributor_mismatch"
    EXPIRED = "expired"
    FROM_THE_FUTURE = "from_the_future"
    NONCE_REPLAYED = "nonce_replayed"
    ROLE_FORBIDDEN = "role_forbidden"
    ACCOUNT_DISABLED = "account_disabled"
    RATE_LIMITED = "rate_limited"
    MALFORMED_BUNDLE = "malformed_bundle"
    IMPOSTOR = "impostor"
    OTHER_OBSERVATIONS = "other_observations"
    OTHER_FILES = "other_files"
    OTHER_LEASE = "other_lease"
    OUT_OF_SCOPE = "out_of_scope"


class Rejected(SpectraError):
    """The gate refused a submission; `reason` is a `Reason`. Sending the same bytes again will not help, except for
    the subclass `RateLimited`.
    """

    retry_after_s: float = 0.0

    def __init__(self, reason: Reason, message: str, *, hint: str = "") -> None:
        super().__init__(message, reason=reason, hint=hint)


class RateLimited(Rejected):
    """The contributor submits too often; the same bytes will do after `retry_after_s` seconds."""

    retryable: ClassVar[bool] = True

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(
            Reason.RATE_LIMITED,
            "this contributor submits too often.",
            hint=f"Send it again in {retry_after_s:.1f} s, or put more hosts into one submission.",
        )
        self.retry_after_s = retry_after_s


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The gate's bounds, as in `settings.GateSettings`. `rate_per_minute` 0 means that the rate is not asked."""

    max_envelope_bytes: int
    max_age_s: float
    max_ahead_s: float
    rate_per_minute: int


class Ledger(Protocol):
    """What the gate has to know of the past."""

    def key(self, keyid: str) -> KeyRecord | None:
        """The key of this id (64 hex digits), whatever its status; None when it was never registered."""
        ...

    def nonce(self, contributor: str, nonce: str) -> str | None:
        """The observation id that this contributor used the nonce for, or None."""
        ...

    def admit(self, contributor: str, role: str, now: datetime) -> float:
        """0 when another submission is admitted now, else the seconds to wait (`rate.RateLimiter.admit`)."""
        ...


def verify(raw: bytes, *, now: datetime, policy: Policy, ledger: Ledger, scope: str = "observations:write") -> Verified:
    """Let a submission in, or raise `Rejected`.

    `raw` is the DSSE envelope as received and `now` is aware. A submission whose nonce this contributor used for the
    same observation comes out with `seen=True`: answer it with the first's receipt.

    Step 7 only reads. Two submissions at once can both pass it; what claims a nonce for good is the UNIQUE constraint
    on (contributor, nonce) in the store's ingest transaction, which also outlives a restart.

    Errors of the ledger pass through as they are; `Corrupt` is raised for a stored key that does not hash to its id.
    """
    try:
        # 1. Size, before anything is read.
        if len(raw) > policy.max_envelope_bytes:
            raise Rejected(
                Reason.ENVELOPE_TOO_LARGE,
                f"the envelope has {len(raw)} bytes, more than {policy.max_envelope_bytes}.",
                hint="Split the scan into smaller submissions.",
            )
        # 2. The envelope: bounded JSON, canonical base64, one payload type.
        opened = dsse.decode(raw)
        # 3. The signature over the raw payload bytes, by a known key.
        key, signature = signed_by_known_key(opened, ledger)
        # 4. The key's status: revoked at once, retiring until it expires.
        require_usable(key, now)
        # 5. The payload parses, is canonical and is the key holder's own.
        content = payload.decode(opened.payload)
        if content.contributor != key.contributor:
            raise Rejected(
                Reason.CONTRIBUTOR_MISMATCH,
                "the payload names another contributor than the one the signing key belongs to.",
                hint="Sign with that contributor's key, or submit under your own name.",
            )
        # 6. The clock window, on the time of signing.
        require_timely(content.issued, now=now, max_age_s=policy.max_age_s, max_ahead_s=policy.max_ahead_s)
        # 7. The nonce: never seen, or seen for this very observation.
        observation_id = payload.observation_id(opened.payload)
        seen = _seen(ledger.nonce(key.contributor, content.nonce), observation_id)
        # 8. The role.
        if not allows(key.role, scope, key.scopes):
            raise Rejected(
                Reason.ROLE_FORBIDDEN,
                f"the role of this key does not hold {scope}.",
                hint="Ask an admin to register a key with a role that does.",
            )
        # 9. The rate.
        if policy.rate_per_minute and (wait := ledger.admit(key.contributor, key.role, now)) > 0:
            raise RateLimited(wait)
    except IdentityError as error:
        raise Rejected(Reason(error.reason), error.message, hint=error.hint) from error
    return seal(
        payload=content,
        raw=opened.payload,
        observation_id=observation_id,
        key=key,
        signature=signature.sig,
        received=now,
        seen=seen,
    )


def signed_by_known_key(opened: dsse.Opened, ledger: Ledger) -> tuple[KeyRecord, Signature]:
    """The key that signed an envelope of any type, whatever its status, and the signature; raises `Rejected`.

    The first signature by a known key counts. One signature is checked either way, so that a stranger's envelope
    costs what a forged one does.
    """
    found = next(((key, one) for one in opened.signatures if (key := _known(one.keyid, ledger))), None)
    if found is None:
        dsse.verify(_NOBODY, opened.signatures[0].sig, opened.payload, opened.payload_type)
        raise Rejected(
            Reason.UNKNOWN_KEY,
            "no signature is by a key registered here.",
            hint="Register it with an admin of this mesh (its keyid is the SHA-256 of the raw public key).",
        )
    key, signature = found
    if not dsse.verify(_public_key(key), signature.sig, opened.payload, opened.payload_type):
        raise Rejected(
            Reason.BAD_SIGNATURE,
            "the signature does not match the payload.",
            hint="Sign the payload's exact bytes with the key of this keyid, and send them unchanged.",
        )
    return found


def _known(keyid: str, ledger: Ledger) -> KeyRecord | None:
    """Only what can be a keyid is looked up: a stranger's text never reaches the store."""
    return ledger.key(keyid) if _KEYID.fullmatch(keyid) else None


def _public_key(key: KeyRecord) -> PublicKey:
    try:
        public = PublicKey.from_b64(key.public_key)
    except IdentityError as error:
        raise Corrupt(f"the stored key {key.keyid} is unusable.", hint="Register it again.") from error
    if public.keyid != key.keyid:
        raise Corrupt(f"the stored key {key.keyid} does not hash to its id.", hint="Register it again.")
    return public


def require_usable(key: KeyRecord, now: datetime) -> None:
    """Raises `Rejected` where a key signs nothing more."""
    expired = key.expires is not None and now >= key.expires
    if key.status == "active" and not expired:
        return
    if key.status == "retiring" and key.expires is not None and not expired:
        return
    if key.status == "revoked":
        raise revoked()
    if key.status == "disabled":
        raise Rejected(
            Reason.ACCOUNT_DISABLED, "the account of this key is disabled.", hint="Ask an admin of this mesh."
        )
    raise Rejected(
        Reason.KEY_EXPIRED, "the signing key was replaced and its grace period is over.", hint="Sign with the new key."
    )


def revoked() -> Rejected:
    """The refusal of a revoked key, also for who finds it revoked after the gate."""
    return Rejected(
        Reason.KEY_REVOKED, "the signing key has been revoked.", hint="Generate a new key and have it registered."
    )


def _seen(used_for: str | None, observation_id: str) -> bool:
    if used_for is not None and used_for != observation_id:
        raise Rejected(
            Reason.NONCE_REPLAYED,
            "this nonce was already used for another submission.",
            hint="Sign again with a new random nonce.",
        )
    return used_for is not None
