"""How a machine becomes and stays a node: the root by its fingerprint, a certificate for a token, membership, renewal.

The certificate comes from a CA that speaks step-ca's HTTP API, be it the built-in one or smallstep's; membership comes
from the coordinator, over mutual TLS with that certificate. The two may live at different addresses.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, TypeVar

import msgspec
from cryptography import x509
from msgspec import Meta

from spectra.fabric.calls import Refused, anybody, call, trusting
from spectra.fabric.errors import MeshError
from spectra.fabric.nodefolder import MAX_CERTIFICATES, NodeFolder
from spectra.identity.errors import IdentityError
from spectra.identity.jointokens import renew_token
from spectra.identity.rotation import build_registration
from spectra.identity.x509 import fingerprint, read_pem, spki, uri_of
from spectra.model.nodes import Capabilities, Transport
from spectra.model.registration import Registration, Welcome

SIGNER_ROLE: Final = "module"
"""The role of a node's signing key: it submits what the node saw, and may do nothing else."""

_Pem = Annotated[str, Meta(max_length=64 * 1024)]
Chain = tuple[x509.Certificate, ...]
T = TypeVar("T")


class _Root(msgspec.Struct):
    ca: _Pem


class _Roots(msgspec.Struct):
    crts: Annotated[tuple[_Pem, ...], Meta(max_length=MAX_CERTIFICATES)]


class _Signed(msgspec.Struct):
    """step-ca's answer to `sign` and `renew`; `certChain` begins with the certificate itself."""

    crt: _Pem
    ca: _Pem = ""
    certChain: Annotated[tuple[_Pem, ...], Meta(max_length=MAX_CERTIFICATES)] = ()  # noqa: N815 - step-ca's name


def bootstrap(ca_url: str, pinned: str, now: datetime) -> Chain:
    """Every root of the CA at `ca_url`, the one with the fingerprint `pinned` first. Nothing secret is sent.

    1. The root comes from whoever answers, and is believed for its hash alone. 2. The others come over TLS that the
    first one vouches for. Raises `MeshError("wrong_fingerprint")`, and what `calls.call` does.
    """
    try:
        said = call("GET", f"{ca_url}/root/{pinned}", _Root, trust=anybody(), now=now)
    except Refused as error:
        raise _wrong_fingerprint(ca_url, f"it does not know the root: {error.message}") from error
    (root,) = _read(said.ca, 1)
    if not hmac.compare_digest(fingerprint(root), pinned.lower()):
        raise _wrong_fingerprint(ca_url, "it shows another root")
    others = (one for one in roots_of(ca_url, (root,), now) if fingerprint(one) != fingerprint(root))
    return root, *others


def roots_of(ca_url: str, trusted: Sequence[x509.Certificate], now: datetime) -> Chain:
    """Every root that the CA trusts now, told over TLS that one of `trusted` vouches for."""
    said = call("GET", f"{ca_url}/roots", _Roots, trust=trusting(trusted), now=now)
    return _read("".join(said.crts), MAX_CERTIFICATES)


def sign(ca_url: str, roots: Sequence[x509.Certificate], csr: bytes, token: str, now: datetime) -> Chain:
    """The certificate for a request and a join token, and what follows it. Raises `Refused`, or as `calls.call`."""
    body = {"csr": csr.decode("ascii"), "ott": token}
    said = call("POST", f"{ca_url}/1.0/sign", _Signed, trust=trusting(roots), now=now, body=body)
    return _chain(said)


def require_ours(chain: Chain, key_spki: str, uri: str = "") -> str:
    """The identity in a certificate that is for our key, and for `uri` where one is expected.

    Raises `MeshError("wrong_certificate")`: a CA that mixes nodes up must not make us speak in another's name.
    """
    try:
        found = uri_of(chain[0])
    except IdentityError as error:
        raise _wrong_certificate(error.message) from error
    if spki(chain[0]) != key_spki:
        raise _wrong_certificate("it is for another key than ours.")
    if uri and found != uri:
        raise _wrong_certificate(f"it is for {found}, not for {uri}.")
    return found


