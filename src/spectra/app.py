"""The composition root: reads settings, picks engines, wires them, and takes them down in reverse order."""

from __future__ import annotations

import logging
import signal
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

from spectra import __version__, logs
from spectra.aiparts import Parts, ai_of
from spectra.alertparts import alerts_of
from spectra.api import setup
from spectra.api.app import create_app
from spectra.api.issuing import Issuer
from spectra.api.networks import FeedNetworks
from spectra.api.protocol import BoundedHttp
from spectra.api.rates import Limits
from spectra.api.services import Services
from spectra.engines import lifecycle
from spectra.engines.lifecycle import RunState
from spectra.engines.postgres import PostgresServer
from spectra.errors import SetupError, SpectraError
from spectra.flow.correlateflow import Correlations
from spectra.flow.correlation import Correlation
from spectra.flow.correlator import Correlator
from spectra.flow.download import Bounds
from spectra.flow.embedservice import Place, Service
from spectra.flow.feeds import Feeds
from spectra.flow.nvdapi import Api
from spectra.flow.relocation import Relocation
from spectra.flow.similar import Similar
from spectra.flow.stream import Stream
from spectra.flow.submission import Ingest
from spectra.flow.vectorflow import Follower, Vectors
from spectra.flow.vectorjob import VectorJob
from spectra.flow.vulnfeeds import VulnFeeds
from spectra.flow.vulnflow import VulnJob
from spectra.flow.vulnstage import Stage
from spectra.flow.vulnsync import VulnSync, knowledge
from spectra.flow.waking import running
from spectra.flow.workflows import Workflows
from spectra.ingest.gate import Policy
from spectra.intel.enrich.cpe import cpe23
from spectra.intel.vulns import open_feed
from spectra.listening import BACKLOG, listening, port_of, reachable, url_of
from spectra.localidentity import ensure_local_identity
from spectra.logring import RING
from spectra.meshparts import MeshParts, mesh_listening
from spectra.model.lifetimes import Lifetimes
from spectra.model.tiers import Policy as TierPolicy
from spectra.settings import EmbeddingSettings, LimitsSettings, Settings
from spectra.settings.inforce import in_force
from spectra.store.blobs import BlobStore
from spectra.store.database import Database, migrate
from spectra.store.limits import AccountLimit, Buckets, Rate
from spectra.store.plans import Keeping
from spectra.store.tallies import Folder
from spectra.web import install as dashboard
from spectra.workparts import coordinator_of, settling, work_of

_log = logging.getLogger("spectra")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def now() -> datetime:
    """The clock of this process."""
    return datetime.now(UTC)


class Ending:
    """Why a node is to end: a signal asked for it, or an engine cannot go on. Either may come at any time."""

    def __init__(self) -> None:
        self.error: SpectraError | None = None
        self.database_is_gone = False
        self._server: uvicorn.Server | None = None
        self._stop_engine: Callable[[], None] | None = None
        self._asked = False

    def because(self, error: SpectraError) -> None:
        """End the node with `error`, which another thread met."""
        self.error = error
        if self._server is not None:
            self._server.should_exit = True

    def without_database(self, error: SpectraError) -> None:
        """The same where it is the database that cannot go on: nobody is to wait for it while the rest is stopped."""
        self.database_is_gone = True
        self.because(error)

    def ask(self, number: int, frame: FrameType | None) -> None:
        """The handler of signals until the server answers.

        Nothing is raised into whatever is being started at that moment: a child process, a thread or a transaction
        could be forgotten half made. An engine whose start may take long is told to stop, the rest ends at `check`.
        """
        if self._asked:
            return
        self._asked = True
        if self._server is not None:
            self._server.should_exit = True
        if self._stop_engine is not None:
            threading.Thread(target=self._stop_engine, name="stop").start()

    def check(self) -> None:
        """Between two steps of a start: raises `KeyboardInterrupt` if a signal asked for the end."""
        if self._asked:
            raise KeyboardInterrupt

    @contextmanager
    def starting(self, stop: Callable[[], None]) -> Generator[None]:
        """While an engine starts that `stop` stops; raises `KeyboardInterrupt` at the end if that was asked for."""
        self._stop_engine = stop
        try:
            yield
        except SpectraError:
            self.check()
            raise
        finally:
            self._stop_engine = None
        self.check()

    def run(self, server: uvicorn.Server, listener: socket.socket) -> None:
        """Run `server` unless there is a reason not to already."""
        self._server = server
        self.check()
        if self.error is None:
            server.run(sockets=[listener])


