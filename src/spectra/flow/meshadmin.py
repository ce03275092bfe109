"""What people decide about the mesh: whom to invite, to hold back and to throw out, and when its root is exchanged."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import timedelta

from spectra.errors import BadRequest
from spectra.flow.members import Members
from spectra.flow.membership import EarState
from spectra.flow.signing import Asked, Signer
from spectra.identity.names import new_name, node_uri
from spectra.model.joining import AuthorityRecord, Invitation, Invite
from spectra.model.nodes import JoinTokenRecord, NodeRecord
from spectra.model.registration import MeshStatus
from spectra.store import jointokens, nodes
from spectra.store.accounts import Act
from spectra.store.database import Database
from spectra.store.jointokens import NewToken


class MeshAdmin:
    """The `Mesh` of the people's API. `own` is this coordinator's name as a node; `on_roots` is called after the roots
    changed. Thread-safe.
    """

    def __init__(
        self,
        signer: Signer,
        members: Members,
        database: Database,
        *,
        own: str,
        on_roots: Callable[[], None],
        hearing: Callable[[], EarState | None] = lambda: None,
    ) -> None:
        self._signer = signer
        self._members = members
        self._database = database
        self._own = own
        self._on_roots = on_roots
        self.hearing = hearing
        """How it stands with hearing the nodes; None where there is no fabric."""

    def status(self) -> MeshStatus:
        """What the mesh is called, and where machines reach it."""
        members = self._members
        return MeshStatus(members.mesh, self._own, members.places.api_url, members.fabric.nats, members.fabric.mqtt)

    # --- who may come ---

    def invite(self, asked: Invite, act: Act) -> Invitation:
        """A join token. Raises `BadRequest` as `jointokens.add` of the store and `Signer.token` do."""
        if asked.reusable and asked.name:
            raise BadRequest("A reusable token names no machine.", field="name", hint="Leave out the name.")
        name = "" if asked.reusable else asked.name or new_name()
        token_id, ttl, places = secrets.token_hex(16), timedelta(seconds=asked.ttl_s), self._members.places
        token = self._signer.token(Asked(id=token_id, name=name, role=asked.role, ttl=ttl), act)
        new = NewToken(token_id, asked.role, act.now + ttl, name, asked.reusable)
        kept = jointokens.add(self._database, new, node_uri(self._members.mesh, name) if name else "", act)
        return Invitation(
            id=kept.id,
            token=token,
            name=name,
            role=asked.role,
            expires=kept.expires,
            reusable=kept.reusable,
            ca_fingerprint=self._signer.describe().fingerprint,
            ca_url=places.ca_url,
            api_url=places.api_url,
        )

    def revoke_token(self, token_id: str, act: Act) -> JoinTokenRecord:
        """Nobody comes with it any more. Raises `NotFound`."""
        return jointokens.revoke(self._database, token_id, act)

    # --- who is here ---

    def quarantine(self, name: str, reason: str, act: Act) -> NodeRecord:
        """It may be heard and nothing more. Raises `BadRequest` for this coordinator itself."""
        self._require_other(name)
        return self._told(nodes.quarantine(self._database, name, reason, act))

    def release(self, name: str, act: Act) -> NodeRecord:
        """It may work again."""
        return self._told(nodes.release(self._database, name, act))

    def revoke(self, name: str, reason: str, act: Act) -> NodeRecord:
        """It is let in nowhere any more, for good. Raises `BadRequest` for this coordinator itself."""
        self._require_other(name)
        return self._told(nodes.revoke(self._database, name, reason, act))

    def _require_other(self, name: str) -> None:
        if name == self._own:
            raise BadRequest(
                f"{name} is this coordinator itself.", reason="own_node", field="name", hint="`spectra down` stops it."
            )

    def _told(self, record: NodeRecord) -> NodeRecord:
        self._members.changed()
        return record

    # --- whom all trust ---

    def authority(self) -> AuthorityRecord:
        """The CA: its roots, and until when it signs with the present intermediate."""
        return self._signer.describe()

    def rotate(self, act: Act) -> AuthorityRecord:
        """A new root; the old one is trusted until `retire`. Raises `BadRequest` as `Signer.rotate` does."""
        self._signer.rotate(act)
        self._on_roots()
        return self.authority()

    def retire(self, act: Act) -> AuthorityRecord:
        """Trust the newest root alone. Raises `BadRequest` as `Signer.retire` does."""
        self._signer.retire(act)
        self._on_roots()
        return self.authority()