def register(folder: NodeFolder, capabilities: Capabilities, transport: Transport, now: datetime) -> Welcome:
    """Tell the coordinator which key signs what this machine submits, and what it can do.

    May be repeated: the same key again is no news.
    """
    state = folder.state
    statement = build_registration(folder.signing_key, contributor=f"node-{state.name}", role=SIGNER_ROLE, now=now)
    body = Registration(statement.decode("utf-8"), capabilities, transport)
    return member_call(folder, "POST", "/v0/mesh/nodes", Welcome, now=now, body=body)


def myself(folder: NodeFolder, now: datetime) -> Welcome:
    """What the coordinator knows of this machine. Raises `Refused` with the reason `revoked` for a revoked one."""
    return member_call(folder, "GET", "/v0/mesh/self", Welcome, now=now)


def leave(folder: NodeFolder, now: datetime) -> None:
    """Leave the mesh for good: the coordinator revokes this machine's keys."""
    member_call(folder, "DELETE", "/v0/mesh/self", type(None), now=now)


def renew(folder: NodeFolder, now: datetime) -> x509.Certificate:
    """A new certificate for the same key, kept in the folder, with the roots of the moment.

    A certificate that has expired is renewed by a token that its key signs (step-ca: `x5cInsecure`), as long as the CA
    grants that. Raises `Refused` where it does not, or as `calls.call`.
    """
    state, roots, old = folder.state, folder.roots, folder.chain
    url = f"{state.ca_url}/1.0/renew"
    if now < old[0].not_valid_after_utc:
        said = call("POST", url, _Signed, trust=trusting(roots, folder.tls), now=now)
    else:
        token = renew_token(folder.tls_key, old, ca_url=state.ca_url, now=now)
        said = call("POST", url, _Signed, trust=trusting(roots), now=now, bearer=token)
    chain = _chain(said)
    require_ours(chain, spki(old[0]), state.uri)
    folder.write_chain(chain)
    return chain[0]


def refresh_roots(folder: NodeFolder, now: datetime) -> bool:
    """Take over the roots that the CA trusts now; whether they changed."""
    return folder.write_roots(roots_of(folder.state.ca_url, folder.roots, now))


def take_roots(folder: NodeFolder, text: str) -> bool:
    """Take over the roots that the coordinator named, over mutual TLS; whether they changed."""
    return bool(text) and folder.write_roots(_read(text, MAX_CERTIFICATES))


def is_revoked(error: MeshError) -> bool:
    """Whether this says that the machine was thrown out, for good."""
    return isinstance(error, Refused) and error.reason == "revoked"


def member_call(folder: NodeFolder, method: str, path: str, kind: type[T], *, now: datetime, body: object = None) -> T:
    """A call of the coordinator's API, by certificate. Raises as `calls.call`."""
    trust = trusting(folder.roots, folder.tls)
    return call(method, f"{folder.state.api_url}{path}", kind, trust=trust, now=now, body=body)


def _chain(said: _Signed) -> Chain:
    return _read("".join(said.certChain) or said.crt + said.ca, MAX_CERTIFICATES)


def _read(text: str, limit: int) -> Chain:
    try:
        return read_pem(text, limit)
    except IdentityError as error:
        raise MeshError(f"the CA sent no usable certificate: {error.message}", reason="bad_answer") from error


def _wrong_fingerprint(ca_url: str, why: str) -> MeshError:
    return MeshError(
        f"the CA at {ca_url} is not the one that the token names: {why}.",
        reason="wrong_fingerprint",
        hint="Nothing was sent to it. Compare with `spectra ca fingerprint` on the coordinator; is the address right?",
    )


def _wrong_certificate(why: str) -> MeshError:
    return MeshError(f"the CA issued a wrong certificate: {why}", reason="wrong_certificate")
