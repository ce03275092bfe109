"""Joining a mesh, in steps that may be interrupted between any two and gone on with.

1. the token says where, and pins the root; 2. the root, by its fingerprint; 3. keys; 4. a certificate for the token;
5. membership, with that certificate. What was reached is in the folder: keys before the token is used, so that a lost
answer costs no token; the certificate before the registration, which from then on needs no token at all.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from datetime import datetime
from typing import Final, TypeVar

import msgspec

from spectra.errors import BadRequest
from spectra.fabric import enrol
from spectra.fabric.errors import MeshError
from spectra.fabric.nodefolder import NodeFolder, NodeState
from spectra.identity.jointokens import Join, peek
from spectra.identity.names import parse_uri
from spectra.identity.x509 import Kind, csr, spki
from spectra.model.nodes import Capabilities, Transport, is_node_name

PAUSES_S: Final = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Between the attempts of one step, where nothing answers."""

T = TypeVar("T")


class Wishes(msgspec.Struct, frozen=True):
    """What the person at this machine wants; empty or None where the settings or the token decide."""

    name: str = ""
    region: str = ""
    transport: Transport | None = None
    relay: bool | None = None
    tpm: str = ""
    key: Kind = "p256"


class AlreadyJoined(MeshError):
    """This machine is a node already, or on the way to being one of another mesh."""

    reason = "already_joined"


class Joining:
    """One machine's way into a mesh. `pause` waits that many seconds, `tell` says how it goes."""

    def __init__(
        self,
        folder: NodeFolder,
        *,
        now: Callable[[], datetime],
        pause: Callable[[float], object],
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._folder = folder
        self._now = now
        self._pause = pause
        self._tell = tell

    def join(
        self, token: str, wishes: Wishes, capabilities: Callable[[], Capabilities], transport: Transport | None
    ) -> NodeState:
        """Join, or go on joining; what this machine is then. `transport` is the settings', for who wishes none.

        Raises `AlreadyJoined`, `BadRequest` for words that do not fit the token, `MeshError` for everything that the
        mesh says or does not say; with the same words it may then be tried again.
        """
        self._require_room(token)
        if not self._folder.joined:
            self._enrol(self._peeked(token, wishes), token, wishes)
        state = self._folder.state
        self._tell(f"registering {state.name} at {state.api_url}")
        said = self._patiently(
            lambda: enrol.register(self._folder, capabilities(), state.speaks(transport), self._now())
        )
        enrol.take_roots(self._folder, said.roots)
        state = msgspec.structs.replace(state, fabric=said.fabric, registered=True)
        self._folder.write_state(state)
        return state

    def _require_room(self, token: str) -> None:
        """Make way for a new join where the old one is over; keep what is under way for the same node."""
        if not self._folder.joined:
            self._require_token(token)
            return
        state = self._folder.state
        if state.revoked is not None:
            self._require_token(token)
            self._folder.forget()
        elif state.registered:
            raise AlreadyJoined(
                f"this machine is {state.name} of {state.mesh} already.",
                hint="Start it with `spectra node run`, or leave that mesh first: `spectra node leave`.",
            )
        elif token and not _same(peek(token), state):
            self._folder.forget()

    @staticmethod
    def _require_token(token: str) -> None:
        if not token:
            raise BadRequest(
                "joining needs a token",
                field="token",
                hint="`spectra node token` on the coordinator prints the command.",
            )

    @staticmethod
    def _peeked(token: str, wishes: Wishes) -> Join:
        said = peek(token)
        if wishes.name and not is_node_name(wishes.name):
            raise BadRequest(
                f"{wishes.name[:80]!r} is no name of a node",
                field="name",
                hint="Use up to 63 of a-z, 0-9 and inner hyphens.",
            )
        if wishes.name and said.name and wishes.name != said.name:
            raise BadRequest(
                f"the token is for the name {said.name}",
                field="name",
                hint="Leave --name out, or ask for another token.",
            )
        return said

    def _enrol(self, said: Join, token: str, wishes: Wishes) -> None:
        """A certificate for the token, kept with all that belongs to it."""
        self._tell(f"asking {said.ca_url} for the mesh's root")
        roots = self._patiently(lambda: enrol.bootstrap(said.ca_url, said.fingerprint, self._now()))
        tls, _ = self._folder.make_keys(wishes.key)
        name = said.name or wishes.name or own_name()
        request = csr(tls, name, [said.uri] if said.uri else [])
        self._tell("asking for a certificate")
        chain = self._patiently(lambda: enrol.sign(said.ca_url, roots, request, token, self._now()))
        uri = enrol.require_ours(chain, spki(tls), said.uri)
        mesh, name = parse_uri(uri)
        if mesh != said.mesh:
            raise MeshError(f"the CA issued a certificate of {mesh}, not of {said.mesh}.", reason="wrong_certificate")
        self._folder.write_roots(roots)
        self._folder.write_chain(chain)
        self._folder.write_state(
            NodeState(
                mesh=mesh,
                name=name,
                role=said.role,
                uri=uri,
                ca_url=said.ca_url,
                api_url=said.api_url or said.ca_url,
                transport=wishes.transport,
                region=wishes.region,
                relay=wishes.relay,
                tpm=wishes.tpm,
            )
        )

    def _patiently(self, step: Callable[[], T]) -> T:
        """`step`, again after each pause as long as nothing answers."""
        for seconds in PAUSES_S:
            try:
                return step()
            except MeshError as error:
                if not error.retryable:
                    raise
                self._tell(f"{error.message}; trying again in {seconds:g} s")
                self._pause(seconds)
        return step()


def _same(said: Join, state: NodeState) -> bool:
    return said.mesh == state.mesh and said.name in ("", state.name)


def own_name() -> str:
    """This machine's host name as a node's name; empty where nothing of it can be one."""
    label = re.sub(r"[^a-z0-9]+", "-", socket.gethostname().split(".")[0].lower()).strip("-")[:63].strip("-")
    return label if is_node_name(label) and label != "localhost" else ""
