"""Whether a certificate is a node's: the path from it to a root that is trusted (RFC 5280 section 6, the part we use).

`cryptography`'s own verifier knows the rules of the public web, which forbid Ed25519. Ours may be short: every
certificate that can be on a path was made by `spectra.identity.ca` or by the step-ca of the mesh, without name
constraints, policies or critical extensions of other kinds; those of others end at no root.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeVar

from cryptography import x509 as cx
from cryptography.x509 import Certificate
from cryptography.x509.oid import ExtendedKeyUsageOID

from spectra.identity import x509
from spectra.identity.cafolder import issued_by
from spectra.identity.errors import IdentityError
from spectra.identity.names import parse_uri
from spectra.identity.strict import to_utc

MAX_INTERMEDIATES: Final = 8  # twice the longest chain of ours
_NONE: Final = timedelta(0)
_E = TypeVar("_E", cx.BasicConstraints, cx.KeyUsage, cx.ExtendedKeyUsage)


def verify_chain(
    leaf: Certificate,
    intermediates: Sequence[Certificate],
    *,
    roots: Iterable[Certificate],
    mesh: str,
    now: datetime,
    grace: timedelta = _NONE,
) -> str:
    """The identity of the node of `mesh` that `leaf` certifies, or has until `grace` ago.

    Raises `IdentityError`: `untrusted` (no path to a root, not a node's, another mesh), `not_yet`, or `expired`. Time
    comes last, so that a stranger learns nothing but `untrusted`.
    """
    now = to_utc(now, field="now")
    since, until = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    at = min(max(now, since), until)  # the path has to hold while the leaf does: grace is the leaf's alone
    pool = list(intermediates[:MAX_INTERMEDIATES])
    if len(intermediates) > MAX_INTERMEDIATES or not _has_path(leaf, pool, list(roots), at):
        raise _untrusted("it is by no CA that is trusted here")
    uri = _node_of(leaf, mesh)
    if now < since:
        raise IdentityError(
            f"the certificate is valid from {since:%Y-%m-%d %H:%M:%S} UTC only; set this machine's clock.",
            reason="not_yet",
        )
    if now > until + grace:
        raise IdentityError(
            f"the certificate expired at {until:%Y-%m-%d %H:%M:%S} UTC; join again with a new token.", reason="expired"
        )
    return uri


def _has_path(leaf: Certificate, pool: list[Certificate], roots: list[Certificate], at: datetime) -> bool:
    """Whether issuers lead from `leaf` to a root. Breadth first and each certificate once, so that the work is bounded
    however they were made to certify each other: at most (1 + 8) * (8 + roots) signatures are checked.
    """
    level, unused, below = [leaf], pool, 0
    while level:
        reached: list[Certificate] = []
        for certificate in level:
            if any(_may_issue(root, certificate, below, at) for root in roots):
                return True
            reached += [c for c in unused if c not in reached and _may_issue(c, certificate, below, at)]
        unused = [c for c in unused if c not in reached]
        level, below = reached, below + 1
    return False


def _may_issue(issuer: Certificate, certificate: Certificate, below: int, at: datetime) -> bool:
    """Whether `issuer` is a CA at that time, may have `below` intermediates under it, and issued this certificate."""
    if issuer.subject != certificate.issuer or not issuer.not_valid_before_utc <= at <= issuer.not_valid_after_utc:
        return False
    constraints = _extension(issuer, cx.BasicConstraints)
    if constraints is None or not constraints.ca:
        return False
    if constraints.path_length is not None and constraints.path_length < below:
        return False
    usage = _extension(issuer, cx.KeyUsage)
    return (usage is None or usage.key_cert_sign) and issued_by(certificate, issuer)


def _node_of(leaf: Certificate, mesh: str) -> str:
    """The leaf's identity, where it may show it as a client."""
    constraints = _extension(leaf, cx.BasicConstraints)
    usage, purposes = _extension(leaf, cx.KeyUsage), _extension(leaf, cx.ExtendedKeyUsage)
    if constraints is not None and constraints.ca:
        raise _untrusted("it is a CA's own")
    if usage is not None and not usage.digital_signature:
        raise _untrusted("its key may not sign")
    if purposes is None or ExtendedKeyUsageOID.CLIENT_AUTH not in purposes:
        raise _untrusted("it is not for clients")
    try:
        uri = x509.uri_of(leaf)
    except IdentityError as error:
        raise _untrusted("it names no node") from error
    if parse_uri(uri)[0] != mesh:
        raise _untrusted("it is of another mesh")
    return uri


def _extension(certificate: Certificate, kind: type[_E]) -> _E | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except cx.ExtensionNotFound:
        return None


def _untrusted(why: str) -> IdentityError:
    return IdentityError(f"the certificate is not trusted: {why}.", reason="untrusted")
