"""The coordinator as a node of its own mesh: its certificate, and that of the CA's intermediate, kept from expiring.

One certificate serves three times: for the mesh's listener, for the embedded fabric, and for the coordinator's own link
to it. What it replaces goes on working until it expires, so a renewal interrupts nobody.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from spectra.errors import SetupError, SpectraError
from spectra.fabric.errors import MeshError
from spectra.fabric.nodefolder import NodeFolder, NodeState
from spectra.flow.members import Members, recorded
from spectra.flow.signing import Signer
from spectra.identity import renewal, x509
from spectra.identity.names import new_name, node_uri
from spectra.store import nodes
from spectra.store.database import Database

_log = logging.getLogger("spectra.mesh")

PREFIX: Final = "coordinator"
LOOK_EVERY_S: Final = 30.0
"""Clocks jump and machines sleep: when something is due is looked at, not waited for."""


class OwnNode:
    """Keeps `folder` with a certificate that holds. `on_renewed` is called after it was exchanged, on any thread.

    `chores` are what else is to be looked at now and then.
    """

    def __init__(
        self,
        signer: Signer,
        members: Members,
        folder: NodeFolder,
        database: Database,
        *,
        name: str,
        clock: Callable[[], datetime],
        on_renewed: Callable[[], None],
        chores: Sequence[Callable[[], object]] = (),
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self.folder: Final = folder
        self._signer = signer
        self._members = members
        self._database = database
        self._clock = clock
        self._on_renewed = on_renewed
        self._chores = chores
        self._look_every_s = look_every_s
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="spectra-own-certificate", daemon=True)
        self.name: Final = self._known_as(name)

    def ensure(self) -> bool:
        """Have a certificate that holds, for the hosts and the roots of now; whether that took a new one."""
        with self._lock:
            if self._holds():
                return False
            self._issue()
            return True

    def look(self) -> None:
        """Renew what is due: what the CA needs itself, then the certificate; tell who uses it."""
        self._signer.maintain()
        if self.ensure():
            self._on_renewed()

    def start(self) -> None:
        """Begin to look now and then."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(30)

    def _run(self) -> None:
        while not self._stop.wait(self._look_every_s):
            for chore in (self.look, *self._chores):
                try:
                    chore()
                except SpectraError as error:
                    _log.warning("a chore of the mesh failed", extra={"error.message": error.message})
                except Exception:  # noqa: BLE001 - a later look may do, and what there is holds for a while
                    _log.exception("a chore of the mesh failed")

    def _known_as(self, name: str) -> str:
        """The name of the first start, as long as the folder is of this mesh."""
        mesh = self._members.mesh
        state = self.folder.state if self.folder.joined else None
        if state is None or state.mesh != mesh:
            if state is not None:
                self.folder.forget()
            return name or new_name(PREFIX)
        if name not in ("", state.name):
            _log.warning("mesh.node is %s but this node is known as %s, and stays so", name, state.name)
        return state.name

    def _holds(self) -> bool:
        """Whether the certificate is our key's, by the CA of now, for all hosts, and not due."""
        if not self.folder.joined:
            return False
        try:
            leaf, *chain = self.folder.chain
            key = self.folder.tls_key
        except (SetupError, MeshError) as error:
            _log.warning("the coordinator's certificate is made anew", extra={"error.message": error.message})
            return False
        names = x509.requested(leaf)[1]
        wanted = x509.sort_names(self._members.places.hosts)
        return (
            x509.spki(leaf) == x509.spki(key)
            and self._signer.is_current(chain)
            and not self.folder.write_roots(self._signer.roots)
            and names.all >= wanted.all | {self._uri}
            and self._clock() < renewal.due(leaf.not_valid_before_utc, leaf.not_valid_after_utc, self.name)
        )

    @property
    def _uri(self) -> str:
        return node_uri(self._members.mesh, self.name)

    def _issue(self) -> None:
        key, _ = self.folder.make_keys()
        leaf, *chain = self._signer.own(key, self.name)
        now, places = self._clock(), self._members.places
        nodes.establish(self._database, self.name, self._uri, certificate=recorded(leaf), now=now)
        self.folder.write_roots(self._signer.roots)
        self.folder.write_chain((leaf, *chain))
        self.folder.write_state(
            NodeState(
                mesh=self._members.mesh,
                name=self.name,
                role="coordinator",
                uri=self._uri,
                ca_url=places.ca_url,
                api_url=places.api_url,
                fabric=self._members.fabric,
                transport="nats",
                registered=True,
            )
        )
        _log.info("the coordinator has a certificate", extra={"x509.not_after": str(leaf.not_valid_after_utc)})