def _listening(settings: Settings) -> AbstractContextManager[socket.socket]:
    hint = "Choose another with --port or SPECTRA_API__PORT."
    return listening(settings.api.host, settings.api.port, hint=hint)


@contextmanager
def engines(
    settings: Settings,
    *,
    with_workflows: bool = True,
    ending: Ending | None = None,
    machines: socket.socket | None = None,
) -> Generator[Services]:
    """Everything `settings` asks for, started; stopped in reverse order when the block ends.

    `ending` is told when an embedded engine cannot be kept running, and ends a start when a signal comes. The mesh is
    served on the socket `machines`; without one it can be governed and nobody reaches it.
    """
    ending = ending or Ending()
    with _database_url(settings, ending) as (url, server):
        db = settings.database
        with Database(
            url,
            pool_size=max(db.pool_size, settings.api.max_concurrent_ingests + 8),
            timeout_s=settings.api.request_timeout_s,
            statement_timeout_s=db.statement_timeout_s,
        ) as database:
            for name in migrate(database):
                _log.info("schema migrated", extra={"spectra.migration": name})
            ending.check()
            mesh = _mesh(settings, database, machines)
            with ExitStack() as stack:
                services = stack.enter_context(
                    _services(settings, database, server, mesh, with_workflows=with_workflows)
                )
                if mesh is not None and machines is not None:
                    stack.enter_context(mesh.serving(services, machines, ending.because))
                    ending.check()
                stack.callback(lambda: database.close() if ending.database_is_gone else None)
                yield services


def _mesh(settings: Settings, database: Database, machines: socket.socket | None) -> MeshParts | None:
    if not settings.mesh.enabled:
        return None
    port = port_of(machines) if machines else settings.mesh_ports.listener
    return MeshParts(settings, database, clock=now, port=port)


@contextmanager
def _services(
    settings: Settings,
    database: Database,
    server: PostgresServer | None,
    mesh: MeshParts | None,
    *,
    with_workflows: bool,
) -> Generator[Services]:
    blobs = BlobStore.from_settings(settings.blobs, settings.data_dir)
    feeds = _feeds(settings, database, blobs)
    correlation = Correlation(database)
    correlator, correlations = Correlator(correlation), Correlations(correlation)
    stream = Stream(database)
    alerts = alerts_of(settings, database, now)
    ingest = _ingest(settings, database, blobs, feeds, lambda: (correlator.wake(), stream.wake(), alerts.wake()))
    vuln_feeds, vuln_job = _vuln_feeds(settings, database, blobs, after_sync=correlator.wake)
    vectors = VectorJob(_vectors(settings.embeddings, database, blobs))
    follower = Follower(vectors.vectors.is_due, vectors.start, settings.embeddings.look_every_s)
    networks = FeedNetworks(feeds.locator)
    similar = Similar(vectors.vectors)
    ai = ai_of(Parts(settings, database, blobs, similar, _lifetimes(settings), now))
    work = work_of(settings, database, networks, clock=now) if mesh else None
    settled = settling(settings, work, ingest, correlation, _lifetimes(settings))
    workflows = Workflows(
        ingest,
        Relocation(database, feeds, cpe23),
        jobs=(correlations, vuln_job, vectors, *settled.jobs, *ai.jobs, *alerts.jobs),
        own=coordinator_of(settings, mesh),
    )
    background = (workflows, vuln_feeds, Folder(database), correlator, follower, alerts) if with_workflows else ()
    # Models are left first: workflows may be waiting for one.
    with running(ingest.close, (feeds, stream, *background, ai)):
        yield Services(
            database=database,
            blobs=blobs,
            ingest=ingest,
            workflows=workflows,
            feeds=feeds,
            vuln_feeds=vuln_feeds,
            correlations=correlations,
            vectors=vectors,
            similar=similar,
            clock=now,
            started=now(),
            issuer=Issuer(database, settings.auth, settings.data_dir, clock=now),
            database_kind="embedded" if server else "server",
            database_restarts=lambda: server.restarts if server else 0,
            limits=Limits(Buckets(database), _rates(settings.limits)),
            networks=networks,
            mesh=mesh.admin if mesh else None,
            work=work,
            results=settled.results(workflows),
            stream=stream,
            log=RING.newest,
            **_bounds(settings),
            **ai.services(),
            **alerts.services(),
        )


