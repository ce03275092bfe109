"""The fabric of one coordinator, put together: the embedded nats-server and what keeps its members true, or a cluster
that runs elsewhere; the coordinator's own link to it, and its ear.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from typing import Final

from spectra.collect.inventory import Inventory
from spectra.engines import natsprocess
from spectra.engines.nats import NatsServer
from spectra.errors import SetupError, SpectraError
from spectra.fabric import natsconfig
from spectra.fabric.errors import MeshError
from spectra.fabric.link import TlsFiles
from spectra.fabric.natsconfig import NatsConfig
from spectra.fabric.natslink import NatsLink
from spectra.fabric.subjects import permissions
from spectra.flow.dispatch import Dispatcher, Speaker
from spectra.flow.fabric import FabricKeeper
from spectra.flow.membership import Ear, EarState, Own
from spectra.flow.refusals import RefusalLog
from spectra.flow.work import Work
from spectra.identity.errors import IdentityError
from spectra.identity.names import key_name, parse_uri
from spectra.listening import reachable, url_of
from spectra.meshplaces import Ports, Which
from spectra.model.nodes import FabricPlace
from spectra.settings import Settings
from spectra.store.database import Database
from spectra.store.nodes import Member

_log = logging.getLogger("spectra.mesh")

OnFailure = Callable[[SpectraError], None]


class Fabric:
    """What the settings ask for. `place` says where it is once `running` is entered; empty where it is off."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        notes: RefusalLog,
        *,
        name: str,
        uri: str,
        tls: TlsFiles,
        clock: Callable[[], datetime],
    ) -> None:
        self.place = FabricPlace()
        self._settings = settings
        self._database = database
        self._notes = notes
        self._name = name
        self._uri = uri
        self._mesh = parse_uri(uri)[0]
        self._names: dict[str, str] = {}
        self._tls: Final = tls
        self._clock = clock
        self._inventory = Inventory()
        self._keeper: FabricKeeper | None = None
        self._link: NatsLink | None = None
        self._ear: Ear | None = None
        self._dispatcher: Dispatcher | None = None

    @contextmanager
    def running(
        self, host: str, on_failure: OnFailure, *, work: Work | None = None, api_url: str = ""
    ) -> Generator[None]:
        """Started, until the block ends. Machines are told `host`; `on_failure` hears when nats-server is given up.

        The targets of `work` are handed out, and results brought to `api_url`.
        """
        mesh = self._settings.mesh
        with ExitStack() as stack:
            if mesh.fabric == "embedded":
                url = stack.enter_context(self._embedded(host, on_failure))
            else:
                url = mesh.fabric_url
                self.place = FabricPlace(nats=url, mqtt=mesh.fabric_mqtt_url)
            self._link = NatsLink([url], self._tls, self._name, on_error=self._link_failed)
            stack.callback(self._link.close)
            own = Own(self._name, self._inventory.capabilities, self._inventory.load)
            self._ear = Ear(self._database, self._link, self._notes, clock=self._clock, own=own)
            self._ear.start()
            stack.callback(self._ear.stop)
            if work is not None:
                stack.enter_context(self._handing_out(work, self._link, api_url))
            yield

    def hearing(self) -> EarState | None:
        """How it stands with hearing the nodes; None while there is no fabric."""
        return self._ear.state() if self._ear is not None else None

    def members_changed(self) -> None:
        """Somebody came, went, or may do something else: in force within a second. Never waits."""
        if self._keeper is not None:
            self._keeper.wake()
        if self._ear is not None:
            self._ear.wake()
        if self._dispatcher is not None:
            self._dispatcher.members_changed()

    def certificate_changed(self) -> None:
        """The coordinator has another certificate, or other roots count."""
        self.members_changed()
        if self._link is not None:
            self._link.reload()

    @contextmanager
    def _embedded(self, host: str, on_failure: OnFailure) -> Generator[str]:
        mesh, ports = self._settings.mesh, Ports(self._settings.data_dir)
        server = NatsServer(self._settings.data_dir, _log, self._refused, on_failure)
        natsprocess.end_leftovers(server.folder / "nats.conf")  # it would hold the ports that it had
        nats, mqtt = (
            ports.choose(which, port, mesh.host)
            for which, port in _pairs(self._settings.mesh_ports.nats, self._settings.mesh_ports.mqtt)
        )

        def render(members: Sequence[Member]) -> str:
            return natsconfig.render(
                NatsConfig(
                    server_name=self._name,
                    tls=self._tls,
                    store_dir=server.folder / "jetstream",
                    coordinators=[self._uri],
                    members=self._told(members),
                    host=mesh.host,
                    port=nats,
                    mqtt_host=mesh.host,
                    mqtt_port=mqtt,
                )
            )

        keeper = FabricKeeper(
            self._database,
            server,
            render,
            clock=self._clock,
            watched=(self._tls.cert, self._tls.key, self._tls.roots),
            grace=timedelta(seconds=mesh.renew_grace_s),
        )
        with ExitStack() as stack:
            _start(server, keeper.config())
            stack.callback(server.stop)
            for which, port in _pairs(server.port, server.mqtt_port):
                ports.remember(which, port)
            self.place = FabricPlace(
                nats=url_of("tls", host, server.port), mqtt=url_of("mqtts", host, server.mqtt_port)
            )
            keeper.start()
            stack.callback(keeper.stop)
            self._keeper = keeper
            yield url_of("tls", reachable(mesh.host), server.port)

    @contextmanager
    def _handing_out(self, work: Work, link: NatsLink, api_url: str) -> Generator[None]:
        dispatcher = Dispatcher(
            self._database,
            link,
            self._notes,
            work.law,
            work.rules,
            own=Speaker(self._name, api_url),
            clock=self._clock,
        )
        dispatcher.start()
        self._dispatcher = dispatcher
        work.handed_out_by(dispatcher)
        try:
            yield
        finally:
            work.handed_out_by(None)
            dispatcher.stop()

    def _told(self, members: Sequence[Member]) -> list[natsconfig.Member]:
        """Members as the server knows them: by their present key, where our CA writes that into certificates."""
        told = [natsconfig.Member(m.uri, permissions(m.role, m.name, m.standing), self._key_name(m)) for m in members]
        self._names = {one.key_name: m.name for one, m in zip(told, members, strict=True) if one.key_name}
        return told

    def _key_name(self, member: Member) -> str:
        built_in = self._settings.mesh.ca == "built-in"
        return key_name(member.spki, self._mesh) if built_in and member.spki and member.role != "coordinator" else ""

    def _refused(self, kind: str, who: str, detail: str) -> None:
        """By the name of the node where the server saw its certificate."""
        with contextlib.suppress(IdentityError):
            who = parse_uri(who)[1]
        self._notes.note(kind, self._names.get(who, who), detail)

    def _link_failed(self, error: MeshError) -> None:
        _log.warning("the coordinator's link to the fabric", extra={"error.message": error.message})


def _pairs(nats: int, mqtt: int) -> tuple[tuple[Which, int], ...]:
    return (("nats", nats), ("mqtt", mqtt))


def _start(server: NatsServer, config: str) -> None:
    try:
        server.start(config)
    except SetupError as error:
        if "address already in use" in error.message:
            error.hint = "Choose other ports: SPECTRA_MESH__NATS_PORT and SPECTRA_MESH__MQTT_PORT."
        raise
