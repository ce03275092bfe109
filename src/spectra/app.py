"""The composition root: reads settings, picks engines, wires them, and takes them down in reverse order."""

from __future__ import annotations

import logging
import signal
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import uvicorn

from spectra import __version__, logs
from spectra.api.app import create_app
from spectra.api.services import Services
from spectra.engines import lifecycle
from spectra.engines.lifecycle import RunState
from spectra.engines.postgres import PostgresServer
from spectra.errors import SetupError
from spectra.flow.submission import Ingest
from spectra.flow.workflows import Workflows
from spectra.identity import tokens
from spectra.identity.keys import SigningKey
from spectra.identity.tokens import LocalCredential
from spectra.ingest.gate import Policy
from spectra.ingest.rate import RateLimiter
from spectra.settings import Settings
from spectra.store import keys
from spectra.store.blobs import BlobStore
from spectra.store.database import Database, migrate

_log = logging.getLogger("spectra")

LOCAL_CONTRIBUTOR = "local-admin"


def now() -> datetime:
    """The clock of this process."""
    return datetime.now(UTC)


@contextmanager
def engines(settings: Settings, *, with_workflows: bool = True) -> Generator[Services]:
    """Everything `settings` asks for, started; stopped in reverse order when the block ends."""
    with _database_url(settings) as (url, server):
        db = settings.database
        with Database(
            url,
            pool_size=max(db.pool_size, settings.api.max_concurrent_ingests + 4),
            timeout_s=settings.api.request_timeout_s,
            statement_timeout_s=db.statement_timeout_s,
        ) as database:
            for name in migrate(database):
                _log.info("schema migrated", extra={"spectra.migration": name})
            yield from _services(settings, database, server, with_workflows=with_workflows)


def _services(
    settings: Settings, database: Database, server: PostgresServer | None, *, with_workflows: bool
) -> Generator[Services]:
    gate = settings.gate
    blobs = BlobStore.from_settings(settings.blobs, settings.data_dir)
    ingest = Ingest(
        database,
        blobs,
        policy=Policy(
            max_envelope_bytes=gate.max_envelope_bytes,
            max_age_s=gate.max_age_s,
            max_ahead_s=gate.max_ahead_s,
            rate_per_minute=gate.rate_per_minute,
        ),
        limiter=RateLimiter(gate.rate_per_minute),
        max_output_bytes=gate.max_output_bytes,
        clock=now,
    )
    workflows = Workflows(ingest)
    if with_workflows:
        workflows.start()
    try:
        yield Services(
            database=database,
            blobs=blobs,
            ingest=ingest,
            workflows=workflows,
            clock=now,
            started=now(),
            max_envelope_bytes=gate.max_envelope_bytes,
            max_concurrent_ingests=settings.api.max_concurrent_ingests,
            key_grace_s=gate.key_grace_s,
            database_kind="embedded" if server else "server",
            database_restarts=lambda: server.restarts if server else 0,
        )
    finally:
        # DBOS first: its threads are loud when the database goes away before them.
        if with_workflows:
            workflows.stop()
        ingest.close()


@contextmanager
def _database_url(settings: Settings) -> Generator[tuple[str, PostgresServer | None]]:
    if settings.database.url is not None:
        yield settings.database.url.get_secret_value(), None
        return
    server = PostgresServer(settings.data_dir, shared_buffers_mb=settings.database.shared_buffers_mb, log=_log)
    url = server.start()
    try:
        yield url, server
    finally:
        server.stop()


def serve(settings: Settings, *, ready: Callable[[str], None]) -> int:
    """Run until SIGINT or SIGTERM; `ready` is called with the URL once it answers. Returns the exit code."""
    logs.configure(settings.log)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with lifecycle.instance_lock(settings.data_dir), _listening(settings) as listener, engines(settings) as services:
        url = _url(settings.api.host, listener)
        ensure_local_identity(services.database, settings.data_dir, url)
        server = _Server(
            uvicorn.Config(
                create_app(services),
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=True,
                timeout_keep_alive=30,
                timeout_graceful_shutdown=10,
                h11_max_incomplete_event_size=65536,
                backlog=512,
            ),
            on_ready=lambda: _announce(settings, url, ready),
        )
        try:
            server.run(sockets=[listener])
        finally:
            lifecycle.remove_state(settings.data_dir)
        _log.info("stopping")
    return 0


def _announce(settings: Settings, url: str, ready: Callable[[str], None]) -> None:
    lifecycle.write_state(settings.data_dir, RunState.of_this_process(url, __version__))
    _log.info("serving", extra={"url.full": url})
    ready(url)


class _Server(uvicorn.Server):
    """uvicorn, telling when it answers, and ending the same way on either signal."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start answering, then say so."""
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """SIGINT and SIGTERM ask for a clean stop; unlike uvicorn's own, they are not raised again afterwards."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            # From here on engines are being stopped: a second, impatient signal must not break that off.
            for number in before:
                signal.signal(number, signal.SIG_IGN)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.handle_exit(number, frame)


@contextmanager
def _listening(settings: Settings) -> Generator[socket.socket]:
    """The listening socket, opened before any engine so that a taken port fails at once."""
    host, port = settings.api.host, settings.api.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise SetupError(
                f"Cannot listen on {host}:{port}: {error.strerror}.",
                reason="cannot_listen",
                hint="Another program uses it? Choose another with --port or SPECTRA_API__PORT.",
            ) from error
        yield listener
    finally:
        listener.close()


def _url(host: str, listener: socket.socket) -> str:
    port = listener.getsockname()[1]
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - a comparison
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def ensure_local_identity(database: Database, data_dir: Path, url: str) -> LocalCredential:
    """The admin identity of this machine and the credential by which its command line is let in.

    Made on first start; later starts only bring the URL up to date. A database that does not know the key or the
    token (a new one under an old data folder) learns them.
    """
    path, key_file = data_dir / "credential.json", data_dir / "keys" / "local.pem"
    if key_file.exists():
        key = SigningKey.load(key_file)
    else:
        key = SigningKey.generate()
        key_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        key.save(key_file)
    if path.exists():
        old = LocalCredential.load(path)
        credential = LocalCredential(url, old.token, old.contributor, old.key_file)
    else:
        credential = LocalCredential(url, tokens.new_token(), LOCAL_CONTRIBUTOR, str(key_file))
    if keys.find(database, key.public.keyid) is None:
        keys.register(
            database,
            contributor=credential.contributor,
            role="admin",
            public_key=key.public.raw,
            keyid=key.public.keyid,
            now=now(),
            comment="made on first start",
        )
    keys.add_credential(database, digest=tokens.digest(credential.token), contributor=credential.contributor, now=now())
    credential.save(path)
    return credential
