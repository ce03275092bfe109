"""The mesh of one coordinator, put together: CA, listener, fabric, ear; started in this order, stopped in reverse."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Final

from spectra.api.machines import Machines
from spectra.api.meshapp import create_mesh_app
from spectra.api.meshserver import MeshServer, server_context
from spectra.api.services import Services
from spectra.api.strikes import Strikes
from spectra.errors import SpectraError
from spectra.fabric.nodefolder import NodeFolder
from spectra.flow.attestation import Attestations, rules
from spectra.flow.authority import Certificates, Terms, record_roots
from spectra.flow.members import Members, Places
from spectra.flow.meshadmin import MeshAdmin
from spectra.flow.ownnode import LOOK_EVERY_S, OwnNode
from spectra.flow.refusals import RefusalLog
from spectra.flow.signing import Signer
from spectra.flow.stepca import StepCa, open_provisioner
from spectra.flow.work import Work
from spectra.identity.ca import Authority
from spectra.identity.names import new_mesh, node_uri
from spectra.identity.x509 import pem
from spectra.listening import listening, port_of, url_of
from spectra.meshfabric import Fabric
from spectra.meshplaces import Ports, hosts_of
from spectra.model.nodes import FabricPlace
from spectra.settings import MESH_PORTS, MeshSettings, Settings
from spectra.store import nodes
from spectra.store.accounts import Act
from spectra.store.database import Database

_log = logging.getLogger("spectra.mesh")

_ANNOUNCED_WITHIN_S: Final = 10.0

OnFailure = Callable[[SpectraError], None]


@contextmanager
def mesh_listening(settings: Settings) -> Generator[socket.socket | None]:
    """The socket of the mesh's listener; None where there is no mesh. Raises `SetupError`."""
    if not settings.mesh.enabled:
        yield None
        return
    ports = Ports(settings.data_dir)
    host, port = settings.mesh.host, ports.choose("listener", settings.mesh_ports.listener, settings.mesh.host)
    hint = "Choose another with SPECTRA_MESH__PORT, or have no mesh: SPECTRA_MESH__ENABLED=false."
    with listening(host, port, hint=hint) as listener:
        ports.remember("listener", port_of(listener))
        yield listener


