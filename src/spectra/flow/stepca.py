"""A real step-ca (smallstep) in the place of the built-in CA, by configuration.

Machines get and renew their certificates there. What this coordinator holds is the key of one of its JWK provisioners:
with it, join tokens are minted, the coordinator's own certificate is asked for, and what was revoked here is revoked
there, so that it is not renewed. Whether a machine is a member, what it may do and whether it is revoked is decided
here all the same, and in force whether step-ca answers or not.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cryptography.x509 import Certificate

from spectra.errors import BadRequest, SetupError, SpectraError
from spectra.fabric import enrol
from spectra.fabric.calls import Refused, call, trusting
from spectra.fabric.nodefolder import MAX_CERTIFICATES
from spectra.flow.authority import root_record
from spectra.flow.members import Members
from spectra.flow.signing import Asked
from spectra.identity import jointokens, private_file, x509
from spectra.identity.cafolder import issued_by
from spectra.identity.errors import IdentityError
from spectra.identity.names import node_uri
from spectra.identity.provisioner import Provisioner
from spectra.identity.provisionerkey import read_provisioner
from spectra.model.joining import AuthorityRecord
from spectra.store import certificates
from spectra.store.accounts import Act
from spectra.store.database import Database

_log = logging.getLogger("spectra.mesh")

LOOK_EVERY_S: Final = 30.0
"""How soon a revocation that step-ca did not hear is told again."""
_ROOTS_EVERY: Final = timedelta(minutes=10)
_TOKEN_LIFE: Final = timedelta(minutes=5)
_AT_ONCE: Final = 100  # revocations told in one round


class StepCa:
    """A `Signer`. Thread-safe. `file` keeps the roots, the one with the SHA-256 `pinned` first."""

    def __init__(
        self,
        members: Members,
        database: Database,
        provisioner: Provisioner,
        *,
        pinned: str,
        file: Path,
        clock: Callable[[], datetime],
    ) -> None:
        """Asks step-ca for its roots where they are not kept yet. Raises `MeshError`: `wrong_fingerprint` and more."""
        self._members = members
        self._database = database
        self._provisioner = provisioner
        self._file = file
        self._clock = clock
        self._roots = _kept(file, pinned) or enrol.bootstrap(self._url, pinned, clock())
        self._keep()
        self._looked = datetime.min.replace(tzinfo=clock().tzinfo)
        self._told: frozenset[str] = frozenset()  # serials that step-ca knows to be revoked
        self._trouble = ""
        self._wake = threading.Event()
        self._stopping = False

    @property
    def roots(self) -> tuple[Certificate, ...]:
        """Every root that step-ca named, the pinned one first."""
        return self._roots

    def token(self, asked: Asked, act: Act) -> str:
        """A join token that step-ca takes: once, while it runs on, and for one name."""
        if not asked.name:
            raise BadRequest(
                "The CA of this mesh is a step-ca, which takes each token once and for the name in it: there are no"
                " reusable ones.",
                reason="ca_external",
                field="reusable",
                hint="Invite each machine by itself.",
            )
        places = self._members.places
        return jointokens.mint(
            self._provisioner,
            ca_url=places.ca_url,
            api_url=places.api_url,
            mesh=self._members.mesh,
            role=asked.role,
            fingerprint=x509.fingerprint(self._roots[0]),
            now=act.now,
            ttl=asked.ttl,
            name=asked.name,
            jti=asked.id,
        )

    def own(self, key: x509.PrivateKey, name: str) -> tuple[Certificate, ...]:
        """Asked for with a token of our own, which names every host. Raises `MeshError` where step-ca refuses."""
        uri = node_uri(self._members.mesh, name)
        sans = [uri, *self._members.places.hosts]
        token = self._mint("sign", name, sans=sans)
        chain = enrol.sign(self._url, self._roots, x509.csr(key, name, sans), token, self._clock())
        enrol.require_ours(chain, x509.spki(key), uri)
        return chain

    def is_current(self, chain: Sequence[Certificate]) -> bool:
        """Whether it leads to one of the roots; a certificate by a former intermediate holds until it is due."""
        return bool(chain) and any(issued_by(chain[-1], root) for root in self._roots)

    def maintain(self) -> None:
        """Nothing of the CA is ours to renew."""

    def describe(self) -> AuthorityRecord:
        """The pinned root first: it is what tokens name."""
        current = x509.fingerprint(self._roots[0])
        return AuthorityRecord(
            mesh=self._members.mesh,
            kind="external",
            fingerprint=current,
            roots=tuple(root_record(root, current) for root in self._roots),
            ca_url=self._members.places.ca_url,
        )

    def rotate(self, act: Act) -> None:
        """Not ours to do."""
        raise _external()

    def retire(self, act: Act) -> None:
        """Not ours to do."""
        raise _external()

    # --- kept in step ---

    @contextmanager
    def running(self, on_roots: Callable[[], object]) -> Generator[None]:
        """Until the block ends: revocations are told to step-ca, and `on_roots` is called when its roots change."""
        thread = threading.Thread(target=self._run, args=[on_roots], name="spectra-step-ca", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stopping = True
            self._wake.set()
            thread.join(30)

    def wake(self) -> None:
        """Somebody may have been revoked: looked at right now. Never waits."""
        self._wake.set()

    def look(self) -> bool:
        """Tell step-ca what was revoked, and take over its roots; whether these changed. Raises `MeshError`."""
        self._tell_revoked()
        now = self._clock()
        if now - self._looked < _ROOTS_EVERY:
            return False
        found = enrol.roots_of(self._url, self._roots, now)
        self._looked = now
        return self._take(found)

    def _run(self, on_roots: Callable[[], object]) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                if self.look():
                    on_roots()
                self._trouble = ""
            except SpectraError as error:
                if self._trouble != error.message:  # once, not every half minute
                    _log.warning("the step-ca of this mesh", extra={"error.message": error.message})
                self._trouble = error.message
            except Exception:  # noqa: BLE001 - a later look may do
                _log.exception("the step-ca of this mesh")
            self._wake.wait(LOOK_EVERY_S)

    def _tell_revoked(self) -> None:
        now = self._clock()
        revoked = [serial for serial, _ in certificates.revoked_serials(self._database, now)]
        self._told &= frozenset(revoked)  # those that expired are told no more
        for serial in [one for one in revoked if one not in self._told][:_AT_ONCE]:
            self._revoke(serial)
            self._told |= {serial}

    def _revoke(self, serial: str) -> None:
        """`passive`: step-ca renews it no more, which is all it can do. Raises `MeshError` where it does not answer."""
        body = {
            "serial": serial,
            "ott": self._mint("revoke", serial),
            "reasonCode": 0,
            "reason": "revoked in the mesh",
            "passive": True,
        }
        try:
            call("POST", f"{self._url}/1.0/revoke", dict, trust=trusting(self._roots), now=self._clock(), body=body)
        except Refused as error:
            if "already revoked" not in error.message:
                _log.warning(
                    "step-ca does not revoke a certificate; this mesh refuses it all the same",
                    extra={"x509.serial_number": serial, "error.message": error.message},
                )

    def _take(self, found: tuple[Certificate, ...]) -> bool:
        """The pinned root stays: it is what machines are told to begin with."""
        pinned = self._roots[0]
        others = [root for root in found if root != pinned][: MAX_CERTIFICATES - 1]
        if set(others) == set(self._roots[1:]):
            return False
        self._roots = (pinned, *others)
        self._keep()
        _log.info("step-ca names other roots", extra={"count": len(self._roots)})
        return True

    def _keep(self) -> None:
        private_file.write(self._file, x509.pem(*self._roots).encode(), overwrite=True)

    def _mint(self, path: jointokens.Path, subject: str, *, sans: Sequence[str] = ()) -> str:
        """A one-time token as step makes them, for what the coordinator asks itself."""
        at = int(self._clock().timestamp())
        claims: dict[str, Any] = {
            "iss": self._provisioner.name,
            "aud": f"{self._url}/1.0/{path}",
            "sub": subject,
            "iat": at,
            "nbf": at,
            "exp": at + int(_TOKEN_LIFE.total_seconds()),
            "jti": secrets.token_hex(16),
            "sha": x509.fingerprint(self._roots[0]),
        }
        return self._provisioner.sign(claims | ({"sans": list(sans)} if sans else {}))

    @property
    def _url(self) -> str:
        return self._members.places.ca_url


def open_provisioner(name: str, key: Path, password: Path | None) -> Provisioner:
    """The provisioner whose key (JWK or JWE) and password are in these files. Raises `SetupError`."""
    secret = private_file.read(password).rstrip(b"\r\n") if password else None
    try:
        return read_provisioner(private_file.read(key), name, secret)
    except IdentityError as error:
        raise SetupError(
            f"cannot use the provisioner's key in {key}: {error.message}",
            hint="Look at mesh.ca_provisioner_key and mesh.ca_provisioner_password: step's ca.json has the key as"
            " `encryptedKey`, under the password of the provisioner.",
        ) from error


def _kept(file: Path, pinned: str) -> tuple[Certificate, ...]:
    """The roots of the last time; none where they are of another CA."""
    if not file.exists():
        return ()
    try:
        roots = x509.read_pem(private_file.read(file).decode("ascii", "replace"), MAX_CERTIFICATES)
    except IdentityError as error:
        raise SetupError(f"{file} is damaged: {error.message}", hint="Remove it: it is made anew.") from error
    return roots if x509.fingerprint(roots[0]) == pinned else ()


def _external() -> BadRequest:
    return BadRequest(
        "The CA of this mesh is a step-ca: its root is exchanged there.",
        reason="ca_external",
        hint="Machines and this node take over its roots by themselves, as long as one that they know is among them.",
    )