def _bounds(settings: Settings) -> dict[str, Any]:
    """Fields of `Services` that the settings alone say."""
    return {
        "max_envelope_bytes": settings.gate.max_envelope_bytes,
        "max_concurrent_ingests": settings.api.max_concurrent_ingests,
        "body_timeout_s": settings.api.body_timeout_s,
        "key_grace_s": settings.gate.key_grace_s,
        "lifetimes": _lifetimes(settings),
        "tiers": TierPolicy(**settings.tiers.model_dump()),
        "keeping": Keeping(settings.freshness.plan_days, settings.freshness.plans_per_account),
        "trusted_proxies": tuple(ip_network(text) for text in settings.api.trusted_proxies),
        "web": settings.web,
        "settings": in_force(settings),
        "data_dir": settings.data_dir,
    }


def _feeds(settings: Settings, database: Database, blobs: BlobStore) -> Feeds:
    bounds = settings.feeds
    return Feeds(
        database,
        blobs,
        settings.data_dir / "feeds",
        clock=now,
        bounds=Bounds(bounds.max_bytes, bounds.timeout_s, tuple(ip_network(text) for text in bounds.allow)),
        update_every=timedelta(seconds=bounds.update_every_s),
    )


def _policy(settings: Settings) -> Policy:
    gate = settings.gate
    return Policy(
        max_envelope_bytes=gate.max_envelope_bytes,
        max_age_s=gate.max_age_s,
        max_ahead_s=gate.max_ahead_s,
        rate_per_minute=settings.ingest_per_minute,
    )


def _vuln_feeds(
    settings: Settings, database: Database, blobs: BlobStore, *, after_sync: Callable[[], None]
) -> tuple[VulnFeeds, VulnJob]:
    vulns = settings.vulns
    bounds = Bounds(vulns.max_bytes, vulns.timeout_s, tuple(ip_network(text) for text in settings.feeds.allow))
    stage = Stage(settings.data_dir / "vulns", blobs)
    stage.clean_up()
    sync = VulnSync(
        database,
        stage,
        knowledge(),
        open_feed=open_feed,
        clock=now,
        bounds=bounds,
        api=Api(bounds, vulns.nvd_api_key, pause_s=vulns.nvd_pause_s),
        after_sync=after_sync,
    )
    update_every = timedelta(seconds=vulns.update_every_s)
    feeds = VulnFeeds(
        database, stage, open_feed=open_feed, clock=now, max_bytes=vulns.max_bytes, update_every=update_every
    )
    return feeds, VulnJob(sync)


def _ingest(
    settings: Settings, database: Database, blobs: BlobStore, feeds: Feeds, after_write: Callable[[], object]
) -> Ingest:
    return Ingest(
        database,
        blobs,
        policy=_policy(settings),
        limiter=AccountLimit(Buckets(database), "ingest", settings.ingest_per_minute),
        max_output_bytes=settings.gate.max_output_bytes,
        clock=now,
        facts=feeds,
        cpe=cpe23,
        lifetimes=_lifetimes(settings),
        after_write=after_write,
    )


def _lifetimes(settings: Settings) -> Lifetimes:
    return Lifetimes(settings.freshness.services, settings.freshness.default_s)


def _vectors(settings: EmbeddingSettings, database: Database, blobs: BlobStore) -> Vectors:
    key = settings.api_key.get_secret_value() if settings.api_key else ""
    place = Place(settings.url, settings.model, key, settings.dimensions, settings.batch, settings.timeout_s)
    return Vectors(database, blobs, clock=now, service=Service(place) if settings.url else None)


def _rates(limits: LimitsSettings) -> dict[str, Rate]:
    return {
        "plan": Rate(limits.plan_per_minute),
        "joins": Rate(limits.joins_per_minute),
        "search": Rate(limits.search_per_minute),
        "do_not_scan": Rate(limits.requests_per_hour, 3600),
        "do_not_scan_total": Rate(limits.requests_per_hour_total, 3600),
    }