class MeshParts:
    """What the settings ask for, around one database. Nothing runs before `serving`."""

    def __init__(self, settings: Settings, database: Database, *, clock: Callable[[], datetime], port: int) -> None:
        mesh, folder = settings.mesh, NodeFolder(settings.data_dir / "mesh" / "node")
        self._settings = settings
        self._database = database
        self._clock = clock
        self._server: MeshServer | None = None
        self.notes: Final = RefusalLog(database, clock)
        self.attestations: Final = Attestations(
            database, rules(mesh.attestation), clock=clock, changed=self._members_changed
        )
        hosts = hosts_of(mesh.host, mesh.addresses)
        url = url_of("https", hosts[0], port or MESH_PORTS.listener)
        self.certificates: Certificates | None = None
        if mesh.ca == "external":
            self.members = self._members(_mesh_name(mesh, folder), Places(mesh.ca_url.rstrip("/"), url, hosts))
            self.signer: Signer = _step_ca(settings, self.members, database, clock)
        else:
            authority = Authority.open_or_create(settings.data_dir / "ca", mesh.name, clock())
            record_roots(authority, database, Act(nodes.SYSTEM, clock()))
            self.members = self._members(authority.mesh, Places(url, url, hosts))
            terms = Terms(timedelta(seconds=mesh.lifetime_s), timedelta(seconds=mesh.renew_grace_s))
            self.certificates = Certificates(authority, database, self.members, terms=terms, clock=clock)
            self.signer = self.certificates
        self.own: Final = OwnNode(
            self.signer,
            self.members,
            folder,
            database,
            name=mesh.node,
            clock=clock,
            on_renewed=self._renewed,
            chores=(self.attestations.lapsed,),
            look_every_s=min(LOOK_EVERY_S, mesh.lifetime_s / 20),
        )
        self._fabric = Fabric(
            settings,
            database,
            self.notes,
            name=self.own.name,
            uri=node_uri(self.members.mesh, self.own.name),
            tls=self.own.folder.tls,
            clock=clock,
        )
        self.admin: Final = MeshAdmin(
            self.signer,
            self.members,
            database,
            own=self.own.name,
            on_roots=self.own.look,
            hearing=self._fabric.hearing,
        )

    @contextmanager
    def serving(self, services: Services, listener: socket.socket, on_failure: OnFailure) -> Generator[None]:
        """Everything started, until the block ends; `on_failure` is told of what cannot be kept running."""
        with ExitStack() as stack:
            self.notes.start()
            stack.callback(self.notes.stop)
            self.own.ensure()
            app = create_mesh_app(services, self._machines())
            self._server = MeshServer(app, listener, self._context(), on_refusal=self.notes.note)
            self._server.start()
            stack.callback(self._server.stop)
            if self._settings.mesh.fabric != "off":
                work = services.work if isinstance(services.work, Work) else None
                places = self.members.places
                stack.enter_context(
                    self._fabric.running(places.hosts[0], on_failure, work=work, api_url=places.api_url)
                )
            place = self._fabric.place
            self.members.fabric = FabricPlace(place.nats, place.mqtt, self.members.places.api_url)
            self.own.start()
            stack.callback(self.own.stop)
            if isinstance(self.signer, StepCa):
                stack.enter_context(self.signer.running(on_roots=self.own.look))
            if self._settings.mesh.announce and _is_announced(self._settings.mesh.host):
                stack.enter_context(self._announced(port_of(listener)))
            _log.info("the mesh's listener serves", extra={"url.full": self.members.places.api_url})
            yield

    def _members(self, mesh: str, places: Places) -> Members:
        return Members(
            self._database,
            mesh,
            places,
            clock=self._clock,
            on_change=self._members_changed,
            hold=self.attestations.hold_at_join,
            elsewhere=self._settings.mesh.ca == "external",
        )

    def _machines(self) -> Machines:
        return Machines(
            members=self.members,
            signer=self.signer,
            attestations=self.attestations,
            notes=self.notes,
            strikes=Strikes(self._settings.limits.mesh_failures_per_minute, self._clock),
            certificates=self.certificates,
        )

    @contextmanager
    def _announced(self, port: int) -> Generator[None]:
        """Announced to the neighbourhood, until the block ends: on a thread, as asking the network first takes time."""
        from spectra.fabric.discovery import announce  # a third of a second that most starts do not need

        pin, done = self.signer.describe().fingerprint, threading.Event()

        def work() -> None:
            try:
                addresses = [host for host in self.members.places.hosts if _is_announced(host)]
                with announce(self.members.mesh, self.own.name, port, pin, addresses=addresses):
                    done.wait()
            except SpectraError as error:
                _log.warning("the mesh is not announced", extra={"error.message": error.message})

        thread = threading.Thread(target=work, name="spectra-announce", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join(_ANNOUNCED_WITHIN_S)

    def _context(self) -> ssl.SSLContext:
        tls = self.own.folder.tls
        return server_context(tls.cert, tls.key, pem(*self.signer.roots))

    def _members_changed(self) -> None:
        """Somebody came, went, or may do something else now."""
        self._fabric.members_changed()
        if isinstance(self.signer, StepCa):
            self.signer.wake()

    def _renewed(self) -> None:
        """The coordinator has another certificate, or other roots count."""
        if self._server is not None:
            self._server.use(self._context())
        self._fabric.certificate_changed()


def _is_announced(host: str) -> bool:
    """An address that others may reach; names are found by their own means."""
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return False


def _mesh_name(mesh: MeshSettings, folder: NodeFolder) -> str:
    """Of a mesh whose CA is no record of it: the settings', or that of the first start."""
    return mesh.name or (folder.state.mesh if folder.joined else new_mesh())


def _step_ca(settings: Settings, members: Members, database: Database, clock: Callable[[], datetime]) -> StepCa:
    mesh = settings.mesh
    assert mesh.ca_provisioner_key is not None
    return StepCa(
        members,
        database,
        open_provisioner(mesh.ca_provisioner, mesh.ca_provisioner_key, mesh.ca_provisioner_password),
        pinned=mesh.ca_fingerprint,
        file=settings.data_dir / "mesh" / "step-ca" / "roots.pem",
        clock=clock,
    )