@contextmanager
def _database_url(settings: Settings, ending: Ending) -> Generator[tuple[str, PostgresServer | None]]:
    if settings.database.url is not None:
        yield settings.database.url.get_secret_value(), None
        return
    shared_buffers_mb = settings.database.shared_buffers_mb
    server = PostgresServer(
        settings.data_dir, shared_buffers_mb=shared_buffers_mb, log=_log, on_failure=ending.without_database
    )
    with ExitStack() as stack:
        with ending.starting(server.stop):
            url = server.start()
            stack.callback(server.stop)
        yield url, server


Ready = Callable[[str, Callable[[], str]], None]
"""Told the URL once it answers, and what makes a new set-up link: nothing where somebody has a password."""


def serve(settings: Settings, *, ready: Ready) -> int:
    """Run until SIGINT or SIGTERM; `ready` is called once it answers. Returns the exit code.

    Raises `SpectraError` where it cannot start, or where the embedded PostgreSQL cannot be kept running: a service
    manager may then start it anew.
    """
    logs.configure(settings.log, RING)
    ending = Ending()
    try:
        with _owned(settings.data_dir), _listening(settings) as listener, mesh_listening(settings) as machines:
            if threading.current_thread() is threading.main_thread():
                for number in _SIGNALS:
                    signal.signal(number, ending.ask)
            _serve_on(listener, machines, settings, ready, ending)
    except KeyboardInterrupt:
        _log.info("stopped while starting")
    return 0


def _serve_on(
    listener: socket.socket,
    machines: socket.socket | None,
    settings: Settings,
    ready: Ready,
    ending: Ending,
) -> None:
    with engines(settings, ending=ending, machines=machines) as services:
        url = url_of("http", reachable(settings.api.host), port_of(listener))
        ensure_local_identity(services.database, settings.data_dir, url, now())
        served = create_app(services)
        dashboard.install(served)
        config = uvicorn.Config(
            served,
            http=BoundedHttp,
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,  # api/guard.py reads them, from whom the settings trust
            server_header=False,
            date_header=True,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=10,
            backlog=BACKLOG,
        )
        try:
            hang_up = services.stream.hang_up if services.stream else lambda: None
            server = _Server(config, on_ready=lambda: _announce(services, settings, url, ready), on_stop=hang_up)
            ending.run(server, listener)
        finally:
            lifecycle.remove_state(settings.data_dir)
        _log.info("stopping")
    if ending.error:
        raise ending.error


@contextmanager
def _owned(data_dir: Path) -> Generator[None]:
    """The data folder, made if need be, for this process alone."""
    with ExitStack() as stack:
        try:
            data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            stack.enter_context(lifecycle.instance_lock(data_dir))
        except OSError as error:
            raise SetupError(
                f"The data folder {data_dir} cannot be used: {error.strerror}.",
                hint="Choose another with --data-dir or SPECTRA_DATA_DIR.",
            ) from error
        yield


def _ignore_signals() -> None:
    """Engines are being stopped: a second, impatient signal must not break that off.

    Not by SIG_IGN, which children inherit: a PostgreSQL that is just being started would not hear that it has to stop.
    """
    for number in _SIGNALS:
        signal.signal(number, _ignored)


def _ignored(number: int, frame: FrameType | None) -> None:
    _log.info("stopping already", extra={"process.signal": number})


def _announce(services: Services, settings: Settings, url: str, ready: Ready) -> None:
    lifecycle.write_state(settings.data_dir, RunState.of_this_process(url, __version__))
    _log.info("serving", extra={"url.full": url})
    ready(url, lambda: _setup_link(services, url))


def _setup_link(services: Services, url: str) -> str:
    return setup.url_of(setup.new_link(services), url) if setup.is_open(services) else ""


class _Server(uvicorn.Server):
    """uvicorn, telling when it answers, and ending the same way on either signal."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None], on_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._on_stop = on_stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start answering, then say so."""
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop answering, once those who listen without end are told to hang up."""
        self._on_stop()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """SIGINT and SIGTERM ask for a clean stop; unlike uvicorn's own, they are not raised again afterwards."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        for number in _SIGNALS:
            signal.signal(number, self._stop)
        try:
            yield
        finally:
            _ignore_signals()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.handle_exit(number, frame)
